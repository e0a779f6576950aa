import { auditWrites } from '../audit/entry.ts'
import { type MailRequestPurpose, mailRequest } from '../credentials/mail-requests.ts'
import { openRecovery } from '../credentials/recovery-state.ts'
import { trustAddress } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { setRemove, unchangedSince } from '../table/expression.ts'
import { ADDRESS_CHANGE_KEPT_MS, keys, ttlAt } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import type { Account } from './account.ts'
import { changeAnyAccount } from './change.ts'
import { emailKey } from './fields.ts'

/** What `resendMail` has done. */
export interface Resent {
  /** What the account waits for, by the purpose of the mail; nothing if it waits for no mail. */
  mails: MailRequestPurpose[]
  /** Whether an address of the account was marked as one that gets no mail. */
  cleared: boolean
}

/**
 * Has the mail sent again that an account waits for: the code that confirms its address or a new one, or what follows
 * in a recovery. Its addresses get mail again, also after a bounce or a complaint; SES may have a suppression list of
 * its own. The job `send-mail` sends the mails within a minute, within the hourly limits, which `unlockAccount` lifts.
 * @throws DomainError `not_found`, `conflict`
 */
export const resendMail = (deps: Deps<'table'>, accountId: string, reason: string): Promise<Resent> =>
  changeAnyAccount(deps, accountId, async (account) => {
    const { id, email, pendingEmail, undeliverable = {} } = account
    const nowMs = deps.clock.nowMs()
    const waits = awaited(account, nowMs)
    const cleared = Object.keys(undeliverable).length > 0
    const { set, remove } = trustAddress(nowMs)
    // The look-up of a new address ends before the change does.
    const change = pendingEmail === undefined ? undefined : keys.addressChange(emailKey(pendingEmail), id)
    const kept = ttlAt(nowMs + ADDRESS_CHANGE_KEPT_MS)
    await deps.table.transact([
      {
        update: keys.profile(id),
        set: setRemove(set, remove),
        if: unchangedSince(account, ['email', 'emailVerified', 'pendingEmail', 'status']),
      },
      ...(change ? [{ put: { ...change, accountId: id, ...kept } }] : []),
      ...waits.map(([purpose, to]): Write => mailRequest(deps, purpose, to)),
      ...auditWrites(deps, {
        action: 'operator.mail_resent',
        accountId: id,
        reason,
        before: { undeliverable: cleared },
        after: { email, mails: waits.map(([purpose]) => purpose).join(', ') },
      }),
    ])
    return { mails: waits.map(([purpose]) => purpose), cleared }
  })

/** The mails that the account waits for, with their addresses. */
function awaited(account: Account, nowMs: number): [MailRequestPurpose, string][] {
  const { status, email, emailVerified, pendingEmail } = account
  return [
    ...(status === 'active' && !emailVerified ? [['confirm-email', email] as const] : []),
    ...(status === 'active' && pendingEmail !== undefined ? [['confirm-email', pendingEmail] as const] : []),
    ...(openRecovery(account, nowMs) ? [['recovery', email] as const] : []),
  ].map(([purpose, to]) => [purpose, to])
}
