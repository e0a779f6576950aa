import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, unchangedSince } from '../table/expression.ts'
import {
  dueAt,
  keys,
  RESERVATION_KEPT_MS,
  reservationAlarmKey,
  reservationKey,
  ttlAt,
} from '../table/keys.ts'
import { ConditionFailed, type Item, type Write } from '../table/table.ts'
import { limitError, readAllowance, seenAllowance } from './allowance.ts'
import { findArchived, isArchivable } from './archive.ts'
import { CONSUME_ATTEMPTS, fenceOf, pauseBetween, type Use, useOf } from './consume.ts'
import {
  admitKey,
  balanceOf,
  type Counter,
  hasId,
  parseCounter,
  readCounter,
  type Spending,
  spendUnits,
  spendUpdate,
} from './counter.ts'
import { changeDay } from './day-snapshot.ts'
import { evictIfFull, makeRoom } from './evict.ts'
import { forKey, type KeyCaller, type KeyOrAccount, type QuotaDeps, type Spender } from './key-caller.ts'
import { type Allowance, keyLeftOf, rateStanding } from './key-limits.ts'
import { firstLot } from './lots.ts'
import { dayOf } from './quota.ts'
import { noteRefusal, quotaExhausted, refusedBy } from './refusal.ts'
import { startRenewal } from './renewal-call.ts'
import { epochMsAt, type RequestId, requestIdOf } from './request-id.ts'
import {
  alarm,
  expiryAfter,
  LEASE,
  type Nonces,
  newNonces,
  OPEN_IN_COUNTER,
  openIn,
  type Reservation,
  readStoredReservation,
  reservationAttributes,
  reservationEntry,
  reservationIdOf,
  type Unreported,
} from './reservation.ts'

/** What whoever reserves is told. */
export interface Reserved extends Spender, Use {
  /** The reservation's id. */
  id: string
  /** Undefined for a repeat whose reservation has ended, as `expiresAtMs`. */
  units: number | undefined
  /** Epoch ms. */
  expiresAtMs: number | undefined
}

export interface ReservationRequest {
  /** At least 1. */
  units: number
  requestId?: string | undefined
  ttlSeconds: number
  /** Makes the reservation a lease, which takes what is left if that is less than `units`. */
  unreported?: Unreported | undefined
}

/**
 * Takes units from those left and holds them until the reservation is settled, given back or expired. Usually one
 * read and one write of the counter; another two writes set the alarm if no reservation was open.
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`; `quota_exhausted`,
 *   `key_budget_exhausted`, `rate_limited`, `over_burst`, which hold and record nothing; `temporarily_unavailable`
 */
export const reserveUnits = (
  deps: QuotaDeps,
  key: KeyOrAccount,
  request: ReservationRequest,
): Promise<Reserved> => forKey(deps, key, (caller) => reserveOnce(deps, caller, request))

