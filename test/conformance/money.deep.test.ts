import type Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { applyPlans } from '../../core/plans/versions.ts'
import type { Payment } from '../../core/ports.ts'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { readPurchase } from '../../core/purchases/purchase.ts'
import { settlePurchase } from '../../core/purchases/settle.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import { keys } from '../../core/table/keys.ts'
import { api } from '../../functions/api/routes.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import {
  ADDRESS,
  ALWAYS_3DS,
  authenticate,
  buy,
  changeTo,
  customerOf,
  expectBooksAgree,
  expectNothingOpen,
  ledgerOf,
  newBuyer,
  noticesOf,
  paymentsOf,
  refund,
  shown,
  signUpFor,
  spendTo,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import { defaultKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { type Consumer, consume } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'
import {
  cardOnFile,
  defaultCard,
  deliver,
  eventsAbout,
  later,
  newCard,
  newEvent,
  remove,
  stripeOf,
  verify,
} from '../support/stripe.ts'
import { expectError } from './contract.ts'

const app = await startApp()
// A job works on every account that is due, whichever test made it.
beforeEach(app.startAfresh)
const { double, dashboard } = stripeOf(app)
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const GOOD = '4242424242424242'
const DISPUTED = '4000000000000259'
const CREATE = 'POST /v1/payment_intents$'
const CONFIRM = 'POST /v1/payment_intents/*/confirm'

const statuses = (answers: TestAnswer[]) => answers.map(({ status }) => status).sort()
const times = <T>(count: number, one: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => one(at))
const balanceOf = async (person: SignedInPerson) => (await shown(app, person, '/api/users/current')).balance
const check = () => app.job('check-quotas')
const changeCard = ({ accessToken: token }: SignedInPerson, paymentMethod: string) =>
  app.request('PUT', '/v1/user/card', { token, json: { paymentMethod, address: ADDRESS } })
const setFlags = ({ accessToken: token }: SignedInPerson, bundleAutoRenewal: boolean) =>
  app.request('PUT', '/v1/user/flags', { token, json: { bundleAutoRenewal, lowQuotaNotification: true } })

/** Runs the jobs every minute until everything that began has ended. */
async function settleAll(): Promise<void> {
  for (let minutes = 0; minutes < 4; minutes++) {
    app.advance(MINUTE_MS)
    await app.job('settle-payments')
    await check()
  }
}

describe('50 concurrent requests make one charge', () => {
  test('buys', async () => {
    const person = await newBuyer(app)
    const answers = await Promise.all(times(50, () => buy(app, person)))
    expect([...new Set(statuses(answers))]).toEqual([201])
    expect(await paymentsOf(app, person)).toHaveLength(2)
    expect(await unitsLeft(app, person)).toBe(2100)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('changes', async () => {
    const person = await newBuyer(app)
    const answers = await Promise.all(times(50, () => changeTo(app, person, 'developer')))
    expect([...new Set(statuses(answers))]).toEqual([204])
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })

  test('sign-ups of a new customer', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    const answers = await Promise.all(times(50, () => signUpFor(app, person, 'STARTER', card)))
    expect([204, 409, 503]).toEqual(expect.arrayContaining([...new Set(statuses(answers))]))
    expect(statuses(answers)).toContain(204)
    expect(await paymentsOf(app, person)).toHaveLength(1)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('but buys with different keys make exactly one charge for each 201', async () => {
    const person = await newBuyer(app)
    const answers = await Promise.all(times(20, (at) => buy(app, person, `key-${at}`)))
    expect([201, 409]).toEqual(expect.arrayContaining([...new Set(statuses(answers))]))
    const told = answers.filter(({ status }) => status === 201).length
    expect(await paymentsOf(app, person)).toHaveLength(1 + told)
    await expectBooksAgree(app, person)
  })
})

describe('Idempotency-Key', () => {
  test('the same key with another body, or at another endpoint, is 422 and charges nothing', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    expect((await signUpFor(app, person, 'STARTER', card, 'k')).status).toBe(204)
    app.resetCalls()
    const { accessToken: token } = person
    const sign = (json: object) =>
      app.request('POST', '/v1/user/bundle', { token, json, headers: { 'idempotency-key': 'k' } })
    const same = { name: 'STARTER', paymentMethod: card, address: ADDRESS }
    for (const other of [
      { ...same, name: 'DEVELOPER' },
      { ...same, paymentMethod: 'pm_card_visa' },
      { ...same, address: { ...ADDRESS, street: 'Other st.' } },
    ])
      expectError(v1.signUpForBundle, await sign(other), 'idempotency_key_reused')
    expectError(v1.buy, await buy(app, person, 'k'), 'idempotency_key_reused')
    expectError(v1.changeBundle, await changeTo(app, person, 'DEVELOPER', 'k'), 'idempotency_key_reused')
    expect(app.calls().stripe).toEqual({})
    const { address, name, paymentMethod } = same
    const { street, city, ...rest } = address
    const otherOrder = { address: { ...rest, city, street }, paymentMethod, name }
    expect((await sign(otherOrder)).status).toBe(204)
    expect(await paymentsOf(app, person)).toHaveLength(1)
  })

  test('the same key of another account is independent', async () => {
    const [one, two] = [await newBuyer(app), await newBuyer(app)]
    expect([
      (await buy(app, one, 'same')).status,
      (await changeTo(app, two, 'DEVELOPER', 'same')).status,
    ]).toEqual([201, 204])
    for (const person of [one, two]) {
      expect(await paymentsOf(app, person)).toHaveLength(2)
      await expectBooksAgree(app, person)
    }
  })

  test.each(['a b', ' ', '', 'x'.repeat(256), 'é', 'a, b'])(
    'the key %j is 400 and charges nothing',
    async (key) => {
      const person = await newBuyer(app)
      app.resetCalls()
      const headers: [string, string][] = [
        ['authorization', `Bearer ${person.accessToken}`],
        ['idempotency-key', key],
      ]
      expectError(v1.buy, await sendRaw(app.url, 'POST', '/v1/user/buy', headers), 'invalid_request')
      const target = '/v1/user/bundle/DEVELOPER'
      expectError(v1.changeBundle, await sendRaw(app.url, 'PUT', target, headers), 'invalid_request')
      expect(app.calls().stripe).toEqual({})
    },
  )

  test('a key of 255 characters is accepted, and one of 256 is not', async () => {
    const person = await newBuyer(app)
    expect((await buy(app, person, '~'.repeat(255))).status).toBe(201)
    expectError(v1.buy, await buy(app, person, '~'.repeat(256)), 'invalid_request')
    expect(await paymentsOf(app, person)).toHaveLength(2)
  })

  test('after 24 hours, when Stripe has forgotten its key, ours is still known; after 48 hours it is new', async () => {
    let person = await newBuyer(app)
    expect((await buy(app, person, 'k')).status).toBe(201)
    person = await later(app, person, 25 * HOUR_MS)
    expect((await buy(app, person, 'k')).status).toBe(201)
    person = await later(app, person, 23 * HOUR_MS - 1)
    expect((await buy(app, person, 'k')).status).toBe(201)
    expect(await paymentsOf(app, person)).toHaveLength(2)
    // The expired key is still in the table, because DynamoDB deletes late.
    person = await later(app, person, HOUR_MS)
    expect((await buy(app, person, 'k')).status).toBe(201)
    expect(await paymentsOf(app, person)).toHaveLength(3)
    await expectBooksAgree(app, person)
  })

  test('a retry with the same key 25 hours after an unknown outcome makes no second charge', async () => {
    for (const match of [CREATE, CONFIRM]) {
      let person = await newBuyer(app)
      double.addFault({ fault: 'drop-webhooks' })
      double.addFault({ fault: 'torn-body', match })
      expect((await buy(app, person, 'k')).status).toBe(202)
      double.clearFaults()
      person = await later(app, person, 25 * HOUR_MS)
      const answer = await buy(app, person, 'k')
      expect([201, 503]).toContain(answer.status)
      if (answer.status === 503) expect((await buy(app, person, 'k')).status).toBe(201)
      await app.job('settle-payments')
      expect(await paymentsOf(app, person)).toHaveLength(2)
      await expectBooksAgree(app, person)
    }
  })

  test('a duplicate in flight is 409, and the answer of the first request stands', async () => {
    const person = await newBuyer(app)
    double.addFault({ fault: 'delay', match: CONFIRM, delayMs: 600, times: 1 })
    const first = buy(app, person, 'k')
    const open = async () =>
      (await (await app.ports()).table.get(keys.profile(person.accountId)))?.openPurchase
    while ((await open()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    expectError(v1.buy, await buy(app, person, 'k'), 'request_in_flight')
    expect((await first).status).toBe(201)
    expect((await buy(app, person, 'k')).status).toBe(201)
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })
})

/** The operator puts STARTER on sale at another price and size. */
const applyPrice = async (cents: number, units: number) =>
  applyPlans(await app.ports(), {
    catalogue: {
      ...defaultCatalogue,
      plans: defaultCatalogue.plans.map((plan) =>
        plan.name === 'STARTER' ? { ...plan, units, prices: { USD: cents } } : plan,
      ),
    },
    reason: 'a test',
  })

/** Faults that interrupt a purchase, so that a price can change meanwhile. */
const PRICE_FAULTS = [
  ['before the payment is created', { fault: '500', match: CREATE }],
  ['during the creation of the payment', { fault: 'torn-body', match: CREATE }],
  ['before the confirmation', { fault: '500', match: CONFIRM }],
  ['after the charge', { fault: 'torn-body', match: CONFIRM }],
] as const

describe('bundles, units and prices', () => {
  test.each([
    { price: 0.01 },
    { amount: 1 },
    { currency: 'jpy' },
    { units: 1_000_000 },
    { quota: 1_000_000 },
    { customer: 'cus_1' },
    { bundle: { name: 'ENTERPRISE', price: 0 } },
  ])('%j in the body is refused without a call to Stripe', async (claim) => {
    const [person, buyer] = [await app.signUp(), await newBuyer(app)]
    app.resetCalls()
    const json = { name: 'STARTER', paymentMethod: 'pm_card_visa', address: ADDRESS, ...claim }
    const signing = await app.request('POST', '/v1/user/bundle', { token: person.accessToken, json })
    expectError(v1.signUpForBundle, signing, 'invalid_request')
    const { accessToken: token } = buyer
    expectError(v1.buy, await app.request('POST', '/v1/user/buy', { token, json: claim }), 'invalid_request')
    const changing = await app.request('PUT', '/v1/user/bundle/DEVELOPER', { token, json: claim })
    expectError(v1.changeBundle, changing, 'invalid_request')
    expect(app.calls().stripe).toEqual({})
  })

  test.each(['-1', '0', '1.5', 'NaN', '9007199254740992', '-0', '1e400', '"1"', 'Infinity'])(
    '%s is refused as units, as a cap and as a bundle, and nothing is spent',
    async (number) => {
      const person = await newBuyer(app)
      const body = (text: string) => ({ body: text, headers: { 'content-type': 'application/json' } })
      const usage = { token: person.key, ...body(`{"units":${number}}`) }
      // 0 is no number to spend, but one to check with.
      const status = Number(number) === 0 ? 200 : 400
      expect((await app.request('POST', '/v1/usage', usage)).status).toBe(status)
      const batch = { token: person.key, ...body(`{"requests":[{"units":${number}}]}`) }
      expect((await app.request('POST', '/v1/usage/batch', batch)).status).toBe(status)
      expect(await unitsLeft(app, person)).toBe(1100)
      const { accessToken: token } = person
      const sign = { token, ...body(`{"name":${number},"paymentMethod":"pm_card_visa"}`) }
      expect((await app.request('POST', '/v1/user/bundle', sign)).status).toBe(400)
      expectError(v1.changeBundle, await changeTo(app, person, encodeURIComponent(number)), 'invalid_request')
      const capped = await app.request('PUT', '/v1/user/renewal', {
        token,
        ...body(`{"monthlyCap":${number}}`),
      })
      const isCap = ['0', '-0', '1.5'].includes(number)
      expect(capped.status).toBe(isCap ? 204 : 400)
      expect(await paymentsOf(app, person)).toHaveLength(1)
    },
  )

  test.each([
    'constructor',
    '__proto__',
    'toString',
    'hasOwnProperty',
    'enterpise',
    'ſtarter',
    'STARTER ',
    'STARTER\u0000',
    'ＳＴＡＲＴＥＲ',
    'starter,developer',
    'bundle',
    '[object Object]',
  ])('%j is not a bundle', async (name) => {
    const [person, buyer] = [await app.signUp(), await newBuyer(app)]
    app.resetCalls()
    const signing = await signUpFor(app, person, name, 'pm_card_visa')
    expectError(v1.signUpForBundle, signing, 'invalid_request')
    expectError(v1.changeBundle, await changeTo(app, buyer, encodeURIComponent(name)), 'invalid_request')
    expect(app.calls().stripe).toEqual({})
    expect(await shown(app, person)).toMatchObject({ bundle: null })
  })

  test('the name of a bundle may be in any case for a change, but not for a sign-up', async () => {
    const [person, buyer] = [await app.signUp(), await newBuyer(app)]
    const signing = await signUpFor(app, person, 'eNtErPrIsE', 'pm_card_visa')
    expectError(v1.signUpForBundle, signing, 'invalid_request')
    expect((await changeTo(app, buyer, 'eNtErPrIsE')).status).toBe(204)
    expect((await shown(app, buyer)).bundle.name).toBe('ENTERPRISE')
  })

  test.each(PRICE_FAULTS)('a price that changes %s applies to the next sign-up only', async (_, fault) => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault(fault)
    const pending = await signUpFor(app, person, 'STARTER', card, 'k')
    expect(pending.status).toBe(202)
    await applyPrice(5_000, 7)
    double.clearFaults()
    app.advance(MINUTE_MS)
    expect((await signUpFor(app, person, 'STARTER', card, 'k')).status).toBe(204)
    const charged = (await paymentsOf(app, person)).map(({ amount, metadata }) => [amount, metadata.purchase])
    expect(charged).toEqual([[99, pending.body.id]])
    expect(await unitsLeft(app, person)).toBe(1100)
    await expectBooksAgree(app, person)
    app.advance(11 * SECOND_MS)
    expect((await buy(app, person)).status).toBe(201)
    expect(await unitsLeft(app, person)).toBe(2100)
    expect((await paymentsOf(app, person)).at(-1)?.amount).toBe(99)
    const other = await app.signUp()
    expect((await signUpFor(app, other, 'STARTER', 'pm_card_visa')).status).toBe(204)
    expect((await paymentsOf(app, other)).map(({ amount }) => amount)).toEqual([5_000])
    expect(await unitsLeft(app, other)).toBe(107)
  })
})

describe('the card', () => {
  test('the default card is not deleted during a renewal, with auto-renewal switched off or on', async () => {
    const person = await newBuyer(app)
    const card = (await defaultCard(app, person)) ?? ''
    await spendTo(app, person, 5)
    double.addFault({ fault: 'delay', match: CONFIRM, delayMs: 400, times: 1 })
    const renewing = check()
    const open = async () =>
      (await (await app.ports()).table.get(keys.profile(person.accountId)))?.openPurchase
    while ((await open()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    expectError(api.deletePaymentMethod, await remove(app, person, card), 'card_in_use')
    expect((await setFlags(person, false)).status).toBe(204)
    expectError(api.deletePaymentMethod, await remove(app, person, card), 'card_in_use')
    await renewing
    expect(await unitsLeft(app, person)).toBe(1005)
    expect((await remove(app, person, card)).status).toBe(204)
    await expectBooksAgree(app, person)
  })

  test.each([CREATE, CONFIRM])(
    'if the operator detaches the card during a renewal (%s), nothing is charged and renewal pauses',
    async (match) => {
      const person = await newBuyer(app)
      const card = (await defaultCard(app, person)) ?? ''
      await spendTo(app, person, 5)
      double.addFault({ fault: 'delay', match, delayMs: 400, times: 1 })
      const renewing = check()
      const open = async () =>
        (await (await app.ports()).table.get(keys.profile(person.accountId)))?.openPurchase
      while ((await open()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
      await new Promise((resolve) => setTimeout(resolve, 100))
      await dashboard.paymentMethods.detach(card)
      await renewing
      await double.flushWebhooks()
      await settleAll()
      expect(await paymentsOf(app, person)).toHaveLength(1)
      expect((await shown(app, person)).renewal).toMatchObject({ state: 'paused' })
      await expectNothingOpen(app, person)
      await expectBooksAgree(app, person)
    },
  )

  test('two changes of card at the edge of the 24 hours during a declined renewal: one change, one charge', async () => {
    let person = await newBuyer(app)
    await spendTo(app, person, 5)
    double.addFault({ fault: 'decline', match: CONFIRM, code: 'lost_card', times: 1 })
    await check()
    expect((await changeCard(person, 'pm_card_mastercard')).status).toBe(204)
    double.addFault({ fault: 'decline', match: CONFIRM, code: 'lost_card', times: 1 })
    await check()
    expect((await shown(app, person)).renewal.state).toBe('paused')
    person = await later(app, person, DAY_MS - 1)
    expect((await changeCard(person, 'pm_card_visa')).status).toBe(429)
    app.advance(1)
    const cards = await Promise.all(times(5, () => newCard(app, GOOD)))
    const answers = await Promise.all([...cards.map((card) => changeCard(person, card)), check()])
    expect(statuses(answers.slice(0, -1) as TestAnswer[]).filter((status) => status === 204)).toHaveLength(1)
    await double.flushWebhooks()
    await settleAll()
    expect(await paymentsOf(app, person)).toHaveLength(2)
    await expectBooksAgree(app, person)
  })

  test('a sign-up counts as a try of a card: 3 an hour over all endpoints, and a decline does not say why', async () => {
    const person = await app.signUp()
    const numbers = ['4000000000000002', '4000000000009995', '4000000000009987']
    app.resetCalls()
    expect((await verify(app, person, await newCard(app, numbers[0]!))).status).toBe(402)
    const told = new Set<string>()
    for (const number of numbers.slice(1)) {
      const answer = await signUpFor(app, person, 'STARTER', await newCard(app, number))
      expectError(v1.signUpForBundle, answer, 'card_declined')
      told.add(answer.body.detail)
    }
    expect(told.size).toBe(1)
    expect(app.calls().stripe[CONFIRM]).toBe(3)
    const card = await newCard(app, GOOD)
    const fourth = await signUpFor(app, person, 'STARTER', card)
    expectError(v1.signUpForBundle, fourth, 'too_many_cards_tried')
    expect(fourth.headers.get('retry-after')).toBe('3600')
    expect((await verify(app, person, card)).status).toBe(429)
    expect((await changeCard(person, card)).status).toBe(429)
    expect(app.calls().stripe[CONFIRM]).toBe(3)
    const again = await later(app, person, HOUR_MS)
    expect((await signUpFor(app, again, 'STARTER', card)).status).toBe(204)
    await expectBooksAgree(app, again)
  })

  test('20 concurrent sign-ups with different cards do not exceed that limit', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const cards = await Promise.all(times(20, () => newCard(app, '4000000000000002')))
    app.resetCalls()
    const answers = await Promise.all(
      cards.map((card, at) => (at % 2 ? signUpFor(app, person, 'STARTER', card) : verify(app, person, card))),
    )
    expect([402, 409, 429]).toEqual(expect.arrayContaining([...new Set(statuses(answers))]))
    expect(app.calls().stripe[CONFIRM] ?? 0).toBeLessThanOrEqual(2)
    await expectNothingOpen(app, person)
  })

  test('a purchase with 3-D Secure is neither credited nor failed until its customer has authenticated', async () => {
    let person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    const before = await ledgerOf(app, person)
    await double.flushWebhooks()
    for (let hours = 0; hours < 23; hours++) {
      app.advance(HOUR_MS)
      await app.job('settle-payments')
    }
    await double.flushWebhooks()
    person = await later(app, person, 15 * MINUTE_MS)
    expect(await ledgerOf(app, person)).toEqual(before)
    expect(await noticesOf(app, person)).toEqual(['purchased'])
    await waitingPayment(app, person)
    await authenticate(app, person)
    expect(await unitsLeft(app, person)).toBe(2100)
    await expectBooksAgree(app, person)
  })
})

describe('a refund or dispute after units were spent', () => {
  test('a refund takes back the units left; the rest is owed, and the next credit pays it', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 300)
    const [payment] = await paymentsOf(app, person)
    await refund(app, payment!)
    await double.flushWebhooks()
    expect(await unitsLeft(app, person)).toBe(0)
    expect(await balanceOf(person)).toBe(-0.7)
    expect((await consume(app, person.key, { units: 1 })).status).toBe(402)
    await expectBooksAgree(app, person)
    expect((await buy(app, person)).status).toBe(201)
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([300, 0])
    await expectBooksAgree(app, person)
    expect(await noticesOf(app, person)).toContain('payment_reversed')
  })

  test('several partial refunds are each booked once', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 0)
    const [payment] = await paymentsOf(app, person)
    for (const [cents, owed] of [
      [33, -0.33],
      [33, -0.66],
      [33, -0.99],
    ] as const) {
      await refund(app, payment!, cents)
      await double.flushWebhooks()
      await double.flushWebhooks()
      expect(await balanceOf(person)).toBe(owed)
      await expectBooksAgree(app, person)
    }
    expect((await buy(app, person)).status).toBe(201)
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([0, 0])
    await expectBooksAgree(app, person)
  })

  test('several credits pay a debt that is larger than one credit', async () => {
    const person = await newBuyer(app, { bundle: 'DEVELOPER' })
    await spendTo(app, person, 0)
    const [payment] = await paymentsOf(app, person)
    await refund(app, payment!)
    await double.flushWebhooks()
    expect(await balanceOf(person)).toBe(-9.99)
    expect((await changeTo(app, person, 'STARTER')).status).toBe(204)
    expect(await unitsLeft(app, person)).toBe(0)
    expect(await balanceOf(person)).toBeCloseTo(-9.9, 1)
    await expectBooksAgree(app, person)
    expect((await changeTo(app, person, 'DEVELOPER')).status).toBe(204)
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([1_000, 0])
    await expectBooksAgree(app, person)
  })

  /** Signs up with a card whose charge is disputed, and spends before the dispute's webhook arrives. */
  async function disputedBuyer(left: number): Promise<{ person: Consumer; dispute: Stripe.Dispute }> {
    const person = await app.signUp()
    expect((await signUpFor(app, person, 'STARTER', await newCard(app, DISPUTED))).status).toBe(204)
    const consumer = { ...person, key: await defaultKey(app, person) }
    await spendTo(app, consumer, left)
    await double.flushWebhooks()
    const [dispute] = (await dashboard.disputes.list({ limit: 1 })).data
    return { person: consumer, dispute: dispute! }
  }

  test('a dispute takes back units as a refund does, and a won dispute returns them', async () => {
    const { person, dispute } = await disputedBuyer(50)
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([0, -0.95])
    await expectBooksAgree(app, person)
    await dashboard.disputes.update(dispute.id, { evidence: { uncategorized_text: 'winning_evidence' } })
    app.advance(5 * SECOND_MS)
    await double.flushWebhooks()
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([50, 0])
    expect((await shown(app, person, '/v1/invoice/list'))[0].state).toBe('paid')
    await expectBooksAgree(app, person)
  })

  test('units stay owed after a lost dispute', async () => {
    const { person, dispute } = await disputedBuyer(50)
    await dashboard.disputes.update(dispute.id, { evidence: { uncategorized_text: 'losing_evidence' } })
    app.advance(5 * SECOND_MS)
    await double.flushWebhooks()
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([0, -0.95])
    await expectBooksAgree(app, person)
  })

  test('a dispute that is won after the debt was paid returns all units', async () => {
    const { person, dispute } = await disputedBuyer(50)
    const card = await newCard(app, GOOD)
    await setFlags(person, false)
    expect((await changeCard(person, card)).status).toBe(204)
    expect((await buy(app, person)).status).toBe(201)
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([50, 0])
    await dashboard.disputes.update(dispute.id, { evidence: { uncategorized_text: 'winning_evidence' } })
    app.advance(5 * SECOND_MS)
    await double.flushWebhooks()
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([1050, 0])
    await expectBooksAgree(app, person)
  })

  test('a failed refund returns its units', async () => {
    const person = await newBuyer(app, { card: '4000000000005126' })
    await spendTo(app, person, 600)
    const [payment] = await paymentsOf(app, person)
    await refund(app, payment!)
    await double.flushWebhooks()
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([0, -0.4])
    app.advance(5 * SECOND_MS)
    await double.flushWebhooks()
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([600, 0])
    await expectBooksAgree(app, person)
  })

  test('with concurrent consumes no units go below zero and none are lost', async () => {
    const person = await newBuyer(app)
    const [payment] = await paymentsOf(app, person)
    await refund(app, payment!, 60)
    await Promise.all([double.flushWebhooks(), ...times(40, () => consume(app, person.key, { units: 20 }))])
    await double.flushWebhooks()
    await expectBooksAgree(app, person)
  })
})

describe('a webhook of a payment that does not match its purchase', () => {
  /** A purchase without a payment id yet, so that the metadata alone decides. */
  async function openPurchase() {
    const person = await newBuyer(app)
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault({ fault: 'torn-body', match: CREATE })
    const { status, body } = await buy(app, person)
    expect(status).toBe(202)
    double.clearFaults()
    return { person, purchaseId: String(body.id) }
  }

  test.each([
    ['amount', async () => ({ amount: 50 })],
    ['customer', async () => ({ customer: (await dashboard.customers.create({})).id })],
  ])('with another %s credits nothing', async (_, claim) => {
    const { person, purchaseId } = await openPurchase()
    double.addFault({ fault: 'drop-webhooks' })
    const forged = await dashboard.paymentIntents.create({
      amount: 99,
      currency: 'usd',
      confirm: true,
      customer: await customerOf(app, person),
      payment_method: 'pm_card_visa',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      metadata: { account: person.accountId, purchase: purchaseId },
      ...(await claim()),
    })
    expect(forged.status).toBe('succeeded')
    expect((await deliver(app, newEvent('payment_intent.succeeded', forged))).status).toBe(200)
    expect(await unitsLeft(app, person)).toBe(1100)
    expect((await ledgerOf(app, person)).map(({ kind }) => kind)).toEqual(['trial', 'payment', 'sale'])
    app.advance(10 * MINUTE_MS)
    const { alarms } = await app.job('sweep')
    expect(alarms.filter((line: string) => line.includes(forged.id))).toHaveLength(1)
  })

  test.each<[string, Partial<Payment>]>([
    ['currency', { currency: 'eur' }],
    ['amount received', { receivedCents: 98 }],
    ['mode', { livemode: true }],
    ['id', { id: 'pi_other' }],
  ])('with another %s credits nothing', async (_, claim) => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    const { id, metadata } = await waitingPayment(app, person)
    double.addFault({ fault: 'drop-webhooks' })
    double.authenticate({ paymentIntent: id, outcome: 'succeed' })
    const ports = await app.ports()
    const payment = await ports.payments.readPayment(id)
    const purchase = await readPurchase(ports, person.accountId, String(metadata.purchase))
    if (!payment || !purchase) throw new Error('nothing to settle')
    expect(payment.status).toBe('succeeded')
    const before = await ledgerOf(app, person)
    const other = { ...payment, ...claim, metadata: { ...payment.metadata, ...claim.metadata } }
    const outcome = await settlePurchase(ports, purchase, other as typeof payment)
    expect(outcome.status).toBe('abandoned')
    expect(await ledgerOf(app, person)).toEqual(before)
  })

  test('with a changed amount does not ask the customer to authenticate', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    const waiting = await waitingPayment(app, person)
    await dashboard.paymentIntents.update(waiting.id, { amount: 5000 })
    expect((await deliver(app, newEvent('payment_intent.requires_action', waiting))).status).toBe(200)
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })

  test('with a changed amount raises an alarm for the money taken and credits nothing', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    const { id } = await waitingPayment(app, person)
    await dashboard.paymentIntents.update(id, { amount: 50 })
    double.authenticate({ paymentIntent: id, outcome: 'succeed' })
    await double.flushWebhooks()
    await settleAll()
    expect(await unitsLeft(app, person)).toBe(1100)
    app.advance(10 * MINUTE_MS)
    const { alarms } = await app.job('sweep')
    expect(alarms.filter((line: string) => line.includes(id))).toHaveLength(1)
  })
})

