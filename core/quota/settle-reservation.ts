import { DomainError } from '../errors.ts'
import { attr, type Expression, expr, join, unchangedSince } from '../table/expression.ts'
import { keys, RESERVATION_KEPT_MS, reservationKey, ttlAt } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { readAllowance } from './allowance.ts'
import { staysUnder } from './apply-ledger.ts'
import { CONSUME_ATTEMPTS, pauseBetween, type Use, useOf } from './consume.ts'
import { admitKey, balanceOf, type Counter, parseCounter, readCounter } from './counter.ts'
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
import { coveredUnits, type Holder, readHolder, settleWithin } from './overrun.ts'
import { dayOf, keyUseAttribute } from './quota.ts'
import { callByConsume, startRenewal } from './renewal-call.ts'
import { type RequestId, requestIdOf } from './request-id.ts'
import { nonceIn, openIn, type Reservation, readStoredReservation, reservationEntry } from './reservation.ts'
import { isSpent } from './reserve.ts'
import { ringMost } from './ring-size.ts'
import { countTags, leaveUntagged } from './tags.ts'
import { balanceParts, crossedThresholds, thresholdAbove } from './thresholds.ts'

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

/** A reservation that is found, and whether it has an item of its own. */
interface Found {
  reservation: Reservation
  isMoved: boolean
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
  const nonce = nonceIn(request.reservationId)
  return forKey(deps, key, async (caller) => {
    if (!nonce) throw new DomainError('not_found')
    const { counter, by, ...settled } = await settleOnce(deps, caller, nonce, request)
    const { reservationId: id, units } = request
    return { id, units, ...settled, ...useOf(counter, await readAllowance(deps, by, counter)) }
  })
}

async function settleOnce(
  deps: QuotaDeps,
  found: KeyCaller,
  nonce: Buffer,
  { reservationId, units, requestId, tag }: SettleRequest,
): Promise<{ counter: Counter; by: KeyCaller; covered: number; replayed?: true }> {
  let caller = found
  const { accountId } = caller
  const id = requestIdOf(
    deps,
    accountId,
    // The units belong to the name: an answer to a repeat says what was covered, which is true of these units only.
    requestId === undefined
      ? [reservationId, `settle ${units}`]
      : [requestId, `settle ${reservationId} ${units}`],
  )
  let counter = await readCounter(deps, accountId)
  let inDoubt = false
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    caller = await admitKey(deps, counter, caller)
    const open = await findReservation(deps, accountId, counter, nonce)
    if (!open) {
      if (!(await isSpent(deps, accountId, counter, id))) throw new DomainError('reservation_ended')
      const covered = (await readStoredReservation(deps, accountId, nonce))?.covered ?? units
      if (inDoubt) leaveUntagged(deps, accountId, [{ tag, units }])
      return { counter, by: caller, covered, ...(!inDoubt && { replayed: true }) }
    }
    const today = dayOf(deps.clock.nowMs())
    const moved =
      counter.day < today
        ? await changeDay(deps, accountId, counter, today)
        : await makeRoom(deps, accountId, counter, 1)
    if (moved) {
      counter = moved
      continue
    }
    const holder = await readHolder(deps, caller, open.reservation, counter, units)
    if (!holder) {
      counter = await readCounter(deps, accountId)
      continue
    }
    const covered = coveredUnits(units, open.reservation, counter, holder)
    try {
      const after = await writeSettle(deps, caller, open, { id, units, covered, holder }, counter)
      await evictIfFull(deps, accountId, after, 1)
      const { slot } = open.reservation
      await countTags(deps, { accountId, slot }, after, [{ tag, units: covered }])
      return { counter: after, by: caller, covered }
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = error.failed.has(0) ? parseCounter(error.failed.get(0)) : await readCounter(deps, accountId)
      inDoubt ||= error.inDoubt
    }
  }
  throw new DomainError('temporarily_unavailable')
}

async function findReservation(
  deps: QuotaDeps,
  accountId: string,
  counter: Counter,
  nonce: Buffer,
): Promise<Found | undefined> {
  const inCounter = openIn(counter).find((each) => each.nonce.equals(nonce))
  if (inCounter) return { reservation: inCounter, isMoved: false }
  const moved = (await readStoredReservation(deps, accountId, nonce))?.open
  return moved && { reservation: moved, isMoved: true }
}

