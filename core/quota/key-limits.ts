import type { RateStanding } from '../errors.ts'
import type { KeyBudget, KeyLimits, KeyRate } from '../keys/settings.ts'
import { attr, type Expression, expr } from '../table/expression.ts'
import type { Item } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { keyArrivalAttribute, keyTakenAttribute } from './quota.ts'
import { idTimeAt } from './request-id.ts'

/*
 * Limits of one key, held in the write that spends.
 *
 * - Budget: `p<n>` counts the units that the key has used and holds in reservations, since it exists. What the key had
 *   used before the period began is subtracted. That is the snapshot of the last day before the period, which does not
 *   change any more once the counter is on a day of the period. Units of a reservation count in the period in which they
 *   are held, and in the end in the one in which they are settled. So no period has more use than its budget.
 * - Rate: a token bucket as GCRA. `t<n>` is the time at which the bucket is full again. A request moves `t<n>` on by
 *   the time in which its units refill, and passes if `t<n>` is at most the time in which a whole bucket refills ahead
 *   of the clock. Times are rounded so that a request waits up to a microsecond longer.
 */

/** What a key may spend at a moment, as far as its limits go. */
export interface Allowance {
  limits: KeyLimits
  /** Most that `p<n>` may become; Infinity without a budget. */
  ceiling: number
  /** Units that the key has used and holds; 0 without a budget. */
  taken: number
  /** When the key's budget begins anew, epoch ms; undefined if it never does. */
  periodEndMs: number | undefined
  /** When the key's bucket is full again, in microseconds since 2020; 0 without a rate. */
  arrivalUs: number
  /** The moment, in microseconds since 2020. */
  nowUs: number
}

/** Why a limit of the key refuses a request. */
export type LimitRefusal = 'over_burst' | 'key_budget_exhausted' | 'rate_limited'

const MICROSECONDS = 1_000_000

/** The longest time of a bucket: a hundred years, so that all times are whole numbers that can be stored. */
const LONGEST_US = 100 * 365 * 24 * 3600 * MICROSECONDS

/** A moment as `t<n>` has it. */
export const microsecondsAt = (atMs: number): number => Math.floor(idTimeAt(atMs) * 1000)

/** The time in which units refill, in microseconds, rounded up. */
const refillUs = (units: number, { unitsPerSecond }: KeyRate): number =>
  Math.min(LONGEST_US, Math.ceil((units * MICROSECONDS) / unitsPerSecond))

/** The first day of the period that a day is in (UTC, days since 1970); undefined of a budget for good. */
export function periodStart({ per }: KeyBudget, day: number): number | undefined {
  if (per === 'total') return undefined
  return per === 'day' ? day : monthStart(day, 0)
}

/** When the period that a day is in ends, epoch ms; undefined of a budget for good. */
export function periodEndMs({ per }: KeyBudget, day: number): number | undefined {
  if (per === 'total') return undefined
  return (per === 'day' ? day + 1 : monthStart(day, 1)) * DAY_MS
}

/** The first day of the month of a day, or of a later month. */
function monthStart(day: number, later: number): number {
  const date = new Date(day * DAY_MS)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + later, 1) / DAY_MS
}

/** The units that the key may still take in the period; undefined without a budget. */
export const keyLeftOf = ({ limits, ceiling, taken }: Allowance): number | undefined =>
  limits.budget ? Math.max(0, ceiling - taken) : undefined

/** When the bucket is full again if units are taken now. */
const arrivalAfter = ({ arrivalUs, nowUs }: Allowance, rate: KeyRate, units: number): number =>
  Math.max(arrivalUs, nowUs) + refillUs(units, rate)

/** The latest time at which a bucket may be full again after a request. */
const latestArrival = ({ nowUs }: Allowance, rate: KeyRate): number => nowUs + refillUs(rate.burst, rate)

/** Which limit refuses the units; undefined if they pass. What waiting cannot help comes first. */
export function limitRefusal(allowance: Allowance, units: number): LimitRefusal | undefined {
  const { limits, ceiling, taken } = allowance
  const { budget, rate } = limits
  if (rate && units > rate.burst) return 'over_burst'
  if (budget && taken > ceiling - units) return 'key_budget_exhausted'
  if (rate && arrivalAfter(allowance, rate, units) > latestArrival(allowance, rate)) return 'rate_limited'
  return undefined
}