describe('two concurrent purchases', () => {
  test('a renewal racing a buy is one charge', async () => {
    for (let round = 0; round < 5; round++) {
      const person = await newBuyer(app)
      await spendTo(app, person, 5)
      const [, ...answers] = await Promise.all([check(), buy(app, person), check(), buy(app, person)])
      expect([201, 409]).toContain((answers[0] as TestAnswer).status)
      await double.flushWebhooks()
      await settleAll()
      expect(await paymentsOf(app, person)).toHaveLength(2)
      expect(await unitsLeft(app, person)).toBe(1005)
      await expectBooksAgree(app, person)
      await expectNothingOpen(app, person)
    }
  })

  type Act = (person: SignedInPerson) => Promise<unknown>
  const acts: Record<string, Act> = {
    buy: (person) => buy(app, person),
    'buy with a key': (person) => buy(app, person, 'k'),
    change: (person) => changeTo(app, person, 'DEVELOPER'),
    renewal: () => check(),
    'card change': (person) => changeCard(person, 'pm_card_mastercard'),
    deactivation: ({ accessToken: token }) => app.request('PUT', '/api/users/current/deactivate', { token }),
    flags: (person) => setFlags(person, false),
    refund: async (person) =>
      refund(app, (await paymentsOf(app, person))[0]!).then(() => double.flushWebhooks()),
  }
  const pairs = Object.keys(acts).flatMap((one, at) =>
    Object.keys(acts)
      .slice(at + 1)
      .map((two) => [one, two] as const),
  )

  test.each(pairs)('%s and %s: money taken equals units credited', async (one, two) => {
    let person = await newBuyer(app)
    await spendTo(app, person, 5)
    await Promise.all([acts[one]!(person), acts[two]!(person)])
    await double.flushWebhooks()
    const { email, password } = person
    expect((await app.request('POST', '/api/users/restore', { json: { email, password } })).status).toBe(200)
    await settleAll()
    await double.flushWebhooks()
    person = { ...person, ...(await app.login(person)) }
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })
})

