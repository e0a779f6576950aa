import { describe, expect, test } from 'vitest'
import type { Deps, Payment } from '../../core/ports.ts'
import { currencyCodes, currencyRules, holdAmount } from '../../core/purchases/currencies.ts'
import { refundCents } from '../../core/purchases/order-refund.ts'
import {
  begunAtMs,
  fingerprintOf,
  isOpen,
  isPaymentOfPurchase,
  newPurchase,
  type Order,
  type Purchase,
  paymentFor,
  planOf,
  purchaseOf,
  purposeOf,
  statementSuffixOf,
} from '../../core/purchases/purchase.ts'
import { isRefundable } from '../../core/purchases/refund.ts'
import { type ReversalChange, reversalText } from '../../core/purchases/reversal-text.ts'
import { MINUTE_MS } from '../../core/time.ts'

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const deps = {
  clock: { nowMs: () => NOW_MS },
  ids: { hex: (bytes: number) => 'ab'.repeat(bytes) },
} as unknown as Deps
const SCOPE = { livemode: true, stage: 'prod' }
const ACCOUNT = 'a'.repeat(24)

const order = (over: Partial<Order> = {}): Order => ({
  accountId: ACCOUNT,
  kind: 'buy',
  bundle: { name: 'STARTER', version: 2, units: 1000, priceCents: 99, currency: 'USD' },
  customerId: 'cus_1',
  cardId: 'pm_1',
  ...over,
})
const made = (over: Partial<Order> = {}) => newPurchase(deps, order(over), 'ada@mail.example')
const purchase = (over: Partial<Purchase> = {}): Purchase => ({ ...made().purchase, ...over })

describe('a new purchase', () => {
  test('has the price and units of this moment, is due after its lease, and its id begins with its time', () => {
    const { purchase, item } = made({ address: undefined, cycle: 4 })
    expect(purchase).toMatchObject({
      accountId: ACCOUNT,
      kind: 'buy',
      state: 'created',
      bundle: 'STARTER',
      units: 1000,
      amountCents: 99,
      currency: 'USD',
      plan: { version: 2, units: 1000, priceCents: 99, currency: 'USD' },
      asked: 'pm_1',
      cardId: 'pm_1',
      cycle: 4,
      ...{ refundedCents: 0, disputedCents: 0, returnedUnits: 0, returnedCents: 0 },
    })
    expect(purchase).not.toHaveProperty('coupon')
    expect(purchase.id).toMatch(/^[0-9a-f]{24}$/)
    expect(begunAtMs(purchase.id)).toBe(NOW_MS)
    expect(item).toMatchObject({ ...purchase, dueAtMs: NOW_MS + MINUTE_MS })
  })

  test('with a coupon costs less and has more units, while the plan stays as it is sold', () => {
    const coupon = { code: 'MORE', discountCents: 20, bonusUnits: 50 }
    const { purchase } = made({ coupon: { ...coupon, other: 1 } as never })
    expect(purchase).toMatchObject({ units: 1050, amountCents: 79, coupon })
    expect(planOf(purchase)).toEqual({ version: 2, units: 1000, priceCents: 99, currency: 'USD' })
  })

  test('of an older version holds what was paid for', () => {
    expect(planOf(purchase({ plan: undefined, units: 7, amountCents: 5, currency: 'EUR' }))).toEqual({
      version: 0,
      units: 7,
      priceCents: 5,
      currency: 'EUR',
    })
  })
})

describe('a second click', () => {
  test('has the same kind, bundle, card, move and coupon; a renewal is joined by a purchase', () => {
    const first = fingerprintOf(order())
    expect(fingerprintOf(order({ address: {} as never, cycle: 9, customerId: 'cus_2' }))).toBe(first)
    expect(fingerprintOf(order({ kind: 'renewal' }))).toBe(first)
    const others = [
      order({ kind: 'change' }),
      order({ kind: 'signup' }),
      order({ cardId: 'pm_2' }),
      order({ moves: 3 }),
      order({ bundle: { ...order().bundle, name: 'PRO' } }),
      order({ coupon: { code: 'MORE' } as never }),
    ].map(fingerprintOf)
    expect(new Set([first, ...others]).size).toBe(others.length + 1)
  })
})

test('money may move in the states created, saved and action_required', () => {
  const states = ['created', 'saved', 'action_required', 'credited', 'declined', 'abandoned'] as const
  expect(states.filter((state) => isOpen(purchase({ state })))).toEqual([
    'created',
    'saved',
    'action_required',
  ])
})

