import { DomainError } from '../errors.ts'
import { attr, type Expression, expr, join, unchangedSince } from '../table/expression.ts'
import { keys, RESERVATION_KEPT_MS, reservationKey, ttlAt } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { readAllowance } from './allowance.ts'
import { balanceChange } from './change-balance.ts'
import { CONSUME_ATTEMPTS, pauseBetween, type Use, useOf } from './consume.ts'
import { admitKey, type Counter, parseCounter, readCounter } from './counter.ts'
import { changeDay } from './day-snapshot.ts'
import { evictIfFull, makeRoom } from './evict.ts'
import {
  countsUse,
  forKey,
  type KeyCaller,
  type KeyOrAccount,
  type QuotaDeps,
  type Spender,
  whileCounting,
  whileLive,
} from './key-caller.ts'
import {
  coveredUnits,
  type Holder,
  readHolder,
  renewedUnits,
  type SettleTerms,
  settleWithin,
} from './overrun.ts'
import { dayOf, keyUseAttribute } from './quota.ts'
import { startRenewal } from './renewal-call.ts'
import { type RequestId, requestIdOf } from './request-id.ts'
import {
  expiryAfter,
  LATE_REPORT_MS,
  type Nonces,
  nonceIn,
  OPEN_IN_COUNTER,
  openIn,
  type Reservation,
  readStoredReservation,
  reservationEntry,
} from './reservation.ts'
import { isSpent, newEntry, newItem, openReservation } from './reserve.ts'
import { ringMost } from './ring-size.ts'
import { countTags, leaveUntagged, type TaggedUse } from './tags.ts'

/** What whoever settles a reservation is told. */
export interface Settled extends Spender, Use {
  /** The reservation's id. */
  id: string
  /** Units that were used, as the request says. */
  units: number
  /** Units of these that are paid for: all but those for which neither the reservation nor the balance had units. */
  covered: number
}

export interface SettleRequest {
  reservationId: string
  /** 0 gives everything back. */
  units: number
  requestId?: string | undefined
  /** What the units were used for. */
  tag?: string | undefined
}

/** A reservation that is found. */
interface Found {
  reservation: Reservation
  /** Where it is. A lease that has expired is in an item too. */
  place: 'counter' | 'item' | 'expired'
}

/**
 * Ends a reservation: the units used are kept, the rest returns. If more were used than reserved, what is left above
 * is taken as far as it goes. Usually one read and one write.
 * @throws DomainError `reservation_ended`, which changes nothing; `not_found` for what is no id of a reservation;
 *   `unauthorized`, `account_deactivated`, `account_suspended`, `temporarily_unavailable`
 */
export async function settleReservation(
  deps: QuotaDeps,
  key: KeyOrAccount,
  request: SettleRequest,
): Promise<Settled> {
  const { reservationId, units, requestId, tag } = request
  const nonce = nonceIn(reservationId)
  return forKey(deps, key, async (caller) => {
    if (!nonce) throw new DomainError('not_found')
    const id = requestIdOf(
      deps,
      caller.accountId,
      // The units belong to the name: an answer to a repeat says what was covered, which is true of these units only.
      requestId === undefined
        ? [reservationId, `settle ${units}`]
        : [requestId, `settle ${reservationId} ${units}`],
    )
    const { counter, by, covered, replayed } = await endReservation(deps, caller, {
      nonce,
      id,
      use: [{ tag, units }],
    })
    const left = useOf(counter, await readAllowance(deps, by, counter))
    return { id: reservationId, units, covered, ...left, ...(replayed && { replayed }) }
  })
}

/** How a reservation ends. */
export interface Ending {
  nonce: Buffer
  id: RequestId
  /** Units that were used, and what for. */
  use: readonly TaggedUse[]
  /** The lease that the same write opens, if it can have units. */
  next?: { nonces: Nonces; units: number; ttlSeconds: number } | undefined
}

/** What ended a reservation. */
export interface Ended {
  counter: Counter
  /** The caller as last checked. */
  by: KeyCaller
  /** Units used that are paid for. */
  covered: number
  /** The lease that was opened; undefined if there is none or, for a repeat, if it has ended since. */
  next: Reservation | undefined
  /** The reservation; undefined for a repeat. */
  reservation: Reservation | undefined
  replayed?: true
}

/**
 * Ends a reservation once.
 * @throws DomainError `reservation_ended` if it has ended by another request, and as `settleReservation`
 */
