import { expect, test } from 'vitest'
import { priceText } from '../../core/notifications/amounts.ts'
import { currencyCodes, currencyRules, holdAmount, MAX_CHARGE } from '../../core/purchases/currencies.ts'
import { amountOf, centsOf, isWholeCents } from '../../functions/http/money-shapes.ts'

/** The largest amount that an endpoint accepts. */
const LARGEST_CENTS = 1_000_000_00

test.each(['USD', 'JPY', 'KWD'])('an amount in minor units of %s survives the wire and back', (currency) => {
  for (let cents = -LARGEST_CENTS; cents <= LARGEST_CENTS; cents += 9_973) {
    const amount = amountOf(cents, currency)
    expect([centsOf(amount, currency), isWholeCents(amount, currency)]).toEqual([cents, true])
  }
})

test.each([
  ['USD', 0.001],
  ['USD', 0.995],
  ['USD', 19.999],
  ['USD', 999_999.995],
  ['JPY', 0.5],
  ['KWD', 0.0005],
])('in %s, %d has more decimals than the currency', (currency, amount) => {
  expect(isWholeCents(amount, currency)).toBe(false)
})

test.each([
  ['USD', 99, '$0.99'],
  ['USD', 7_999, '$79.99'],
  ['USD', 123_456_789, '$1,234,567.89'],
  ['EUR', 499, '€4.99'],
  ['GBP', 499, '£4.99'],
  ['JPY', 1_500, '¥1,500'],
  ['KWD', 1_500, 'KWD\u00a01.500'],
  ['MGA', 5_000, 'MGA\u00a05,000'],
])('%s: %d minor units are %s in texts, with the decimals that Stripe counts', (currency, cents, text) => {
  expect(priceText(cents, currency)).toBe(text)
})

test.each(currencyCodes)('%s: a hold is an amount that Stripe charges', (code) => {
  const { minimum, step, decimals } = currencyRules(code)
  const hold = holdAmount(code)
  expect(hold).toBeGreaterThanOrEqual(minimum)
  expect(hold).toBeLessThanOrEqual(MAX_CHARGE)
  expect([hold % step, minimum % step]).toEqual([0, 0])
  expect([0, 2, 3]).toContain(decimals)
})

test('a hold in US dollars is one dollar', () => {
  expect(holdAmount('USD')).toBe(100)
})
