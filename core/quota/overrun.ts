import { readKeyRecord } from '../keys/key-record.ts'
import { keyIdOf } from '../keys/key-text.ts'
import { keyStamp } from '../keys/settings.ts'
import type { Deps } from '../ports.ts'
import { attr, expr } from '../table/expression.ts'
import { readAllowance, UNLIMITED } from './allowance.ts'
import { balanceOf, type Counter } from './counter.ts'
import { isLiveKey, type KeyCaller } from './key-caller.ts'
import {
  type Allowance,
  allowanceAfter,
  changeTaken,
  drainBucket,
  keyLeftOf,
  rateStanding,
  takeWithin,
  type WriteParts,
} from './key-limits.ts'
import { keyArrivalAttribute, keyHashAttribute, keyTakenAttribute } from './quota.ts'
import type { Reservation } from './reservation.ts'

/** The key that has made a reservation, with its limits as far as a settle needs them. */
export interface Holder {
  slot: number
  allowance: Allowance
  /** What the counter has in `h<slot>` as long as the key has these limits. */
  stamp: Buffer | undefined
}

/** What a settle asks for, and what it has without taking more. In units. */
export interface SettleTerms {
  /** Used. */
  units: number
  /** Held until now. */
  before: number
  /** Counted as used when the lease expired. */
  charged: number
  /** Of the renewed lease; 0 if there is to be none. */
  wanted: number
}

/**
 * The key that has made a reservation. Its limits matter only if more units were used than reserved, or if a lease is
 * renewed. They take a read if another key settles the reservation.
 * @returns undefined if its settings have changed since the counter was read
 */
export async function readHolder(
  deps: Deps<'table' | 'keyring'>,
  caller: KeyCaller,
  { slot }: Reservation,
  counter: Counter,
  { units, before, charged, wanted }: SettleTerms,
): Promise<Holder | undefined> {
  const { accountId } = caller
  const isLimited = [keyTakenAttribute(slot), keyArrivalAttribute(slot)].some((name) => name in counter.item)
  const takesMore = units > before + charged || wanted > 0
  if (!takesMore || !isLimited) return { slot, allowance: UNLIMITED, stamp: undefined }
  if (slot === caller.slot)
    return { slot, allowance: await readAllowance(deps, caller, counter), stamp: caller.stamp }
  const record = await readKeyRecord(deps, accountId, keyIdOf(accountId, slot))
  const stamp = record?.hash && keyStamp(record.hash, record.revision)
  if (!record || !stamp || !isLiveKey(counter.item, { slot, stamp })) return undefined
  const { settings: limits } = record
  return { slot, allowance: await readAllowance(deps, { accountId, slot, limits }, counter), stamp }
}

/** Units of a settle for which the reservation, or else the balance within the budget of its key, has units. */
export const coveredUnits = (
  { units, before, charged }: SettleTerms,
  counter: Counter,
  { allowance }: Holder,
): number =>
  Math.min(units, before + charged + Math.min(balanceOf(counter), keyLeftOf(allowance) ?? Infinity))

/**
 * Units that a renewed lease has, when `counted` units of its use count. Those that it already held do not count again
 * in the rate. After a smaller budget they return as far as they exceed it.
 */
export function renewedUnits(
  { before, wanted }: SettleTerms,
  counted: number,
  counter: Counter,
  { allowance }: Holder,
): number {
  const kept = before - counted
  const rate = rateStanding(allowanceAfter(allowance, Math.max(0, -kept)))
  const most = Math.min(
    balanceOf(counter) + kept,
    allowance.ceiling - allowance.taken + kept,
    Math.max(0, kept) + (rate?.left ?? Infinity),
  )
  return Math.max(0, Math.min(wanted, most))
}

/**
 * What the write of a settle says of the limits of the key that has made the reservation.
 * @param change units by which those used and held grow, which may be below zero, and units of the renewed lease
 */
export function settleWithin(
  { slot, allowance, stamp }: Holder,
  seen: Counter,
  { growth, opened, isPartial }: { growth: number; opened: number; isPartial: boolean },
): WriteParts {
  const held = changeTaken(seen.item, slot, growth)
  if (!stamp) return held
  const { sets, conditions } = growth > 0 ? takeFromBucket(slot, allowance, growth) : NO_PARTS
  const taken = attr(keyTakenAttribute(slot))
  const { ceiling } = allowance
  return {
    sets,
    adds: held.adds,
    conditions: [
      ...held.conditions,
      ...conditions,
      expr`${attr(keyHashAttribute(slot))} = ${stamp}`,
      ...(ceiling < Infinity && (growth > 0 || opened > 0) ? [expr`${taken} <= ${ceiling - growth}`] : []),
      // The rest of the budget is taken to the last unit, so nothing may have changed.
      ...(ceiling < Infinity && isPartial ? [expr`${taken} = ${allowance.taken}`] : []),
    ],
  }
}

const NO_PARTS: WriteParts = { sets: [], adds: [], conditions: [] }

/** Units used beyond a reservation may be more than the rate has left, and units newly leased never are. */
function takeFromBucket(slot: number, allowance: Allowance, units: number): WriteParts {
  const { rate } = allowance.limits
  if (!rate || units > (rateStanding(allowance)?.left ?? 0)) return drainBucket(slot, allowance, units)
  return takeWithin(slot, { ...allowance, limits: { rate } }, units)
}
