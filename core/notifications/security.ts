import type { Profile } from '../account/account.ts'
import { auditWrites, isAuditWrite } from '../audit/entry.ts'
import type { EventData } from '../events/catalogue.ts'
import { announce } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import type { Key } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { newNotice } from './notices.ts'
import { queueMail } from './outbox.ts'
import { type SecurityEvent, securityText } from './security-texts.ts'

/**
 * Of these changes other systems hear, too, and so does a restored backup. A passkey's removal is announced with its id
 * where it is removed.
 */
const ACCESS_CHANGES: { [E in SecurityEvent]?: EventData<'account.access_changed'>['what'] } = {
  'password-changed': 'password',
  'password-reset': 'password',
  'two-factor-on': 'two-factor-on',
  'two-factor-off': 'two-factor-off',
  'factors-off': 'two-factor-off',
  recovered: 'two-factor-off',
  'recovery-stopped': 'recovery-stopped',
  'factors-kept': 'recovery-stopped',
}

/**
 * Writes that tell an account's owner of a change of who gets in, by one mail and one notice, and record it in the
 * audit log. They belong in the transaction that makes the change; the job `send-mail` sends the mail within a minute,
 * so that no request waits for it. An address that nobody has proved gets no mail, because it may be a stranger's.
 * @param to the addresses to mail, if not the account's own alone.
 */
export function tellOwner(
  deps: Deps,
  account: Pick<Profile, 'id' | 'username' | 'email' | 'emailVerified'>,
  event: SecurityEvent,
  to: readonly string[] = [account.email],
): Write[] {
  const { id: accountId, username, emailVerified } = account
  const values = { username, event, atMs: deps.clock.nowMs() }
  const mail = (address: string) =>
    queueMail(deps, { accountId, to: address, template: 'security', values }, 0).write
  const what = ACCESS_CHANGES[event]
  return [
    { put: newNotice(deps, accountId, event, securityText(event)) },
    ...(what ? [announce(deps, accountId, 'account.access_changed', { what })] : []),
    ...(emailVerified ? to.map(mail) : []),
    // Every sign-in has an entry of its own, and so has everything that an operator does.
    ...(event !== 'new-sign-in' && deps.origin?.by !== 'operator'
      ? auditWrites(deps, { accountId, action: `account.${event}` })
      : []),
  ]
}

/**
 * Writes that take the announcement of a new password back, because the vault has refused it. What the audit log says
 * stays; it gets another entry.
 */
export const withdrawal = (deps: Deps, accountId: string, announcement: readonly Write[]): Write[] => [
  ...announcement.flatMap((write) =>
    'put' in write && !isAuditWrite(write) ? [{ remove: write.put as unknown as Key }] : [],
  ),
  ...(announcement.length > 0 ? auditWrites(deps, { accountId, action: 'account.password-refused' }) : []),
]