describe('the payment of a purchase', () => {
  test('has what was sold, and the same parameters each time', () => {
    const bought = purchase()
    expect(paymentFor(bought, SCOPE)).toEqual({
      purpose: 'purchase',
      amountCents: 99,
      currency: 'usd',
      customerId: 'cus_1',
      paymentMethodId: 'pm_1',
      metadata: {
        account: ACCOUNT,
        purchase: bought.id,
        stage: 'prod',
        sold: JSON.stringify({ kind: 'buy', bundle: 'STARTER', units: 1000, plan: bought.plan }),
      },
      description: 'STARTER bundle: 1,000 units',
      statementSuffix: 'STARTER',
      receiptEmail: 'ada@mail.example',
      idempotencyKey: `purchase_${bought.id}`,
    })
  })

  test('says whether its customer is there, and whether the card is kept', () => {
    expect((['signup', 'change', 'buy', 'renewal'] as const).map(purposeOf)).toEqual([
      'signup',
      'purchase',
      'purchase',
      'renewal',
    ])
  })

  test.each([
    ['STARTER', 'STARTER'],
    ['Pro & more*', 'PRO  MORE'],
    ['  a', 'A'],
    ['            ABC', 'ABC'],
    ['ABCDEFGHI KLM', 'ABCDEFGHI'],
    ['ABCDEFGHIJK', 'ABCDEFGHIJ'],
    ['A-1', 'A-1'],
    ['100', 'UNITS'],
    ['日本', 'UNITS'],
  ])('of a bundle %j shows %j on the card statement', (name, suffix) => {
    expect(statementSuffixOf(name)).toBe(suffix)
  })

  test('is found by its metadata, if both ids are ids of ours', () => {
    const id = 'b'.repeat(24)
    const of = (metadata: Record<string, string>) => purchaseOf({ metadata })
    expect(of({ account: ACCOUNT, purchase: id })).toEqual({ accountId: ACCOUNT, purchaseId: id })
    for (const metadata of [
      {},
      { account: ACCOUNT },
      { purchase: id },
      { account: ACCOUNT, purchase: `${id}0` },
      { account: ACCOUNT, purchase: `x${id}` },
      { account: `${ACCOUNT}/`, purchase: id },
      { account: `x${ACCOUNT}`, purchase: id },
      { account: ACCOUNT, purchase: `hold_${id}` },
      { account: ACCOUNT.toUpperCase(), purchase: id },
    ])
      expect(of(metadata as never)).toBeUndefined()
  })

  const bought = purchase()
  const payment = (over: Record<string, unknown> = {}): Payment =>
    ({
      id: 'pi_1',
      status: 'unconfirmed',
      amountCents: 99,
      receivedCents: 0,
      currency: 'usd',
      customerId: 'cus_1',
      livemode: true,
      metadata: { account: ACCOUNT, purchase: bought.id, stage: 'prod' },
      ...over,
    }) as unknown as Payment
  const saved = purchase({ paymentId: 'pi_1' })

  test.each<[string, Record<string, unknown>]>([
    ['amount', { amountCents: 98 }],
    ['currency', { currency: 'eur' }],
    ['customer', { customerId: 'cus_2' }],
    ['mode', { livemode: false }],
    ['amount received', { status: 'succeeded', receivedCents: 98 }],
  ])('with another %s is not of the purchase', (_, over) => {
    expect(isPaymentOfPurchase(payment(over), bought, SCOPE)).toBe(false)
    expect(isPaymentOfPurchase(payment(over), saved, SCOPE)).toBe(false)
  })

  test('is known by its stored id, and before that by its metadata', () => {
    expect(isPaymentOfPurchase(payment(), bought, SCOPE)).toBe(true)
    expect(isPaymentOfPurchase(payment({ status: 'succeeded', receivedCents: 99 }), saved, SCOPE)).toBe(true)
    expect(isPaymentOfPurchase(payment({ metadata: {} }), saved, SCOPE)).toBe(true)
    expect(isPaymentOfPurchase(payment({ id: 'pi_2' }), saved, SCOPE)).toBe(false)
    const { metadata } = payment()
    for (const other of [{ account: 'x' }, { purchase: 'x' }, { stage: 'dev' }])
      expect(isPaymentOfPurchase(payment({ metadata: { ...metadata, ...other } }), bought, SCOPE)).toBe(false)
  })
})

