import { expect, test } from 'vitest'
import { centsOf, dollarsOf, isWholeCents } from '../../functions/http/money-shapes.ts'

/** The largest amount that an endpoint accepts. */
const LARGEST_CENTS = 1_000_000_00

test('an amount in cents survives the conversion to dollars and back', () => {
  for (let cents = -LARGEST_CENTS; cents <= LARGEST_CENTS; cents += 9_973) {
    const dollars = dollarsOf(cents)
    expect([centsOf(dollars), isWholeCents(dollars)]).toEqual([cents, true])
  }
})

test.each([0.001, 0.995, 19.999, 999_999.995])('%d dollars is not a whole number of cents', (dollars) => {
  expect(isWholeCents(dollars)).toBe(false)
})
