import type { Deps } from '../ports.ts'
import { admitKey, readCounter } from './counter.ts'
import { forKey, type SentKey } from './key-caller.ts'

/**
 * Checks a key for a request of which something else is wrong: whoever has no live key does not learn what. A request
 * without a mistake needs no check of its own, because the write that spends makes it. One read, and one for a default
 * key or for the settings of another one, unless this container remembers them.
 * @throws DomainError `unauthorized`, `key_expired`, `key_disabled`, `ip_not_allowed`, `account_deactivated`,
 *   `account_suspended`, `temporarily_unavailable`
 */
export async function requireKey(deps: Deps<'table' | 'keyring'>, key: SentKey): Promise<void> {
  await forKey(deps, key, async (caller) => admitKey(deps, await readCounter(deps, caller.accountId), caller))
}
