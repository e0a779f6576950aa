import { liveSession } from '../credentials/session-life.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { retryRaces } from '../table/race.ts'
import { type Account, isNobodys, readAccount, requireActive, type SessionCaller } from './account.ts'

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

/**
 * Changes an account on behalf of the company that runs the deployment, whatever its status. After a lost race the
 * account is read again, and `change` decides anew.
 * @param change throws `ConditionFailed` if the account has changed when it writes.
 * @throws DomainError `not_found` for an account that is not there yet, or not any more; `conflict` if every try lost a
 *   race
 */
export const changeAnyAccount = <T>(
  deps: Deps<'table'>,
  accountId: string,
  change: (account: Account) => Promise<T>,
): Promise<T> =>
  retryRaces(deps, async () => {
    const account = await readAccount(deps, accountId)
    if (!account || isNobodys(account)) throw new DomainError('not_found')
    return change(account)
  })

/**
 * As `changeAccount`, for a change that decides who gets in or makes a secret: a lost race may have ended the
 * caller's session, and then nothing is changed.
 * @throws DomainError `session_ended` if the session has ended meanwhile, and as `changeAccount` does
 */
export function changeSession<T>(
  deps: Deps<'table'>,
  { account: read, sessionId }: SessionCaller,
  change: (caller: SessionCaller) => Promise<T>,
): Promise<T> {
  return changeAccount(deps, read, async (account) => {
    if (!liveSession(deps, account, sessionId)) throw new DomainError('session_ended')
    return change({ account, sessionId })
  })
}
