import { array, assert as check, constantFrom, integer, property, record } from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Allowance,
  allowanceAfter,
  keyLeftOf,
  limitRefusal,
  microsecondsAt,
  periodEndMs,
  periodStart,
  rateStanding,
  waitSeconds,
} from '../../core/quota/key-limits.ts'
import { dayOf } from '../../core/quota/quota.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
type Day = readonly [year: number, month: number, date: number]
const utc = ([year, month, date]: Day) => Date.UTC(year, month, date)
const dayAt = (day: Day) => dayOf(utc(day))

const allowanceAt = (limits: Allowance['limits'], arrivalUs = 0, nowMs = NOW_MS): Allowance => ({
  limits,
  ceiling: limits.budget?.units ?? Infinity,
  taken: 0,
  periodEndMs: undefined,
  arrivalUs,
  nowUs: microsecondsAt(nowMs),
})

describe('the period of a budget', () => {
  test.each([
    ['day', [2026, 10, 21], [2026, 10, 21], [2026, 10, 22]],
    ['month', [2026, 10, 1], [2026, 10, 1], [2026, 11, 1]],
    ['month', [2026, 11, 31], [2026, 11, 1], [2027, 0, 1]],
    ['month', [2028, 1, 29], [2028, 1, 1], [2028, 2, 1]],
  ] as const)('by %s, on %j, begins on %j and ends with %j', (per, day, start, end) => {
    const budget = { units: 1, per }
    expect(periodStart(budget, dayAt(day))).toBe(dayAt(start))
    expect(periodEndMs(budget, dayAt(day))).toBe(utc(end))
  })

  test('for good has neither', () => {
    const budget = { units: 1, per: 'total' } as const
    expect([periodStart(budget, 20_000), periodEndMs(budget, 20_000)]).toEqual([undefined, undefined])
  })
})

/** A rate, as owners can set it. */
const rates = record({
  unitsPerSecond: constantFrom(0.001, 0.3, 1, 3, 7.77, 100, 999, 123_456, 1_000_000),
  burst: integer({ min: 1, max: 2000 }),
})
const requests = array(
  record({ waitMs: constantFrom(0, 0, 1, 5, 100, 999, 1000, 60_000), units: integer({ min: 1, max: 300 }) }),
  { minLength: 1, maxLength: 60 },
)

/** The requests that pass, with their times. */
function passing(rate: { unitsPerSecond: number; burst: number }, sent: { waitMs: number; units: number }[]) {
  let nowMs = NOW_MS
  let { arrivalUs } = allowanceAt({ rate })
  return sent.flatMap(({ waitMs, units }) => {
    nowMs += waitMs
    const allowance = allowanceAt({ rate }, arrivalUs, nowMs)
    if (limitRefusal(allowance, units)) return []
    ;({ arrivalUs } = allowanceAfter(allowance, units))
    return [{ atMs: nowMs, units }]
  })
}

describe('a rate', () => {
  test('never lets more than burst + rate × time through, in any window', () => {
    check(
      property(rates, requests, (rate, sent) => {
        const passed = passing(rate, sent)
        passed.forEach((first, from) => {
          let units = 0
          for (const { atMs, units: more } of passed.slice(from)) {
            units += more
            // Times are rounded to microseconds.
            const seconds = (atMs - first.atMs) / 1000 + 1e-6
            expect(units).toBeLessThanOrEqual(rate.burst + rate.unitsPerSecond * seconds + 1e-9)
          }
        })
      }),
      { numRuns: 300, seed: 20261128 },
    )
  })

  test('lets a burst through at once, and again once the bucket has refilled', () => {
    check(
      property(rates, (rate) => {
        const full = allowanceAt({ rate })
        expect(limitRefusal(full, rate.burst)).toBe(undefined)
        const empty = allowanceAfter(full, rate.burst)
        expect(limitRefusal(empty, 1)).toBe('rate_limited')
        const later = { ...empty, nowUs: empty.nowUs + Math.ceil((rate.burst * 1e6) / rate.unitsPerSecond) }
        expect(limitRefusal(later, rate.burst)).toBe(undefined)
      }),
      { numRuns: 100, seed: 20261128 },
    )
  })

  test('tells a wait after which the request passes, and units left that pass at once', () => {
    check(
      property(rates, requests, integer({ min: 1, max: 300 }), (rate, sent, units) => {
        let used = allowanceAt({ rate })
        for (const each of passing(rate, sent))
          used = allowanceAfter(allowanceAt({ rate }, used.arrivalUs, each.atMs), each.units)
        const { left = 0, nextSeconds = 0 } = rateStanding(used) ?? {}
        if (left > 0) expect(limitRefusal(used, left)).toBe(undefined)
        const next = { ...used, nowUs: used.nowUs + nextSeconds * 1e6 }
        if (left < rate.burst) expect(limitRefusal(next, left + 1)).toBe(undefined)
        const refusal = limitRefusal(used, units)
        if (refusal !== 'rate_limited') return
        const seconds = waitSeconds(used, units, refusal, NOW_MS) ?? 0
        expect(limitRefusal({ ...used, nowUs: used.nowUs + seconds * 1e6 }, units)).toBe(undefined)
      }),
      { numRuns: 300, seed: 20261128 },
    )
  })

  test('refuses more units than a burst for good', () => {
    const full = allowanceAt({ rate: { unitsPerSecond: 1_000_000, burst: 10 } })
    expect(limitRefusal(full, 11)).toBe('over_burst')
    expect(waitSeconds(full, 11, 'over_burst', NOW_MS)).toBe(undefined)
  })

  test('with a bucket of a billion units that refills for thousands of years has times that can be stored', () => {
    const rate = { unitsPerSecond: 0.001, burst: 1_000_000_000 }
    const { arrivalUs } = allowanceAfter(allowanceAt({ rate }), rate.burst)
    expect(Number.isSafeInteger(arrivalUs)).toBe(true)
  })
})

describe('a budget', () => {
  const budget = { units: 100, per: 'day' } as const
  const endMs = Date.UTC(2026, 10, 22)
  const allowance = { ...allowanceAt({ budget }), ceiling: 1100, taken: 1040, periodEndMs: endMs }

  test('lets its last unit through and no more, and tells what is left and until when', () => {
    expect(keyLeftOf(allowance)).toBe(60)
    expect(limitRefusal(allowance, 60)).toBe(undefined)
    expect(limitRefusal(allowanceAfter(allowance, 60), 1)).toBe('key_budget_exhausted')
    expect(limitRefusal(allowance, 61)).toBe('key_budget_exhausted')
    expect(waitSeconds(allowance, 61, 'key_budget_exhausted', NOW_MS)).toBe(12 * 3600)
  })

  test('that was lowered below what is used has nothing left', () => {
    expect(keyLeftOf({ ...allowance, ceiling: 1000 })).toBe(0)
  })

  test('of fewer units than the request, or for good, has no end to wait for', () => {
    expect(waitSeconds(allowance, 101, 'key_budget_exhausted', NOW_MS)).toBe(undefined)
    const total = { ...allowance, limits: { budget: { units: 100, per: 'total' as const } } }
    expect(waitSeconds({ ...total, periodEndMs: undefined }, 61, 'key_budget_exhausted', NOW_MS)).toBe(
      undefined,
    )
  })
})
