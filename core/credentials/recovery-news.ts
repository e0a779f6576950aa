import type { Profile } from '../account/account.ts'
import { newNotice } from '../notifications/notices.ts'
import { queueMail } from '../notifications/outbox.ts'
import { type RecoveryNews, recoveryText } from '../notifications/recovery-texts.ts'
import type { Deps } from '../ports.ts'
import { addressMoveKey, dueAt, recoveryKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { HOUR_MS } from '../time.ts'
import type { OpenRecovery } from './recovery-state.ts'

/** How often the job looks whether a recovery was stopped by something else, such as a sign-in. */
export const LOOK_MS = HOUR_MS

/** The profile's attribute for what waits: a recovery, or a change of the address that an operator has begun. */
export type WaitingIn = 'recovery' | 'addressMove'

export const reminderKey = (waitsIn: WaitingIn, accountId: string) =>
  waitsIn === 'recovery' ? recoveryKey(accountId) : addressMoveKey(accountId)

/** What the begin of something that waits contains besides the profile's update: its reminder, and what is told. */
export function waitingBegun(deps: Deps, account: Profile, waitsIn: WaitingIn, open: OpenRecovery): Write[] {
  const { beganAtMs, by } = open
  const due = dueAt('RECOVERY', account.id, deps.clock.nowMs() + LOOK_MS)
  return [
    {
      put: {
        ...reminderKey(waitsIn, account.id),
        beganAtMs,
        daysTold: 0,
        ...(by && { by }),
        ...due,
      },
    },
    ...tellOfWaiting(deps, account, waitsIn, open, 'begun'),
  ]
}

/** One mail and one notice about something that waits. */
export function tellOfWaiting(
  deps: Deps,
  account: Profile,
  waitsIn: WaitingIn,
  open: OpenRecovery,
  state: RecoveryNews['state'],
): Write[] {
  const { happened, next, stop } = recoveryText(newsOf(waitsIn, open, state))
  return [
    { put: newNotice(deps, account.id, 'recovery', `${happened} ${next} ${stop}`) },
    waitingMail(deps, account, waitsIn, open, state).write,
  ]
}

/** A mail about something that waits, with the link that stops it. */
export function waitingMail(
  deps: Deps,
  { id: accountId, username, email }: Profile,
  waitsIn: WaitingIn,
  open: OpenRecovery,
  state: RecoveryNews['state'],
) {
  const recovery = newsOf(waitsIn, open, state)
  return queueMail(deps, { accountId, to: email, template: 'recovery', values: { username, recovery } }, 0)
}

function newsOf(
  waitsIn: WaitingIn,
  { beganAtMs, finishesAtMs, endsAtMs, by }: OpenRecovery,
  state: RecoveryNews['state'],
): RecoveryNews {
  const what = waitsIn === 'addressMove' ? 'address' : by && 'factors'
  return { ...(what && { what }), state, beganAtMs, finishesAtMs, endsAtMs }
}
