import { listLow } from '../account/listed.ts'
import { DomainError } from '../errors.ts'
import { expiryAtMs, type LedgerEntry, type NewEntry, parseEntry } from '../ledger/entry.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { chooseAlerts, clearCrossed, isAnyCrossed, moveAlerts } from './alerts.ts'
import { staysUnder } from './change-balance.ts'
import { handOverAlerts } from './crossed-alerts.ts'
import { flushRest } from './flush-rest.ts'
import { lotGroups, readLots } from './lots.ts'
import { type CounterParts, placeLot, takeFromLots } from './place-lot.ts'
import { parseQuota, type Quota } from './quota.ts'
import { renewalDue } from './renewal-call.ts'
import { balanceParts, isBelowRenewal, isLowQuota, type Levels, thresholdAbove } from './thresholds.ts'

/** Tries of the write, which can lose races against concurrent consumes. */
const LEDGER_ATTEMPTS = 20

/**
 * Applies the ledger entries that the counter does not include yet, in one plain conditional write that is
 * guarded by the number of the last entry applied. Idempotent, even if two calls run at once. Entries whose units
 * expire take a read and a write each.
 * @throws DomainError `temporarily_unavailable` if every try lost a race
 */
export async function applyLedger(deps: Deps<'table'>, accountId: string): Promise<void> {
  for (let tries = 0; tries < LEDGER_ATTEMPTS; tries++) {
    const quota = await readQuota(deps, accountId)
    const items = await deps.table.list(keys.account(accountId), 'LEDGER#', {
      after: keys.ledger(accountId, quota.seq),
    })
    const entries = untilNextLot(items.map(parseEntry))
    const last = entries.at(-1)
    if (!last) return
    try {
      const change = await entriesChange(deps, accountId, quota, entries, last.seq)
      if (!change) continue
      const now = parseQuota(await deps.table.update(keys.quota(accountId), change.set, change.if))
      const wasLow = isLowQuota(quota.left, quota)
      if (wasLow && !isLowQuota(now.left, now)) await listLow(deps, accountId, false)
      if (entries.length === items.length) return
      tries = -1
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}

const expires = ({ expiresAtMs }: LedgerEntry): boolean => expiresAtMs !== undefined

/**
 * The entries until one whose units expire: a lot is credited after what came before it. What a credit pays of the units
 * that the account owes follows its entry, and stays in the same write.
 */
function untilNextLot(entries: LedgerEntry[]): LedgerEntry[] {
  const next = entries.findIndex((entry, at) => at > 0 && expires(entry))
  return next < 0 ? entries : entries.slice(0, next)
}

/**
 * Builds the write of the counter for ledger entries that follow those it includes: for `applyLedger`, or for the
 * transaction that appends them. Only the first of them may have units that expire.
 * @param seq number of the last of these entries
 * @returns undefined if the counter has to be read again first
 */
export async function entriesChange(
  deps: Deps<'table'>,
  accountId: string,
  quota: Quota,
  entries: readonly Pick<NewEntry, 'units' | 'size' | 'expiresAtMs' | 'lowPercent' | 'renewalPercent'>[],
  seq: number,
): Promise<CounterUpdate | undefined> {
  const units = entries.reduce((sum, entry) => sum + entry.units, 0)
  const size = entries.findLast((entry) => entry.size !== undefined)?.size ?? quota.size
  const plan = entries.findLast((entry) => entry.size !== undefined)
  const taken = entries.reduce((sum, entry) => sum + Math.max(0, -entry.units), 0)
  const [credit] = entries
  if (credit?.expiresAtMs === undefined)
    return moveBalance(deps, accountId, quota, {
      units,
      seq,
      size,
      plan,
      lots: takeFromLots(quota.lots, taken),
    })
  const lots = await readLots(deps, accountId)
  if (quota.lots?.rest) {
    await flushRest(deps, accountId, quota, lots)
    return undefined
  }
  const lot = { units: credit.units, day: expiryAtMs(credit.expiresAtMs) / DAY_MS }
  const known = {
    groups: lotGroups(quota.lots, lots, quota.seq),
    hasLater: lots.some((each) => each.seq <= quota.seq && each.day > lot.day),
    used: quota.used,
  }
  return moveBalance(deps, accountId, quota, {
    units,
    seq,
    size,
    plan,
    lots: placeLot(quota.lots, known, lot, taken),
  })
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

/** Thresholds of the plan that is held. */
type PlanLevels = Pick<Levels, 'lowPercent' | 'renewalPercent'>

/**
 * Builds the write that adds `units` (takes them away if negative) and sets the thresholds of the bundle's
 * size and plan. A pending notice stays pending; a pending renewal is canceled if the new balance does not need a
 * renewal. Alerts that are crossed are handed over first, and a credit arms those that the balance is not below.
 * @param to.isBooking whether the entry only books units that have left the balance before
 * @param to.lots what happens to the lots; by default units that are taken away are those that expire first.
 */
export async function moveBalance(
  deps: Deps<'table'>,
  accountId: string,
  quota: Quota,
  to: {
    units: number
    size: number
    seq: number
    lots?: CounterParts
    plan?: PlanLevels | undefined
    isBooking?: true
  },
): Promise<CounterUpdate> {
  await handOverAlerts(deps, accountId, quota)
  const nowMs = deps.clock.nowMs()
  const cleared = clearCrossed(quota.alerts)
  const { lowPercent, renewalPercent } = to.plan ?? quota
  const levels = { ...quota, size: to.size, lowPercent, renewalPercent }
  const { floor } = balanceParts(quota.left + to.units, levels)
  const alerts =
    moveAlerts(
      cleared,
      { floor: quota.floor, size: quota.size },
      { floor, size: to.size },
      { arms: to.units > 0, nowMs },
    ) ?? cleared
  const calls = isBelowRenewal(quota.left + to.units, levels)
  const isCrossed = isAnyCrossed(alerts)
  const { due, dueAtMs } = dueAt('QUOTA', accountId, nowMs)
  const stays = isCrossed || (quota.noticeSinceMs ?? quota.exhaustedSinceMs) !== undefined
  // Booking what has expired adds nothing, so a request that was refused still waits for a renewal.
  const isWaiting = to.isBooking === true && quota.refusedSeq === quota.seq
  const lots = to.lots ?? takeFromLots(quota.lots, Math.max(0, -to.units))
  return updateBalance(
    quota,
    { ...to, lowPercent, renewalPercent },
    {
      conditions: lots.conditions,
      set: [
        ...lots.set,
        ...(isWaiting ? [expr`#k = ${to.seq}`] : []),
        ...changedPercent('L', quota.lowPercent, lowPercent),
        ...changedPercent('R', quota.renewalPercent, renewalPercent),
        ...(alerts === quota.alerts ? [] : [expr`#i = ${alerts}`]),
        ...(calls ? [renewalDue(deps, accountId)] : []),
        ...(isCrossed && !calls ? [expr`#due = ${due}, #dueAtMs = ${dueAtMs}`] : []),
      ],
      remove: [
        ...lots.remove,
        ...(quota.lowPercent !== undefined && lowPercent === undefined ? [expr`#L`] : []),
        ...(quota.renewalPercent !== undefined && renewalPercent === undefined ? [expr`#R`] : []),
        ...(calls || isWaiting ? [] : [stays ? expr`#r` : expr`#r, #due, #dueAtMs`]),
      ],
    },
  )
}

const changedPercent = (
  name: 'L' | 'R',
  before: number | undefined,
  now: number | undefined,
): Expression[] => (now === undefined || now === before ? [] : [expr`${attr(name)} = ${now}`])

/** Builds the write that replaces the owner's alerts; undefined if they are the same. */
export function moveAlertSteps(quota: Quota, chosen: readonly number[]): CounterUpdate | undefined {
  const alerts = chooseAlerts(quota.alerts, chosen, quota.left, quota.size)
  return (
    alerts &&
    updateBalance(
      quota,
      { ...quota, alerts, units: 0 },
      { set: [expr`#i = ${alerts}`], remove: [], conditions: [] },
    )
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
    conditions: [],
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

/**
 * Builds a write that keeps balance and floor in step with the thresholds. The condition tolerates concurrent
 * consumes unless they cross a threshold.
 */
function updateBalance(
  quota: Quota,
  to: Levels & { units: number; seq: number },
  more: CounterParts,
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
        ...more.conditions,
      ],
      ' AND ',
    ),
  }
}
