import type { Deps } from '../ports.ts'
import { admitKey, balanceOf, readCounter } from './counter.ts'
import { forKey, type KeyOrAccount, type Spender } from './key-caller.ts'

/**
 * The units left, those used in all and those of open reservations, for whoever has a key of the account. One read.
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`
 */
export const readBalance = (
  deps: Deps<'table' | 'keyring'>,
  key: KeyOrAccount,
): Promise<Spender & { left: number; used: number; reserved: number }> =>
  forKey(deps, key, async (caller) => {
    const counter = await readCounter(deps, caller.accountId)
    await admitKey(deps, counter, caller)
    return { left: balanceOf(counter), used: counter.used, reserved: counter.held }
  })
