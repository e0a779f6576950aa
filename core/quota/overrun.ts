import { readKeyRecord } from '../keys/key-record.ts'
import { keyIdOf } from '../keys/key-text.ts'
import { keyStamp } from '../keys/settings.ts'
import type { Deps } from '../ports.ts'
import { attr, expr } from '../table/expression.ts'
import { readAllowance, UNLIMITED } from './allowance.ts'
import { balanceOf, type Counter } from './counter.ts'
import { isLiveKey, type KeyCaller } from './key-caller.ts'
import { type Allowance, changeTaken, drainBucket, keyLeftOf, type WriteParts } from './key-limits.ts'
import { keyArrivalAttribute, keyHashAttribute, keyTakenAttribute } from './quota.ts'
import type { Reservation } from './reservation.ts'

/** The key that has made a reservation, with its limits as far as a settle needs them. */
export interface Holder {
  slot: number
  allowance: Allowance
  /** What the counter has in `h<slot>` as long as the key has these limits. */
  stamp: Buffer | undefined
}

/**
 * The key that has made a reservation. Its limits matter only if more units were used than reserved. They take a read
 * if another key settles the reservation.
 * @returns undefined if its settings have changed since the counter was read
 */
export async function readHolder(
  deps: Deps<'table' | 'keyring'>,
  caller: KeyCaller,
  { slot, units: reserved }: Reservation,
  counter: Counter,
  units: number,
): Promise<Holder | undefined> {
  const { accountId } = caller
  const isLimited = [keyTakenAttribute(slot), keyArrivalAttribute(slot)].some((name) => name in counter.item)
  if (units <= reserved || !isLimited) return { slot, allowance: UNLIMITED, stamp: undefined }
  if (slot === caller.slot)
    return { slot, allowance: await readAllowance(deps, caller, counter), stamp: caller.stamp }
  const record = await readKeyRecord(deps, accountId, keyIdOf(deps, accountId, slot))
  const stamp = record?.hash && keyStamp(record.hash, record.revision)
  if (!record || !stamp || !isLiveKey(counter.item, { slot, stamp })) return undefined
  const { settings: limits } = record
  return { slot, allowance: await readAllowance(deps, { accountId, slot, limits }, counter), stamp }
}

/** Units of a settle for which the reservation, or else the balance within the budget of its key, has units. */
export const coveredUnits = (
  units: number,
  { units: reserved }: Reservation,
  counter: Counter,
  { allowance }: Holder,
): number => Math.min(units, reserved + Math.min(balanceOf(counter), keyLeftOf(allowance) ?? Infinity))

/** What the write of a settle says of the limits of the key that has made the reservation. */
export function settleWithin(
  { slot, allowance, stamp }: Holder,
  seen: Counter,
  reserved: number,
  { units, covered }: { units: number; covered: number },
): WriteParts {
  const held = changeTaken(seen.item, slot, covered - reserved)
  const overrun = Math.max(0, covered - reserved)
  const { sets, conditions } = drainBucket(slot, allowance, overrun)
  if (units <= reserved || !stamp) return held
  const taken = attr(keyTakenAttribute(slot))
  const { ceiling } = allowance
  return {
    sets,
    adds: held.adds,
    conditions: [
      ...held.conditions,
      ...conditions,
      expr`${attr(keyHashAttribute(slot))} = ${stamp}`,
      ...(ceiling < Infinity && overrun > 0 ? [expr`${taken} <= ${ceiling - overrun}`] : []),
      // The rest of the budget is taken to the last unit, so nothing may have changed.
      ...(ceiling < Infinity && covered < units ? [expr`${taken} = ${allowance.taken}`] : []),
    ],
  }
}
