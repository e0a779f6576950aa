import * as z from 'zod/mini'
import { type Account, isNobodys, readAccount } from '../account/account.ts'
import { finishAddressMove } from '../account/move-address.ts'
import { auditWrites } from '../audit/entry.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { attr, type Expression, expr, setRemove } from '../table/expression.ts'
import { accountIdIn, type Key, keys, recoveryKey } from '../table/keys.ts'
import { leaseDue } from '../table/lease.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { LOOK_MS, tellOfWaiting, type WaitingIn } from './recovery-news.ts'
import { type OpenRecovery, openAddressMove, openRecovery, stoppedEvent } from './recovery-state.ts'
import { switchFactorsOff } from './two-factor.ts'

const reminderSchema = z.object({
  beganAtMs: z.number(),
  /** Whole days of the recovery that were announced. */
  daysTold: z.number(),
  by: z.optional(z.literal('operator')),
})

type Reminder = z.infer<typeof reminderSchema>

/** What the job knows of something that waits. */
interface WaitingKind {
  waitsIn: WaitingIn
  open(account: Account, nowMs: number): OpenRecovery | undefined
  /** What to remove from the profile when it ends unfinished. */
  ends: Expression
  /** What the owner is told then. */
  stopped(reminder: Reminder): Parameters<typeof tellOwner>[2]
  /** The writes that finish it; undefined if the owner does. */
  finish(deps: Deps<'table'>, account: Account, open: OpenRecovery): Write[] | undefined
}

const WAITING: Record<WaitingIn, WaitingKind> = {
  recovery: {
    waitsIn: 'recovery',
    open: openRecovery,
    ends: expr`#recovery, #recoveryCode`,
    stopped: ({ by }) => stoppedEvent(by),
    finish: (deps, account, { by }) =>
      by && [
        ...switchFactorsOff(deps, account),
        ...auditWrites(deps, {
          action: 'operator.two_factor_reset',
          accountId: account.id,
          before: { twofa: account.totp !== undefined },
          after: { twofa: false },
        }),
      ],
  },
  addressMove: {
    waitsIn: 'addressMove',
    open: openAddressMove,
    ends: expr`#addressMove`,
    stopped: () => 'address-kept',
    finish: (deps, account) => finishAddressMove(deps, account),
  },
}

/**
 * Announces each recovery that is open once a day, and once more when it can be finished. Ends those that nobody has
 * finished, and tells the owner of those that something else has stopped. The same for what operators have begun for
 * an owner, which it finishes when 72 hours are over.
 * @returns how many were announced, finished or ended, and how many failed and stay due.
 */
export const announceRecoveries = (deps: Deps<'table'>, run: Run): Promise<Worked> =>
  eachDue(deps, 'RECOVERY', run, (key) => announceOne(deps, key))

async function announceOne(deps: Deps<'table'>, key: Key): Promise<boolean> {
  const item = await leaseDue(deps, key)
  if (!item) return false
  const reminder = z.parse(reminderSchema, item)
  const { beganAtMs } = reminder
  const account = await readAccount(deps, accountIdIn(key))
  const waiting = WAITING[key.sk === recoveryKey('').sk ? 'recovery' : 'addressMove']
  const nowMs = deps.clock.nowMs()
  const removal: Write = { remove: key, if: sameReminder(reminder) }
  try {
    if (account?.[waiting.waitsIn]?.beganAtMs !== beganAtMs) {
      // A sign-in with a code, or a change of holder, has stopped it.
      const told = account && !isNobodys(account) ? tellOwner(deps, account, waiting.stopped(reminder)) : []
      await deps.table.transact([removal, ...told])
      return true
    }
    const open = waiting.open(account, nowMs)
    if (!open) {
      await deps.table.transact([
        {
          update: keys.profile(account.id),
          set: setRemove([], [waiting.ends]),
          if: isWaiting(waiting.waitsIn, beganAtMs),
        },
        removal,
        ...tellOwner(deps, account, waiting.stopped(reminder)),
      ])
      return true
    }
    const writes = open.isReady ? waiting.finish(deps, account, open) : undefined
    if (!writes) return await remind(deps, key, account, { waiting, open, reminder })
    await deps.table.transact(writes)
    return true
  } catch (error) {
    // It has just been stopped, finished or announced.
    if (error instanceof ConditionFailed) return false
    throw error
  }
}

const sameReminder = ({ beganAtMs, daysTold }: Reminder): Expression =>
  expr`#beganAtMs = ${beganAtMs} AND #daysTold = ${daysTold}`

const isWaiting = (waitsIn: WaitingIn, beganAtMs: number): Expression =>
  expr`${attr(waitsIn)}.#beganAtMs = ${beganAtMs}`

async function remind(
  deps: Deps<'table'>,
  key: Key,
  account: Account,
  { waiting, open, reminder }: { waiting: WaitingKind; open: OpenRecovery; reminder: Reminder },
): Promise<boolean> {
  const nowMs = deps.clock.nowMs()
  const days = Math.floor((nowMs - open.beganAtMs) / DAY_MS)
  const nextDayMs = open.beganAtMs + (days + 1) * DAY_MS
  const same = sameReminder(reminder)
  const next = expr`SET #daysTold = ${days}, #dueAtMs = ${Math.min(nowMs + LOOK_MS, nextDayMs, open.endsAtMs)}`
  if (days <= reminder.daysTold) {
    await deps.table.update(key, next, same)
    return false
  }
  const { waitsIn } = waiting
  await deps.table.transact([
    { update: key, set: next, if: same },
    { check: keys.profile(account.id), if: isWaiting(waitsIn, open.beganAtMs) },
    ...tellOfWaiting(deps, account, waitsIn, open, open.isReady ? 'ready' : 'running'),
  ])
  return true
}
