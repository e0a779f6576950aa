import type { Profile } from '../account/account.ts'
import { attr, type Expression, expr } from '../table/expression.ts'

/**
 * What every write contains after which someone else may hold the account: a new password, a confirmed address, a
 * second factor switched on or off, and the like. It ends the sessions, lets no sign-in finish that began before,
 * and voids what a former holder has begun: a change of the address, a mailed code, an enrolment, a recovery.
 * @param keep.sessionId the session that asked for the change and proved who uses it; all others end.
 * @param keep.resetCode whether the reset code stays, because the same request may be sent again.
 * @param keep.recovery whether the recovery and its code stay, because the same request may be sent again.
 * @param keep.addressMove whether the operator's change of the address stays, and with it the recovery: no session has
 *   begun either.
 * @returns assignments, what to remove, and conditions under which the kept session still lives.
 */
export function changeHolder(
  account: Pick<Profile, 'sessions'>,
  keep: { sessionId?: string; resetCode?: boolean; recovery?: boolean; addressMove?: boolean } = {},
): { set: Expression[]; remove: Expression[]; unchanged: Expression[] } {
  const kept = Object.entries(account.sessions).filter(([id]) => id === keep.sessionId)
  return {
    set: [expr`#sessions = ${Object.fromEntries(kept)}`, expr`#generation = #generation + ${1}`],
    remove: [
      expr`#pendingEmail`,
      expr`#changeCode`,
      expr`#totpPending`,
      ...(keep.resetCode ? [] : [expr`#resetCode`]),
      ...(keep.recovery || keep.addressMove ? [] : [expr`#recovery, #recoveryCode`]),
      ...(keep.addressMove ? [] : [expr`#addressMove`]),
    ],
    // Without this, a session that a concurrent logout has ended would be written back.
    unchanged: kept.map(([id]) => expr`attribute_exists(#sessions.${attr(id)})`),
  }
}
