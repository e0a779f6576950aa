import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, join, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { stored } from '../table/stored.ts'
import type { Item } from '../table/table.ts'
import {
  hasHashOf,
  isLiveKey,
  type KeyCaller,
  type QuotaDeps,
  rereadCaller,
  whileLive,
  wrongKey,
} from './key-caller.ts'
import { type Allowance, takeWithin } from './key-limits.ts'
import { keyUseAttribute } from './quota.ts'
import { callByConsume, startRenewal } from './renewal-call.ts'
import type { RequestId } from './request-id.ts'
import { RING_MOST, ringMost } from './ring-size.ts'
import { balanceParts, crossedThresholds, type Levels, thresholdAbove } from './thresholds.ts'

/** The hot counter with full names for its attributes. */
export interface Counter extends Levels {
  /** Units above the floor. */
  aboveFloor: number
  /** The highest threshold that the balance has not fallen below. The balance is `aboveFloor + floor`. */
  floor: number
  /** Number of the last ledger entry applied. */
  seq: number
  /** Units used in all. */
  used: number
  /** The day on which use is counted now (UTC, days since 1970). */
  day: number
  /** Newest time of an archived request id, on the scale of `RequestId.time`. */
  newestArchived: number
  /** Grows whenever ids are archived that an earlier archive lookup may have missed. */
  fence: number
  /** Spans that have archive items, as bits (`spanBit`). */
  archiveSpans: number
  /**
   * Time of the oldest archived id that was ahead of the clock, unless `newestArchived` has passed it; Infinity
   * if there is none.
   */
  firstAhead: number
  blocked: 'deactivated' | 'suspended' | undefined
  /** Units of open reservations. They are neither left nor used. */
  held: number
  /** Entries of recent request ids. */
  ring: ReadonlySet<Uint8Array>
  /** The item as stored. */
  item: Item
}

/**
 * Parses a stored counter.
 * @throws DomainError `unauthorized` if there is none, since no account has the key then; Error if one of its
 *   numbers is missing.
 */
export function parseCounter(item: Item | undefined): Counter {
  if (!item) throw wrongKey()
  const number = (name: string) => stored(item, name, 'number')
  return {
    aboveFloor: number('l'),
    floor: number('f'),
    size: number('q'),
    seq: number('s'),
    used: number('u'),
    day: number('d'),
    newestArchived: number('m'),
    fence: number('g'),
    archiveSpans: number('o'),
    lowPercent: item.L as Counter['lowPercent'],
    renewalPercent: item.R as Counter['renewalPercent'],
    below: item.b as Counter['below'],
    renewalSize: item.w as Counter['renewalSize'],
    alerts: item.i as Counter['alerts'],
    firstAhead: Number(item.e ?? Infinity),
    blocked: item.x as Counter['blocked'],
    held: Number(item.y ?? 0),
    ring: (item.a ?? new Set()) as Counter['ring'],
    item,
  }
}

export const readCounter = async (deps: Deps<'table'>, accountId: string): Promise<Counter> =>
  parseCounter(await deps.table.get(keys.quota(accountId)))

/** Units left. */
export const balanceOf = ({ aboveFloor, floor }: Pick<Counter, 'aboveFloor' | 'floor'>): number =>
  aboveFloor + floor

/** Looks at a key whose settings change again and again. */
const ADMISSIONS = 4

/**
 * Checks that the key is live, with the settings that the caller was checked against, and the account not blocked. If
 * the settings have changed since, they are read and checked again.
 * @param inDoubt whether the reply of a write for this caller was lost, so that units may be spent
 * @returns the caller to write for
 * @throws DomainError `unauthorized`, `key_expired`, `key_disabled`, `ip_not_allowed`, `insufficient_scope`,
 *   `account_deactivated`, `account_suspended`; `temporarily_unavailable` if the settings do not come to rest, and
 *   instead of any refusal in doubt
 */
export async function admitKey(
  deps: Deps<'table' | 'keyring'>,
  counter: Counter,
  caller: KeyCaller,
  inDoubt = false,
): Promise<KeyCaller> {
  try {
    return await admitAsItStands(deps, counter, caller)
  } catch (error) {
    // A refusal says that nothing was spent.
    throw inDoubt && error instanceof DomainError ? new DomainError('temporarily_unavailable') : error
  }
}

async function admitAsItStands(
  deps: Deps<'table' | 'keyring'>,
  counter: Counter,
  caller: KeyCaller,
): Promise<KeyCaller> {
  let [now, current] = [counter, caller]
  for (let looks = 0; looks < ADMISSIONS; looks++) {
    if (looks > 0) now = await readCounter(deps, caller.accountId)
    if (!isLiveKey(now.item, current)) current = await rereadCaller(deps, current)
    if (!isLiveKey(now.item, current)) continue
    if (now.blocked) throw new DomainError(`account_${now.blocked}`)
    return current
  }
  throw hasHashOf(now.item, current) ? new DomainError('temporarily_unavailable') : wrongKey()
}

export const inRing = ({ ring }: Pick<Counter, 'ring'>, entry: Uint8Array): boolean =>
  [...ring].some((each) => Buffer.compare(each, entry) === 0)