describe('events', () => {
  /** A charge whose events were not delivered yet. */
  async function untold() {
    const person = await newBuyer(app)
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault({ fault: 'torn-body', match: CONFIRM })
    expect((await buy(app, person)).status).toBe(202)
    double.clearFaults()
    const payment = (await paymentsOf(app, person)).at(-1)!
    const [event] = (await eventsAbout(app, payment.id)).filter(
      ({ type }) => type === 'payment_intent.succeeded',
    )
    return { person, payment, event: event! }
  }

  test('a hundred deliveries of one event, many of them concurrent, credit once', async () => {
    const { person, event } = await untold()
    for (let rounds = 0; rounds < 5; rounds++) {
      const answers = await Promise.all(times(20, () => deliver(app, event)))
      expect([200, 503]).toEqual(expect.arrayContaining([...new Set(statuses(answers))]))
    }
    expect((await deliver(app, event)).status).toBe(200)
    expect(await unitsLeft(app, person)).toBe(2100)
    expect(await noticesOf(app, person)).toEqual(['purchased', 'purchased'])
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('new event ids about the same payment credit nothing more', async () => {
    const { person, payment, event } = await untold()
    expect((await deliver(app, event)).status).toBe(200)
    for (const type of ['succeeded', 'payment_failed', 'requires_action', 'canceled', 'succeeded']) {
      expect((await deliver(app, newEvent(`payment_intent.${type}`, payment))).status).toBe(200)
    }
    expect(await unitsLeft(app, person)).toBe(2100)
    await expectBooksAgree(app, person)
  })

  test('a payment whose refund arrives before its success is credited and taken back, once', async () => {
    const { person, payment, event } = await untold()
    double.addFault({ fault: 'drop-webhooks' })
    const made = await refund(app, payment)
    const about = [
      ...(await eventsAbout(app, made.id)),
      ...(await eventsAbout(app, String(payment.latest_charge))),
    ]
    const refunds = about.filter(({ type }) => type.includes('refund'))
    expect(refunds.length).toBeGreaterThan(1)
    for (const each of [...refunds, event, ...refunds]) expect((await deliver(app, each)).status).toBe(200)
    expect([await unitsLeft(app, person), await balanceOf(person)]).toEqual([1100, 0])
    const kinds = (await ledgerOf(app, person)).slice(3).map(({ kind }) => kind)
    expect(kinds).toEqual(['payment', 'sale', 'refund', 'return'])
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('concurrent deliveries of all events in any order credit once', async () => {
    const { person, payment, event } = await untold()
    double.addFault({ fault: 'drop-webhooks' })
    const made = await refund(app, payment, 50)
    const about = [
      event,
      ...(await eventsAbout(app, made.id)),
      ...(await eventsAbout(app, String(payment.latest_charge))),
    ]
    await Promise.all([...about, ...about.toReversed()].map((each) => deliver(app, each)))
    double.clearFaults()
    for (const each of about) expect((await deliver(app, each)).status).toBe(200)
    const ports = await app.ports()
    await settlePayments(ports, { untilMs: Date.now() + HOUR_MS, width: 2 })
    expect(await unitsLeft(app, person)).toBe(2100 - 505)
    await expectBooksAgree(app, person)
  })
})
