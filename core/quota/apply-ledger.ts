import { DomainError } from '../errors.ts'
import { parseEntry } from '../ledger/entry.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { chooseAlerts, clearCrossed, isAnyCrossed, moveAlerts } from './alerts.ts'
import { handOverAlerts } from './crossed-alerts.ts'
import { parseQuota, type Quota } from './quota.ts'
import { renewalDue } from './renewal-call.ts'
import { balanceParts, isBelowRenewal, type Levels, thresholdAbove } from './thresholds.ts'

/** Tries of the write, which can lose races against concurrent consumes. */
const LEDGER_ATTEMPTS = 20

/**
 * Applies the ledger entries that the counter does not include yet, in one plain conditional write that is
 * guarded by the number of the last entry applied. Idempotent, even if two calls run at once.
 * @throws DomainError `temporarily_unavailable` if every try lost a race
 */
export async function applyLedger(deps: Deps<'table'>, accountId: string): Promise<void> {
  for (let tries = 0; tries < LEDGER_ATTEMPTS; tries++) {
    const quota = await readQuota(deps, accountId)
    const items = await deps.table.list(keys.account(accountId), 'LEDGER#', {
      after: keys.ledger(accountId, quota.seq),
    })
    const entries = items.map(parseEntry)
    const last = entries.at(-1)
    if (!last) return
    const units = entries.reduce((sum, entry) => sum + entry.units, 0)
    const size = entries.findLast((entry) => entry.size !== undefined)?.size ?? quota.size
    const change = await moveBalance(deps, accountId, quota, { units, seq: last.seq, size })
    try {
      await deps.table.update(keys.quota(accountId), change.set, change.if)
      return
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/**
 * Reads the counter of an account.
 * @throws Error if there is none, although every registration creates a counter.
 */
export async function readQuota(deps: Deps<'table'>, accountId: string): Promise<Quota> {
  const item = await deps.table.get(keys.quota(accountId))
  if (!item) throw new Error('The account has no counter, although every registration creates one.')
  return parseQuota(item)
}

/**
 * Builds the write that adds `units` (takes them away if negative) and sets the thresholds of the new bundle
 * size. A pending notice stays pending; a pending renewal is canceled if the new balance does not need a
 * renewal. Alerts that are crossed are handed over first, and a credit arms those that the balance is not below.
 */
export async function moveBalance(
  deps: Deps<'table'>,
  accountId: string,
  quota: Quota,
  to: { units: number; size: number; seq: number },
): Promise<CounterUpdate> {
  await handOverAlerts(deps, accountId, quota)
  const nowMs = deps.clock.nowMs()
  const cleared = clearCrossed(quota.alerts)
  const { floor } = balanceParts(quota.left + to.units, { ...quota, size: to.size })
  const alerts =
    moveAlerts(
      cleared,
      { floor: quota.floor, size: quota.size },
      { floor, size: to.size },
      { arms: to.units > 0, nowMs },
    ) ?? cleared
  const calls = isBelowRenewal(quota.left + to.units, { ...quota, size: to.size })
  const isCrossed = isAnyCrossed(alerts)
  const { due, dueAtMs } = dueAt('QUOTA', accountId, nowMs)
  const stays = isCrossed || quota.noticeSinceMs !== undefined
  return updateBalance(quota, to, {
    set: [
      ...(alerts === quota.alerts ? [] : [expr`#i = ${alerts}`]),
      ...(calls ? [renewalDue(deps, accountId)] : []),
      ...(isCrossed && !calls ? [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`] : []),
    ],
    remove: calls ? [] : [stays ? expr`#r` : expr`#r, #due, #dueAtMs`],
  })
}

/** Builds the write that replaces the owner's alerts; undefined if they are the same. */
export function moveAlertSteps(quota: Quota, chosen: readonly number[]): CounterUpdate | undefined {
  const alerts = chooseAlerts(quota.alerts, chosen, quota.left, quota.size)
  return (
    alerts &&
    updateBalance(quota, { ...quota, alerts, units: 0 }, { set: [expr`#i = ${alerts}`], remove: [] })
  )
}

/**
 * Builds the write that moves the threshold of the renewal, and calls for a look: the balance may be below the
 * new threshold.
 */
export function moveThreshold(
  deps: Deps,
  accountId: string,
  quota: Quota,
  { below, renewalSize }: Pick<Levels, 'below' | 'renewalSize'>,
): CounterUpdate {
  const more = {
    set: [
      renewalDue(deps, accountId),
      ...(below === undefined ? [] : [expr`#b = ${below}`]),
      ...(renewalSize === undefined ? [] : [expr`#w = ${renewalSize}`]),
    ],
    remove: [...(below === undefined ? [expr`#b`] : []), ...(renewalSize === undefined ? [expr`#w`] : [])],
  }
  return updateBalance(quota, { ...quota, below, renewalSize, units: 0 }, more)
}

/** A write of the counter and its condition. */
interface CounterUpdate {
  set: Expression
  if: Expression
}

/** The condition that the units above the floor are fewer, where there is a limit. */
export const staysUnder = (limit: number): Expression[] => (limit < Infinity ? [expr`#l < ${limit}`] : [])

/**
 * Builds a write that keeps balance and floor in step with the thresholds. The condition tolerates concurrent
 * consumes unless they cross a threshold.
 */
function updateBalance(
  quota: Quota,
  to: Levels & { units: number; seq: number },
  more: { set: readonly Expression[]; remove: readonly Expression[] },
): CounterUpdate {
  const { floor } = balanceParts(quota.left + to.units, { ...quota, ...to })
  // Change of the units above the floor.
  const delta = to.units + quota.floor - floor
  return {
    set: setRemove(
      [expr`#l = #l + ${delta}, #f = ${floor}, #q = ${to.size}, #s = ${to.seq}`, ...more.set],
      more.remove,
    ),
    if: join(
      [
        expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`,
        unchangedSince({ b: quota.below, w: quota.renewalSize, i: quota.alerts }, ['b', 'w', 'i']),
        ...staysUnder(thresholdAbove(floor, { ...quota, ...to }) - floor - delta),
      ],
      ' AND ',
    ),
  }
}
