import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { retryRaces } from '../table/race.ts'
import { type Account, readAccount, requireActive } from './account.ts'

/**
 * Changes an account on behalf of its owner. After a lost race the account is read again, and `change` decides
 * anew by what it finds.
 * @param read the account as the gate has read it.
 * @param change throws `ConditionFailed` if the account has changed when it writes.
 * @throws DomainError `account_deactivated`, `account_suspended` if the account stopped being active meanwhile;
 *   `conflict` if every try lost a race
 */
export function changeAccount<T>(
  deps: Deps<'table'>,
  read: Account,
  change: (account: Account) => Promise<T>,
): Promise<T> {
  return retryRaces(deps, async (tries) => {
    if (tries === 1) return change(read)
    const account = await readAccount(deps, read.id)
    if (!account) throw new DomainError('session_ended')
    requireActive(account)
    return change(account)
  })
}