describe('a refund that an operator orders', () => {
  const refund = (over: Partial<Purchase>, what: 'all' | 'units_left', left = 0) =>
    refundCents(purchase(over), { what }, left)
  const amount = (amountCents: number | undefined, over: Partial<Purchase> = {}) =>
    refundCents(purchase(over), { what: 'amount', amountCents }, 1000)

  test('of all is what has not gone back yet', () => {
    expect(refund({}, 'all')).toBe(99)
    expect(refund({ refundedCents: 40, disputedCents: 9 }, 'all')).toBe(50)
    expect(refund({ refundedCents: 90, disputedCents: 9 }, 'all')).toBe(0)
  })

  test('of an amount is that amount, if so much is left of the payment', () => {
    expect(amount(99)).toBe(99)
    expect(amount(100)).toBe(0)
    expect(amount(50, { refundedCents: 49 })).toBe(50)
    expect(amount(51, { refundedCents: 49 })).toBe(0)
    expect(amount(undefined)).toBe(0)
  })

  test('of the units left is what these are worth, rounded down, and never more than the purchase’s own', () => {
    expect(refund({}, 'units_left', 1000)).toBe(99)
    expect(refund({}, 'units_left', 5000)).toBe(99)
    expect(refund({}, 'units_left', 500)).toBe(49)
    expect(refund({}, 'units_left', 0)).toBe(0)
    // A half has gone back, and with it a half of the units.
    expect(refund({ amountCents: 100, refundedCents: 50 }, 'units_left', 250)).toBe(25)
    expect(refund({ amountCents: 100, refundedCents: 40, disputedCents: 10 }, 'units_left', 250)).toBe(25)
    expect(refund({ amountCents: 100, refundedCents: 50 }, 'units_left', 500)).toBe(50)
    // What has gone back was worth more than its units.
    expect(refund({ amountCents: 3, units: 2, refundedCents: 2 }, 'units_left', 0)).toBe(0)
  })

  test('is a multiple of the smallest amount of its currency', () => {
    expect(refund({ currency: 'KWD', amountCents: 1000 }, 'units_left', 555)).toBe(550)
    expect(refund({ currency: 'KWD', amountCents: 1000 }, 'units_left', 1000)).toBe(1000)
  })

  test('needs a purchase that was credited and has a payment', () => {
    expect(isRefundable(purchase({ state: 'credited', paymentId: 'pi_1' }))).toBe(true)
    expect(isRefundable(purchase({ state: 'credited' }))).toBe(false)
    expect(isRefundable(purchase({ state: 'declined', paymentId: 'pi_1' }))).toBe(false)
  })
})

describe('what a customer is told of refunds and disputes', () => {
  const text = (change: Partial<ReversalChange>) =>
    reversalText(purchase(), {
      refundedCents: 0,
      disputedCents: 0,
      isDisputeWon: false,
      units: 0,
      owedBefore: 0,
      owedAfter: 0,
      ...change,
    })
  const STAY = 'Your units stay as they are.'

  test.each<[string, Partial<ReversalChange>]>([
    [
      `We refunded your STARTER payment of $0.99. We took back 1,000 units.`,
      { refundedCents: 99, units: -1000 },
    ],
    [`We refunded $0.40 of your STARTER payment. ${STAY}`, { refundedCents: 40 }],
    [
      `The refund of $0.40 of your STARTER payment did not go through. We gave you back 400 units.`,
      { refundedCents: -40, units: 400 },
    ],
    [
      `Your bank took back your STARTER payment of $0.99 because of a dispute. We took back 5 units. You had already spent another 995 units. We will take 995 units from your next purchase.`,
      { disputedCents: 99, units: -5, owedAfter: 995 },
    ],
    [
      `We refunded $0.01 of your STARTER payment. You had already spent 1 unit. We will take 5 units from your next purchase.`,
      { refundedCents: 1, owedBefore: 4, owedAfter: 5 },
    ],
    [
      `The dispute of your STARTER payment of $0.99 was decided in our favour. We gave you back 10 units. You owe us no units of your STARTER bundle any more.`,
      { disputedCents: -99, isDisputeWon: true, units: 10, owedBefore: 3 },
    ],
    [`The dispute of $0.50 of your STARTER payment has ended. ${STAY}`, { disputedCents: -50 }],
    [
      `The dispute of $0.50 of your STARTER payment has ended. The refund of $0.10 of your STARTER payment did not go through. ${STAY}`,
      { disputedCents: -50, refundedCents: -10 },
    ],
    // The refund takes the place of the dispute, which goes on.
    [`We refunded $0.50 of your STARTER payment. ${STAY}`, { disputedCents: -50, refundedCents: 50 }],
    [
      `The dispute of $0.50 of your STARTER payment was decided in our favour. We refunded $0.50 of your STARTER payment. ${STAY}`,
      { disputedCents: -50, refundedCents: 50, isDisputeWon: true },
    ],
    [`We will take 3 units from your next purchase.`, { owedBefore: 3, owedAfter: 3 }],
    [`We will take 2 units from your next purchase.`, { owedBefore: 3, owedAfter: 2 }],
    [STAY, {}],
  ])('is: %s', (expected, change) => {
    expect(text(change)).toBe(expected)
  })
})

test('a card verification holds one of the currency, and at least twice the smallest charge', () => {
  expect(['USD', 'EUR', 'JPY', 'KWD', 'HUF', 'ISK'].map(holdAmount)).toEqual([
    100, 100, 100, 1000, 35_000, 15_000,
  ])
  for (const code of currencyCodes) {
    const { step, decimals, minimum } = currencyRules(code)
    expect(holdAmount(code) % step, code).toBe(0)
    expect(holdAmount(code), code).toBeGreaterThanOrEqual(Math.max(2 * minimum, 10 ** decimals))
  }
  expect(() => currencyRules('XXX')).toThrow('XXX')
  expect(() => currencyRules('toString')).toThrow('toString')
})