/** Whole seconds until the units can pass, at least 1; undefined if no waiting helps. */
export function waitSeconds(
  allowance: Allowance,
  units: number,
  refusal: LimitRefusal,
  nowMs: number,
): number | undefined {
  const { limits, periodEndMs: endMs } = allowance
  const { budget, rate } = limits
  if (refusal === 'rate_limited' && rate)
    return secondsOf(arrivalAfter(allowance, rate, units) - latestArrival(allowance, rate))
  const helps = refusal === 'key_budget_exhausted' && budget && units <= budget.units
  return helps && endMs !== undefined ? secondsOf((endMs - nowMs) * 1000) : undefined
}

const secondsOf = (us: number): number => Math.max(1, Math.ceil(us / MICROSECONDS))

/** The allowance after units have passed. */
export const allowanceAfter = (allowance: Allowance, units: number): Allowance => ({
  ...allowance,
  taken: allowance.taken + (allowance.limits.budget ? units : 0),
  arrivalUs: allowance.limits.rate
    ? arrivalAfter(allowance, allowance.limits.rate, units)
    : allowance.arrivalUs,
})

/** Where the key stands with its rate; undefined without one. */
export function rateStanding(allowance: Allowance): RateStanding | undefined {
  const { rate } = allowance.limits
  if (!rate) return undefined
  const freeUs = Math.max(0, latestArrival(allowance, rate) - Math.max(allowance.arrivalUs, allowance.nowUs))
  const left = Math.min(rate.burst, Math.floor((freeUs * rate.unitsPerSecond) / MICROSECONDS))
  return {
    burst: rate.burst,
    windowSeconds: secondsOf(refillUs(rate.burst, rate)),
    left,
    nextSeconds: secondsOf(refillUs(left + 1, rate) - freeUs),
  }
}

/** Parts of a write of the counter. */
export interface WriteParts {
  sets: Expression[]
  adds: Expression[]
  conditions: Expression[]
}

/**
 * What a write says to take units within the limits of the key in a slot. Of the two forms of the rate, one for a
 * bucket that is full and one for another, the allowance says which one to try: the other fails.
 */
export function takeWithin(slot: number, allowance: Allowance, units: number): WriteParts {
  const { limits, ceiling, arrivalUs, nowUs } = allowance
  const { budget, rate } = limits
  const parts: WriteParts = { sets: [], adds: [], conditions: [] }
  if (budget) {
    const taken = attr(keyTakenAttribute(slot))
    parts.adds.push(expr`${taken} ${units}`)
    parts.conditions.push(expr`${taken} <= ${ceiling - units}`)
  }
  if (!rate) return parts
  const arrival = attr(keyArrivalAttribute(slot))
  const refill = refillUs(units, rate)
  if (arrivalUs <= nowUs) {
    parts.sets.push(expr`${arrival} = ${nowUs + refill}`)
    parts.conditions.push(expr`${arrival} <= ${nowUs}`)
  } else {
    parts.sets.push(expr`${arrival} = ${arrival} + ${refill}`)
    parts.conditions.push(
      expr`${arrival} > ${nowUs} AND ${arrival} <= ${latestArrival(allowance, rate) - refill}`,
    )
  }
  return parts
}

/**
 * What a write says of the rate for units that were used beyond a reservation. The work is done, so the rate does not
 * refuse them: they empty the bucket as far as they go.
 */
export function drainBucket(slot: number, allowance: Allowance, units: number): WriteParts {
  const { rate } = allowance.limits
  const parts: WriteParts = { sets: [], adds: [], conditions: [] }
  if (!rate || units === 0) return parts
  const arrival = attr(keyArrivalAttribute(slot))
  const drained = Math.min(arrivalAfter(allowance, rate, units), latestArrival(allowance, rate))
  parts.sets.push(expr`${arrival} = ${Math.max(allowance.arrivalUs, drained)}`)
  parts.conditions.push(expr`${arrival} = ${allowance.arrivalUs}`)
  return parts
}

/** What a write says of the budget of a key that takes more or, below zero, fewer units. */
export function changeTaken(counter: Item, slot: number, units: number): WriteParts {
  const name = keyTakenAttribute(slot)
  const taken = attr(name)
  return counter[name] === undefined
    ? { sets: [], adds: [], conditions: [expr`attribute_not_exists(${taken})`] }
    : { sets: [], adds: [expr`${taken} ${units}`], conditions: [expr`attribute_exists(${taken})`] }
}