/** Whether the ring has an id, by any of its entries. */
export const hasId = (counter: Pick<Counter, 'ring'>, { entries }: RequestId): boolean =>
  entries.some((entry) => inRing(counter, entry))

export interface Spending {
  caller: KeyCaller
  /** What the limits of the key allow. The write fails if it allows less meanwhile. */
  allowance: Allowance
  /** At least 1. */
  units: number
  /** The current day (UTC, days since 1970). The write fails if the counter is still on an earlier day. */
  today: number
  /** Ring entries of the ids that are spent. The write fails if one of them is in the ring. */
  ids: readonly Uint8Array[]
  /** Entries that the write adds to the ring. */
  entries: readonly Uint8Array[]
  /** Conditions that hold only as long as none of the ids can be in the archive. */
  fence: readonly Expression[]
  /** Further assignments and conditions. */
  sets?: readonly Expression[]
  conditions?: readonly Expression[]
  /** Additions that take the place of those to the counters of use, if the units are not used yet. */
  adds?: readonly Expression[]
  /** The counter as last read. Without it the write fails if the units do not fit above the floor. */
  seen?: Counter | undefined
  /** Most entries of the ring, as far as is known without a counter. */
  ringMost?: number | undefined
  nowMs: number
}

/** The one write that spends, and whether it calls for a renewal. */
interface SpendUpdate {
  set: Expression
  condition: Expression
  callsRenewal: boolean
}

/**
 * Spends in one write, and starts the renewal if the write calls for one.
 * @param once whether an unknown outcome must not be retried, because a request has no id.
 * @throws ConditionFailed with the counter as it is, if one condition of `spendUpdate` does not hold
 */
export async function spendUnits(deps: QuotaDeps, spending: Spending, once: boolean): Promise<Counter> {
  const { accountId } = spending.caller
  const { set, condition, callsRenewal } = spendUpdate(spending)
  const after = await deps.table.update(keys.quota(accountId), set, condition, { once })
  if (callsRenewal) await startRenewal(deps, accountId)
  return parseCounter(after)
}

/**
 * Builds the one write that spends. One condition covers key, block, day, balance, thresholds, ids and the size
 * of the ring.
 */
export function spendUpdate(spending: Spending): SpendUpdate {
  const { caller, units, today, ids, entries, fence, seen } = spending
  const step = seen && units > seen.aboveFloor ? crossingSpend(spending, seen) : ordinarySpend(units)
  const limits = takeWithin(caller.slot, spending.allowance, units)
  const adds = [
    ...(spending.adds ?? [expr`#u ${units}`, expr`${attr(keyUseAttribute(caller.slot))} ${units}`]),
    ...limits.adds,
  ]
  const room: Expression[] = []
  if (entries.length > 0) {
    adds.push(expr`#a ${new Set(entries)}`)
    const most = seen ? ringMost(seen.item) : (spending.ringMost ?? RING_MOST)
    room.push(expr`(attribute_not_exists(#a) OR size(#a) <= ${most - entries.length})`)
  }
  const conditions = [
    ...whileLive(caller),
    expr`attribute_not_exists(#x)`,
    expr`#d >= ${today}`,
    ...step.conditions,
    ...limits.conditions,
    ...room,
    ...fence,
    ...(spending.conditions ?? []),
  ]
  // One NOT covers all ids: DynamoDB allows 300 operators in an expression, and a batch may have 100 ids.
  const known = ids.map((id) => expr`contains(#a, ${id})`)
  if (known.length > 0) conditions.push(join([expr`NOT (`, join(known, ' OR '), expr`)`], ''))
  const sets = [...step.sets, ...limits.sets, ...(spending.sets ?? [])]
  return {
    set: join([join([expr`SET `, join(sets, ', ')], ''), join(adds, ', ')], ' ADD '),
    condition: join(conditions, ' AND '),
    callsRenewal: step.callsRenewal,
  }
}

const ordinarySpend = (units: number) => ({
  sets: [expr`#l = #l - ${units}`],
  conditions: [expr`#l >= ${units}`],
  callsRenewal: false,
})

/**
 * Moves the floor and records the notice or renewal that becomes due. Of all requests that would cross the
 * same threshold, only one succeeds.
 */
function crossingSpend({ caller, units, nowMs }: Spending, seen: Counter) {
  const { floor } = balanceParts(balanceOf(seen) - units, seen)
  const crossed = crossedThresholds(seen.floor, floor, seen, nowMs)
  // Units that have returned meanwhile may keep the balance above a threshold that is not crossed then.
  const spared = Math.max(0, seen.floor - thresholdAbove(floor, seen))
  return {
    sets: [
      expr`#f = ${floor}`,
      expr`#l = #l + ${seen.floor - floor - units}`,
      ...callByConsume(caller.accountId, nowMs, crossed),
    ],
    conditions: [
      expr`#f = ${seen.floor} AND #s = ${seen.seq} AND #q = ${seen.size}`,
      // The owner has moved no threshold meanwhile.
      unchangedSince(seen.item, ['b', 'w', 'i']),
      expr`#l >= ${units - seen.floor + floor} AND #l < ${units}`,
      ...(spared > 0 ? [expr`#l < ${units - spared}`] : []),
    ],
    callsRenewal: crossed.renewal,
  }
}
