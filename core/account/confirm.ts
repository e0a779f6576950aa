import { checkCode } from '../credentials/codes.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { trialCredit } from '../quota/trial.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { parseProfile, requireActive } from './account.ts'

/**
 * Confirms the account's e-mail address with the code mailed to it, and grants the trial quota: one read, one
 * transaction.
 * @throws DomainError `invalid_code`; `account_deactivated` or `account_suspended` for a right code.
 */
export async function confirmEmail(deps: Deps<'table' | 'keyring'>, typed: string): Promise<void> {
  const code = await checkCode(deps, 'confirm-email', typed)
  const trial = trialCredit(code.accountId, deps.clock.nowMs())
  try {
    await deps.table.transact([
      {
        update: keys.profile(code.accountId),
        set: expr`SET #emailVerified = ${true}, #ledgerSeq = ${trial.seq}, #updatedAtMs = ${deps.clock.nowMs()} REMOVE #confirmCode`,
        if: expr`#confirmCode = ${code.lookup} AND #status = ${'active'}`,
      },
      code.use,
      ...trial.writes,
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const profile = error.failed.get(0)
    if (profile) requireActive(parseProfile(profile))
    throw new DomainError('invalid_code')
  }
}