export async function endReservation(deps: QuotaDeps, found: KeyCaller, ending: Ending): Promise<Ended> {
  let caller = found
  const { accountId } = caller
  const { nonce, id, use } = ending
  const units = totalUnits(use)
  let counter = await readCounter(deps, accountId)
  let inDoubt = false
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    caller = await admitKey(deps, counter, caller, inDoubt)
    const open = await findReservation(deps, accountId, counter, nonce)
    if (!open) {
      if (!(await isSpent(deps, accountId, counter, id))) throw new DomainError('reservation_ended')
      const covered = (await readStoredReservation(deps, accountId, nonce))?.covered ?? units
      if (inDoubt) leaveUntagged(deps, accountId, use)
      const next = ending.next && (await openReservation(deps, accountId, counter, ending.next.nonces))
      const ended = { counter, by: caller, covered, next, reservation: undefined }
      return { ...ended, ...(!inDoubt && { replayed: true }) }
    }
    const terms = termsOf(open, ending)
    const holder = await readHolder(deps, caller, open.reservation, counter, terms)
    if (!holder) {
      counter = await readCounter(deps, accountId)
      continue
    }
    // Asked after the limits were read, so that these are not those of a day that the counter is not on yet.
    const today = dayOf(deps.clock.nowMs())
    const moved =
      counter.day < today
        ? await changeDay(deps, accountId, counter, today)
        : await makeRoom(deps, accountId, counter, id.entries.length)
    if (moved) {
      counter = moved
      continue
    }
    const settling = decideSettle(deps, open, ending, terms, holder, counter)
    try {
      const after = await writeSettle(deps, caller, open, settling, counter)
      await evictIfFull(deps, accountId, after, id.entries.length)
      const { slot } = open.reservation
      await countTags(deps, { accountId, slot }, after, firstUnits(use, settling.counted))
      return { counter: after, by: caller, ...settling, reservation: open.reservation }
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = error.failed.get(0) ? parseCounter(error.failed.get(0)) : await readCounter(deps, accountId)
      inDoubt ||= error.inDoubt
    }
  }
  throw new DomainError('temporarily_unavailable')
}

export const totalUnits = (use: readonly TaggedUse[]): number =>
  use.reduce((sum, { units }) => sum + units, 0)

/** The first `most` of these units. */
function firstUnits(use: readonly TaggedUse[], most: number): TaggedUse[] {
  let left = most
  return use.map(({ tag, units }) => {
    const counted = Math.min(units, left)
    left -= counted
    return { tag, units: counted }
  })
}

async function findReservation(
  deps: QuotaDeps,
  accountId: string,
  counter: Counter,
  nonce: Buffer,
): Promise<Found | undefined> {
  const inCounter = openIn(counter).find((each) => each.nonce.equals(nonce))
  if (inCounter) return { reservation: inCounter, place: 'counter' }
  const { open, expired } = (await readStoredReservation(deps, accountId, nonce)) ?? {}
  if (open) return { reservation: open, place: 'item' }
  if (!expired || deps.clock.nowMs() >= expired.expiresAtMs + LATE_REPORT_MS) return undefined
  return { reservation: expired, place: 'expired' }
}

/** A settle as it is written. */
interface Settling {
  id: RequestId
  /** Units held before and afterwards. */
  before: number
  after: number
  /** Units of the use that are paid for, and those of them that are not counted as used yet. */
  covered: number
  counted: number
  /** Whether what is left, for the account or for the key, is taken to the last unit, and does not suffice. */
  isPartial: boolean
  next: Reservation | undefined
  holder: Holder
}

/** What a settle asks for, and what it has without taking more. */
function termsOf({ reservation, place }: Found, { use, next }: Ending): SettleTerms {
  // Of an expired lease nothing is held: its units have returned, or they are counted as used.
  const isOpen = place !== 'expired'
  return {
    units: totalUnits(use),
    before: isOpen ? reservation.units : 0,
    charged: !isOpen && reservation.unreported === 'charge' ? reservation.units : 0,
    wanted: (isOpen && next?.units) || 0,
  }
}

function decideSettle(
  deps: QuotaDeps,
  { reservation }: Found,
  { id, next }: Ending,
  terms: SettleTerms,
  holder: Holder,
  counter: Counter,
): Settling {
  const { units, before, charged } = terms
  const covered = coveredUnits(terms, counter, holder)
  const counted = Math.max(0, covered - charged)
  const after = renewedUnits(terms, counted, counter, holder)
  const opened = next &&
    after > 0 && {
      ...reservation,
      nonce: next.nonces[0],
      units: after,
      expiresAtMs: expiryAfter(deps, next.ttlSeconds),
    }
  const isPartial = covered < units
  return { id, before, after, covered, counted, isPartial, next: opened || undefined, holder }
}

