import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { limitReached, withRenewal } from '../../core/purchases/renewal-limits.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 10, 2)

/** The profile's count after renewals at these times. */
const renewedAt = (timesMs: readonly number[], cents = 99) =>
  timesMs.reduce<Parameters<typeof withRenewal>[0]>(
    (profile, atMs) => ({ renewed: withRenewal(profile, atMs, cents) }),
    { renewed: undefined },
  )

test('a renewal whose charge is older than others comes before them, and counts as long as its own time does', () => {
  const times = [START_MS + 3 * HOUR_MS, START_MS + HOUR_MS, START_MS + 2 * HOUR_MS]
  const { renewed } = renewedAt(times)
  expect(renewed?.recent?.map(({ atMs }) => atMs)).toEqual(times.toSorted((a, b) => a - b))
})

describe('the number of renewals', () => {
  test('in an hour and in a day is exact for up to 48 a day', () => {
    const gaps = fc.array(fc.integer({ min: 1, max: HOUR_MS }), { minLength: 1, maxLength: 48 })
    fc.assert(
      fc.property(gaps, fc.integer({ min: 1, max: 12 }), (steps, most) => {
        let atMs = START_MS
        const timesMs = steps.map((step) => (atMs += step))
        const profile = { ...renewedAt(timesMs), maxRenewalsPerHour: most, maxRenewalsPerDay: 3 * most }
        const nowMs = atMs + 1
        const within = (ms: number) => timesMs.filter((each) => each > nowMs - ms).length
        const isHeld = within(HOUR_MS) >= most || within(DAY_MS) >= 3 * most
        const reached = limitReached(profile, 99, nowMs)
        expect(reached !== undefined).toBe(isHeld)
        if (!reached) return
        expect(limitReached(profile, 99, reached.nextAttemptAtMs - 1)).toBeDefined()
        expect(limitReached(profile, 99, reached.nextAttemptAtMs)).toBeUndefined()
      }),
    )
  })

  test('of thousands a day stays small, never counts too few, and a fifth too many at most', () => {
    const timesMs = Array.from({ length: 9_000 }, (_, at) => START_MS + at * 20_000)
    const { renewed } = renewedAt(timesMs)
    const nowMs = START_MS + 8_999 * 20_000
    expect(JSON.stringify(renewed).length).toBeLessThan(2_000)
    for (const [ms, real] of [
      [HOUR_MS, 180],
      [DAY_MS, 4_320],
    ] as const) {
      const counted = (renewed?.recent ?? [])
        .filter(({ atMs }) => atMs > nowMs - ms)
        .reduce((sum, { count }) => sum + count, 0)
      expect(counted).toBeGreaterThanOrEqual(real)
      expect(counted).toBeLessThan(real * 1.25)
    }
  })

  test('and their cost begin anew with each month of the charge', () => {
    const { renewed } = renewedAt([Date.UTC(2026, 10, 30, 23, 59), Date.UTC(2026, 11, 1)])
    expect(renewed).toMatchObject({ month: '2026-12', cents: 99, count: 1 })
    expect(renewed?.recent).toHaveLength(2)
  })

  test('stored before it was counted is 0', () => {
    expect(withRenewal({ renewed: { month: '2026-11', cents: 198 } }, START_MS, 99)).toMatchObject({
      cents: 297,
      count: 1,
    })
  })
})

describe('the owner’s limits', () => {
  test('a cap is what a month may cost, to the cent, and lasts until the next month', () => {
    const profile = { ...renewedAt([START_MS], 500), monthlyCapCents: 1000 }
    expect(limitReached(profile, 500, START_MS + HOUR_MS)).toBeUndefined()
    expect(limitReached(profile, 501, START_MS + HOUR_MS)).toEqual({
      state: 'capped',
      reason: 'monthly_cap',
      nextAttemptAtMs: Date.UTC(2026, 11, 1),
    })
    expect(limitReached(profile, 1000, Date.UTC(2026, 11, 1))).toBeUndefined()
    expect(limitReached({ ...profile, monthlyCapCents: 0 }, 0, Date.UTC(2026, 11, 1))).toBeUndefined()
  })

  test('are three renewals an hour and ten a day unless the owner chose others', () => {
    const three = [0, 1, 2].map((minute) => START_MS + minute * 60_000)
    expect(limitReached(renewedAt(three.slice(1)), 99, START_MS + 180_000)).toBeUndefined()
    expect(limitReached(renewedAt(three), 99, START_MS + 180_000)).toEqual({
      state: 'held_back',
      reason: 'hourly_limit',
      nextAttemptAtMs: START_MS + HOUR_MS,
    })
    const ten = Array.from({ length: 10 }, (_, hour) => START_MS + hour * HOUR_MS)
    expect(limitReached(renewedAt(ten.slice(1)), 99, START_MS + 10 * HOUR_MS)).toBeUndefined()
    expect(limitReached(renewedAt(ten), 99, START_MS + 10 * HOUR_MS)).toEqual({
      state: 'held_back',
      reason: 'daily_limit',
      nextAttemptAtMs: START_MS + DAY_MS,
    })
  })

  test('that are both reached are named by the one that lasts longer, and a cap comes first', () => {
    const times = [0, 1, 2].map((minute) => START_MS + minute * 60_000)
    const both = { ...renewedAt(times), maxRenewalsPerHour: 1, maxRenewalsPerDay: 3 }
    expect(limitReached(both, 99, START_MS + 180_000)).toMatchObject({ reason: 'daily_limit' })
    expect(limitReached({ ...both, monthlyCapCents: 297 }, 99, START_MS + 180_000)).toMatchObject({
      state: 'capped',
    })
    expect(limitReached({ ...both, monthlyCapCents: 396 }, 99, START_MS + 180_000)).toMatchObject({
      state: 'held_back',
    })
  })

  test('of 0 hold every renewal back for the whole window', () => {
    expect(limitReached({ renewed: undefined, maxRenewalsPerHour: 0 }, 99, START_MS)).toEqual({
      state: 'held_back',
      reason: 'hourly_limit',
      nextAttemptAtMs: START_MS + HOUR_MS,
    })
  })
})
