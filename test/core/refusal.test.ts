import { describe, expect, test } from 'vitest'
import type { Counter } from '../../core/quota/counter.ts'
import { oversizeDetail, quotaExhausted, servable } from '../../core/quota/refusal.ts'

const seen = (most: number) => ({ left: 5, used: 95, servable: most, keyLeft: undefined })

describe('a request for more units than are left', () => {
  test('that a renewal serves is to be sent again soon', () => {
    for (const needed of [6, 100]) {
      const error = quotaExhausted(needed, seen(100))
      expect(error).toMatchObject({
        code: 'quota_exhausted',
        retryAfterSeconds: 2,
        members: { left: 5, used: 95, needed, refill: '/v1/user/buy' },
      })
      expect(oversizeDetail(needed, 100)).toBeUndefined()
    }
  })

  test('that no renewal serves is told so, and waits for a person', () => {
    expect(quotaExhausted(101, seen(100))).toMatchObject({
      retryAfterSeconds: 60,
      members: { refill: '/v1/user/buy' },
    })
    expect(oversizeDetail(101, 100)).toMatch(/a bundle holds 100/)
  })

  test('of an account without a bundle leads to the bundles, and speaks of none', () => {
    expect(quotaExhausted(1, seen(0))).toMatchObject({
      retryAfterSeconds: 60,
      members: { refill: '/v1/user/bundle' },
    })
    expect(oversizeDetail(1, 0)).toBeUndefined()
  })
})

test('a renewal serves as many units as the bundle has that would be bought, and none before the first bundle', () => {
  const counter = (size: number, renewalSize?: number) =>
    ({ size, ...(renewalSize !== undefined && { renewalSize }) }) as Counter
  expect(servable(counter(100))).toBe(100)
  expect(servable(counter(100, 500))).toBe(500)
  expect(servable(counter(0, 500))).toBe(0)
  expect(servable(counter(0))).toBe(0)
})