/** @throws ConditionFailed */
async function writeSettle(
  deps: QuotaDeps,
  caller: KeyCaller,
  found: Found,
  settling: Settling,
  seen: Counter,
): Promise<Counter> {
  const { accountId } = caller
  const { slot } = found.reservation
  const { id, before, after, covered, counted } = settling
  const change = balanceChange(deps, accountId, before - counted - after, seen)
  const entries = await changeEntries(deps, accountId, found, settling.next, seen)
  const limits = settleWithin(settling.holder, seen, {
    growth: counted + after - before,
    opened: after,
    isPartial: settling.isPartial,
  })
  // The use of a key that was revoked meanwhile counts for the account alone.
  const adds = [
    ...limits.adds,
    expr`#u ${counted}, #y ${after - before}, #a ${new Set(id.entries)}`,
    ...(countsUse(seen.item, slot) ? [expr`${attr(keyUseAttribute(slot))} ${counted}`] : []),
    ...entries.adds,
  ]
  const set = join(
    [
      join([expr`SET `, join([...change.sets, ...limits.sets, ...entries.sets], ', ')], ''),
      join([expr`ADD `, join(adds, ', ')], ''),
      ...entries.removes,
    ],
    ' ',
  )
  const condition = join(
    [
      ...whileLive(caller),
      expr`attribute_not_exists(#x)`,
      expr`(attribute_not_exists(#a) OR size(#a) <= ${ringMost(seen.item) - id.entries.length})`,
      ...whileCounting(seen.item, slot),
      ...entries.conditions,
      // What is left is taken to the last unit, so nothing may have changed.
      ...(settling.isPartial ? [expr`#l = ${seen.aboveFloor}`] : []),
      ...limits.conditions,
      ...change.conditions,
    ],
    ' AND ',
  )
  const update = { update: keys.quota(accountId), set, if: condition }
  const isNoted = found.place !== 'counter' || settling.isPartial
  const items = [
    ...(isNoted ? [endedItem(accountId, found.reservation, covered, found.place)] : []),
    ...entries.items,
  ]
  const counter =
    items.length > 0
      ? await deps.table.transact([update, ...items]).then(() => readCounter(deps, accountId))
      : parseCounter(await deps.table.update(update.update, set, condition))
  if (change.callsRenewal) await startRenewal(deps, accountId)
  return counter
}

/**
 * What the write of a settle says to take the entry of a reservation out of the counter, and to add that of the next
 * lease, or what it writes besides for those with items of their own.
 */
async function changeEntries(
  deps: QuotaDeps,
  accountId: string,
  { reservation, place }: Found,
  next: Reservation | undefined,
  seen: Counter,
) {
  const none: Expression[] = []
  const change = { sets: none, adds: none, removes: none, conditions: none, items: [] as Write[] }
  const entry = reservationEntry(reservation)
  if (place === 'counter' && next) {
    // One expression cannot both add to a set and remove from it, so the set is replaced as a whole.
    const others = openIn(seen).filter((each) => !each.nonce.equals(reservation.nonce))
    const entries = new Set([...others, next].map(reservationEntry))
    return { ...change, sets: [expr`#v = ${entries}`], conditions: [unchangedSince(seen.item, ['v'])] }
  }
  if (place === 'counter')
    return {
      ...change,
      removes: [expr`DELETE #v ${new Set([entry])}`],
      conditions: [expr`contains(#v, ${entry})`],
    }
  if (!next) return change
  if (openIn(seen).length >= OPEN_IN_COUNTER) return { ...change, items: [newItem(accountId, next)] }
  const { add, sets, conditions } = await newEntry(deps, accountId, next, seen)
  return { ...change, adds: [add], sets, conditions }
}

/** Marks the item of a reservation as ended. One that was in the counter gets an item with what was covered. */
export function endedItem(
  accountId: string,
  { nonce, expiresAtMs }: Reservation,
  covered: number,
  place: Found['place'],
): Write {
  const { ttl } = ttlAt(expiresAtMs + RESERVATION_KEPT_MS)
  return {
    update: reservationKey(accountId, nonce.toString('hex')),
    set: expr`SET #covered = ${covered}, #ttl = ${ttl} REMOVE #due, #dueAtMs, #expired`,
    if: {
      counter: expr`attribute_not_exists(#due)`,
      item: expr`attribute_exists(#due)`,
      expired: expr`attribute_exists(#expired)`,
    }[place],
  }
}