async function reserveOnce(
  deps: QuotaDeps,
  found: KeyCaller,
  { units: most, requestId, ttlSeconds, unreported }: ReservationRequest,
): Promise<Omit<Reserved, keyof Spender>> {
  let caller = found
  const { accountId, slot } = caller
  const kind = unreported ? 'lease' : 'reserve'
  const id = requestId === undefined ? undefined : requestIdOf(deps, accountId, [requestId, kind])
  const nonces = newNonces(deps, accountId, id)
  const [nonce] = nonces
  const atMs = id ? epochMsAt(id.time) : deps.clock.nowMs()
  const idOf = (of: Buffer) => reservationIdOf(atMs, of, unreported && LEASE)
  let counter = await readCounter(deps, accountId)
  let inDoubt = false
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    caller = await admitKey(deps, counter, caller, inDoubt)
    const allowance = await readAllowance(deps, caller, counter)
    if (id && (await isSpent(deps, accountId, counter, id))) {
      const open = await openReservation(deps, accountId, counter, nonces)
      return {
        ...answerOf(counter, allowance, idOf(open?.nonce ?? nonce), open),
        ...(!inDoubt && { replayed: true }),
      }
    }
    // A lease of a single unit would do, so a renewal serves it whatever it asks for.
    const units = unreported ? leasable(most, counter, allowance) : most
    const limited = limitError(deps, allowance, units, useOf(counter, allowance))
    if (limited) throw limited
    if (units > balanceOf(counter)) {
      await noteRefusal(deps, accountId, counter, units)
      throw quotaExhausted(units, refusedBy(counter, allowance))
    }
    const today = dayOf(deps.clock.nowMs())
    // What expires has to, before others of the units are held.
    const needsToday = caller.limits.budget || firstLot(counter.item)
    const moved =
      needsToday && counter.day < today
        ? await changeDay(deps, accountId, counter, today)
        : id && (await makeRoom(deps, accountId, counter, id.entries.length))
    if (moved) {
      counter = moved
      continue
    }
    const reservation = { nonce, units, slot, unreported, expiresAtMs: expiryAfter(deps, ttlSeconds) }
    try {
      const room = OPEN_IN_COUNTER - tries
      const after = await hold(deps, caller, reservation, id, counter, { allowance, room })
      if (id) await evictIfFull(deps, accountId, after, id.entries.length)
      return answerOf(after, seenAllowance(caller, after, allowance), idOf(nonce), reservation)
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = error.failed.has(0) ? parseCounter(error.failed.get(0)) : await readCounter(deps, accountId)
      inDoubt ||= error.inDoubt
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** The units of a new lease that asks for `most`: as many as the balance and the limits of its key allow, at least 1. */
const leasable = (most: number, counter: Counter, allowance: Allowance): number =>
  Math.max(
    1,
    Math.min(
      most,
      balanceOf(counter),
      keyLeftOf(allowance) ?? Infinity,
      rateStanding(allowance)?.left ?? Infinity,
    ),
  )

/** Whether a request with this id has taken effect before the counter was read. */
export async function isSpent(
  deps: QuotaDeps,
  accountId: string,
  counter: Counter,
  id: RequestId,
): Promise<boolean> {
  if (hasId(counter, id)) return true
  return isArchivable(counter, id) && (await findArchived(deps, accountId, counter, [id])).spent.size > 0
}

/**
 * Holds the units in the counter, or in an item of their own if the counter has no room.
 * @param room less with each race that was lost, so that requests do not compete for the last room
 * @throws ConditionFailed
 */
async function hold(
  deps: QuotaDeps,
  caller: KeyCaller,
  reservation: Reservation,
  id: RequestId | undefined,
  seen: Counter,
  { allowance, room }: { allowance: Allowance; room: number },
): Promise<Counter> {
  const { units } = reservation
  const entries = id?.entries ?? []
  const late = id && isArchivable(seen, id)
  const isRoomy = openIn(seen).length < room
  const spending: Spending = {
    caller,
    allowance,
    units,
    // No use is counted. The counter's day matters for a budget and for units that expire, and is the right one then.
    today: seen.day,
    ids: entries,
    entries,
    fence: [...(late ? [expr`#g = ${seen.fence}`] : fenceOf(id)), unchangedSince<Item>(seen.item, ['E'])],
    seen,
    nowMs: deps.clock.nowMs(),
    adds: [expr`#y ${units}`],
  }
  if (!isRoomy) return holdInItem(deps, spending, reservation)
  const { add, sets, conditions } = await newEntry(deps, caller.accountId, reservation, seen)
  return spendUnits(deps, { ...spending, adds: [expr`#y ${units}`, add], sets, conditions }, !id)
}

/** What a write of the counter says to add the entry of a reservation. Sets the alarm unless there is one. */
export async function newEntry(
  deps: Deps<'table'>,
  accountId: string,
  reservation: Reservation,
  seen: Counter,
): Promise<{ add: Expression; sets: Expression[]; conditions: Expression[] }> {
  return {
    add: expr`#v ${new Set([reservationEntry(reservation)])}`,
    sets: await alarmFor(deps, accountId, seen),
    conditions: [
      expr`(attribute_not_exists(#v) OR size(#v) < ${OPEN_IN_COUNTER})`,
      unchangedSince(seen.item, ['z']),
    ],
  }
}

/** Puts the item of a reservation for which the counter has no room. */
export function newItem(accountId: string, reservation: Reservation): Write {
  const { nonce, expiresAtMs } = reservation
  const item = {
    ...reservationKey(accountId, nonce.toString('hex')),
    ...reservationAttributes(reservation),
    ...dueAt('RESERVED', accountId, expiresAtMs),
    ...ttlAt(expiresAtMs + RESERVATION_KEPT_MS),
  }
  // An item that has ended belongs to a request of days ago with the same id.
  return { put: item, if: expr`attribute_not_exists(#due)` }
}

/** @throws ConditionFailed */
async function holdInItem(deps: QuotaDeps, spending: Spending, reservation: Reservation): Promise<Counter> {
  const { accountId } = spending.caller
  const { set, condition, callsRenewal } = spendUpdate(spending)
  await deps.table.transact([
    { update: keys.quota(accountId), set, if: condition },
    newItem(accountId, reservation),
  ])
  if (callsRenewal) await startRenewal(deps, accountId)
  return readCounter(deps, accountId)
}

/**
 * Sets the alarm unless there is one.
 * @returns the assignment for the write that adds an entry, which also needs the condition that `z` is unchanged
 */
async function alarmFor(deps: Deps<'table'>, accountId: string, { item }: Counter): Promise<Expression[]> {
  if (Number(item.z ?? 0) > 0) return []
  const { token, set } = alarm(deps, accountId)
  await deps.table.update(reservationAlarmKey(accountId), set)
  return [expr`#z = ${token}`]
}

/** The reservation of a repeat, unless it has ended since. */
export async function openReservation(
  deps: QuotaDeps,
  accountId: string,
  counter: Counter,
  nonces: Nonces,
): Promise<Reservation | undefined> {
  const inCounter = openIn(counter).find(({ nonce }) => nonces.some((each) => each.equals(nonce)))
  if (inCounter) return inCounter
  for (const nonce of nonces) {
    const { open } = (await readStoredReservation(deps, accountId, nonce)) ?? {}
    if (open) return open
  }
  return undefined
}

const answerOf = (counter: Counter, allowance: Allowance, id: string, open: Reservation | undefined) => ({
  id,
  units: open?.units,
  expiresAtMs: open?.expiresAtMs,
  ...useOf(counter, allowance),
})
