import { type CheckedCode, checkCode } from '../credentials/codes.ts'
import { changeHolder } from '../credentials/holder.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { trialCredit } from '../quota/trial.ts'
import { expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { parseProfile, readAccount, requireActive } from './account.ts'
import { emailKey } from './fields.ts'
import { takeAddress } from './register.ts'

/**
 * Confirms the e-mail address that a code was mailed to: the registered address, which grants the trial
 * quota, or the new address of a confirmed account.
 * @throws DomainError `invalid_code`; for a right code `account_deactivated`, `account_suspended`, and
 *   `email_taken` if another account has taken the new address meanwhile.
 */
export async function confirmEmail(deps: Deps<'table' | 'keyring'>, typed: string): Promise<void> {
  const code = await checkCode(deps, ['confirm-email', 'change-email'], typed)
  const use: Write = { remove: code.key, if: code.usable }
  const writes = code.purpose === 'confirm-email' ? confirmFirst(deps, code) : await confirmChange(deps, code)
  try {
    await deps.table.transact([...writes, use])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const profile = error.failed.get(0)
    if (profile) requireActive(parseProfile(profile))
    // The first write updates the profile and the last one spends the code. Those between take a new address.
    const stale = error.failed.has(0) || error.failed.has(writes.length)
    throw new DomainError(stale || code.purpose === 'confirm-email' ? 'invalid_code' : 'email_taken')
  }
}

/**
 * Confirms the registered address and credits the trial. A confirmed account always stays confirmed, so the
 * trial is credited once.
 */
function confirmFirst(deps: Deps, code: CheckedCode): Write[] {
  const nowMs = deps.clock.nowMs()
  const trial = trialCredit(code.accountId, nowMs)
  // Whoever registered the address may not be its owner.
  const holder = changeHolder({ sessions: {} })
  return [
    {
      update: keys.profile(code.accountId),
      set: setRemove(
        [...holder.set, expr`#emailVerified = ${true}, #ledgerSeq = ${trial.seq}, #updatedAtMs = ${nowMs}`],
        [...holder.remove, expr`#confirmCode, #due, #dueAtMs`],
      ),
      if: expr`#confirmCode = ${code.lookup} AND #status = ${'active'}`,
    },
    ...trial.writes,
  ]
}

async function confirmChange(deps: Deps<'table'>, code: CheckedCode): Promise<Write[]> {
  const { accountId } = code
  const account = await readAccount(deps, accountId)
  if (!account?.pendingEmail || account.changeCode !== code.lookup) throw new DomainError('invalid_code')
  const { email, pendingEmail } = account
  const holder = changeHolder({ sessions: {} })
  const taken = await takeAddress(deps, accountId, pendingEmail)
  if (!taken) throw new DomainError('email_taken')
  return [
    {
      update: keys.profile(accountId),
      set: setRemove(
        [...holder.set, expr`#email = ${pendingEmail}, #updatedAtMs = ${deps.clock.nowMs()}`],
        holder.remove,
      ),
      if: expr`#changeCode = ${code.lookup} AND #status = ${'active'} AND #email = ${email}`,
    },
    ...taken,
    { remove: keys.emailGuard(emailKey(email)), if: expr`#accountId = ${accountId}` },
  ]
}