/** A settle as it is written. */
interface Settling {
  id: RequestId
  units: number
  covered: number
  holder: Holder
}

/** @throws ConditionFailed */
async function writeSettle(
  deps: QuotaDeps,
  caller: KeyCaller,
  { reservation, isMoved }: Found,
  { id, units, covered, holder }: Settling,
  seen: Counter,
): Promise<Counter> {
  const { accountId } = caller
  const change = balanceChange(deps, accountId, reservation.units - covered, seen)
  const { slot } = reservation
  // The use of a key that was revoked meanwhile counts for the account alone.
  const limits = settleWithin(holder, seen, reservation.units, { units, covered })
  const adds = [
    ...limits.adds,
    expr`#u ${covered}, #y ${-reservation.units}, #a ${new Set([id.entry])}`,
    ...(countsUse(seen.item, slot) ? [expr`${attr(keyUseAttribute(slot))} ${covered}`] : []),
  ]
  const entry = reservationEntry(reservation)
  const isPartial = covered < units
  const set = join(
    [
      join([expr`SET `, join([...change.sets, ...limits.sets], ', ')], ''),
      join([expr`ADD `, join(adds, ', ')], ''),
      ...(isMoved ? [] : [expr`DELETE #v ${new Set([entry])}`]),
    ],
    ' ',
  )
  const condition = join(
    [
      ...whileLive(caller),
      expr`attribute_not_exists(#x)`,
      expr`(attribute_not_exists(#a) OR size(#a) < ${ringMost(seen.item)})`,
      ...whileCounting(seen.item, slot),
      ...(isMoved ? [] : [expr`contains(#v, ${entry})`]),
      // What is left is taken to the last unit, so nothing may have changed.
      ...(isPartial ? [expr`#l = ${seen.aboveFloor}`] : []),
      ...limits.conditions,
      ...change.conditions,
    ],
    ' AND ',
  )
  const update = { update: keys.quota(accountId), set, if: condition }
  const after =
    isMoved || isPartial
      ? await deps.table
          .transact([update, endedItem(accountId, reservation, covered, isMoved)])
          .then(() => readCounter(deps, accountId))
      : parseCounter(await deps.table.update(update.update, set, condition))
  if (change.callsRenewal) await startRenewal(deps, accountId)
  return after
}

/** Marks the item of a reservation as ended. One that was in the counter gets an item with what was covered. */
export function endedItem(
  accountId: string,
  { nonce, expiresAtMs }: Reservation,
  covered: number,
  isMoved: boolean,
) {
  const { ttl } = ttlAt(expiresAtMs + RESERVATION_KEPT_MS)
  return {
    update: reservationKey(accountId, nonce.toString('hex')),
    set: expr`SET #covered = ${covered}, #ttl = ${ttl} REMOVE #due, #dueAtMs`,
    if: isMoved ? expr`attribute_exists(#due)` : expr`attribute_not_exists(#due)`,
  }
}

/**
 * What a write of the counter says to change the units left by `units`, in step with the thresholds. It needs at least
 * one assignment and has them all.
 */
export function balanceChange(
  deps: Pick<QuotaDeps, 'clock'>,
  accountId: string,
  units: number,
  seen: Counter,
): { sets: Expression[]; conditions: Expression[]; callsRenewal: boolean } {
  const { floor } = balanceParts(balanceOf(seen) + units, seen)
  const delta = units + seen.floor - floor
  const nowMs = deps.clock.nowMs()
  const crossed = crossedThresholds(seen.floor, floor, seen, nowMs)
  return {
    sets: [expr`#l = #l + ${delta}, #f = ${floor}`, ...callByConsume(accountId, nowMs, crossed)],
    conditions: [
      unchangedSince(seen.item, ['f', 's', 'q', 'b', 'w', 'i']),
      expr`#l >= ${Math.max(0, -delta)}`,
      ...staysUnder(thresholdAbove(floor, seen) - floor - delta),
    ],
    callsRenewal: crossed.renewal,
  }
}
