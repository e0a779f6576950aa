import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import {
  ADDRESS,
  buy,
  changeTo,
  newBuyer,
  noticesOf,
  paymentsOf,
  refund,
  shown,
  signUpFor,
  spendTo,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import {
  atStripe,
  cardOnFile,
  customerId,
  defaultCard,
  deliver,
  expectNothingHeld,
  expectSameAsStripe,
  later,
  listed,
  newCard,
  newEvent,
  remove,
  stripeOf,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
// The clock begins anew with each test, and so must what the jobs remember of the time.
beforeEach(() => app.startAfresh())
afterEach(() => double.clearFaults())

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const GOOD = '4242424242424242'
const OTHER = '5555555555554444'
const STOLEN = '4000000000009979'
const ALWAYS_3DS = '4000002760003184'

const decline = (code: string, times = 1) =>
  double.addFault({ fault: 'decline', match: CONFIRM, code, times })

const change = ({ accessToken: token }: SignedInPerson, paymentMethod: string, key?: string) =>
  app.request('PUT', '/v1/user/card', {
    token,
    json: { paymentMethod, address: ADDRESS },
    ...(key && { headers: { 'idempotency-key': key } }),
  })

const setFlags = ({ accessToken: token }: SignedInPerson, bundleAutoRenewal: boolean) =>
  app.request('PUT', '/v1/user/flags', { token, json: { bundleAutoRenewal, lowQuotaNotification: true } })

const renewalOf = async (person: SignedInPerson) => (await shown(app, person)).renewal

/** How often the bank was asked since the last call of `resetCalls`. */
const asked = (): number => app.calls().stripe[CONFIRM] ?? 0

async function renew(): Promise<void> {
  app.advance(MINUTE_MS)
  await app.job('check-quotas')
  await double.flushWebhooks()
}

/** The default card by its id. */
async function defaultOf(person: SignedInPerson): Promise<string> {
  const card = await defaultCard(app, person)
  if (card === null) throw new Error('no default card')
  return card
}

describe('a payment method whose card the network replaces', () => {
  test('is not declined any more, and the renewal that waited for another card goes on', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 5)
    decline('expired_card')
    await renew()
    expect(await renewalOf(person)).toMatchObject({ state: 'paused', reason: 'card_expired' })
    double.updateCard({ paymentMethod: await defaultOf(person), expYear: 2040 })
    await double.flushWebhooks()
    expect(await renewalOf(person)).toMatchObject({ state: 'on', reason: null })
    await renew()
    expect(await paymentsOf(app, person)).toHaveLength(2)
    // A card that works cannot be changed while auto-renewal is on.
    expect((await change(person, await newCard(app, OTHER))).status).toBe(409)
  })

  test('can be charged by its owner again at once', async () => {
    const person = await newBuyer(app)
    decline('expired_card')
    expect((await buy(app, person)).status).toBe(402)
    app.advance(11_000)
    app.resetCalls()
    expect([(await buy(app, person)).status, asked()]).toEqual([402, 0])
    double.updateCard({ paymentMethod: await defaultOf(person), number: OTHER })
    await double.flushWebhooks()
    expect((await buy(app, person)).status).toBe(201)
  })

  test('stays declined after a change that is none of the card’s', async () => {
    const person = await newBuyer(app)
    decline('stolen_card')
    expect((await buy(app, person)).status).toBe(402)
    await dashboard.paymentMethods.update(await defaultOf(person), { metadata: { note: 'x' } })
    await double.flushWebhooks()
    app.advance(11_000)
    app.resetCalls()
    expect([(await buy(app, person)).status, asked()]).toEqual([402, 0])
  })
})

describe('the newest other card takes the place of a default card', () => {
  const ways: [string, (person: SignedInPerson, card: string) => Promise<unknown>][] = [
    ['detached at Stripe', (_, card) => dashboard.paymentMethods.detach(card)],
    [
      'that is no default any more at Stripe',
      async (person) => {
        const customer = double.state.customers[(await customerId(app, person)) ?? '']
        if (customer && !customer.deleted) customer.invoice_settings.default_payment_method = null
        await deliver(app, newEvent('customer.updated', customer ?? {}))
      },
    ],
    [
      'detached at Stripe, of which only the customer’s event arrives',
      async (_, card) => {
        await dashboard.paymentMethods.detach(card)
        for (const delivery of double.state.deliveries) {
          if (double.state.events[delivery.eventId]?.type === 'payment_method.detached') delivery.dueMs = 1e15
        }
      },
    ],
    [
      'removed by its owner',
      async (person, card) => {
        await setFlags(person, false)
        expect((await remove(app, person, card)).status).toBe(204)
        await setFlags(person, true)
      },
    ],
  ]

  test.each(ways)('%s: it pays, and renewal goes on', async (_, takeAway) => {
    const person = await newBuyer(app)
    const older = await cardOnFile(app, person, 'pm_card_discover')
    app.advance(1000)
    const newest = await cardOnFile(app, person, 'pm_card_mastercard')
    await takeAway(person, await defaultOf(person))
    await double.flushWebhooks()
    expect(await defaultCard(app, person)).toBe(newest)
    expect(await listed(app, person)).toContain(older)
    await expectSameAsStripe(app, person).catch((error: unknown) => {
      // Only the customer's event has arrived.
      if (double.pendingWebhooks() === 0) throw error
    })
    await spendTo(app, person, 5)
    await renew()
    expect(await renewalOf(person)).toMatchObject({ state: 'on' })
    expect(await paymentsOf(app, person)).toHaveLength(2)
  })

  test('unless the newest is declined: a usable one is preferred', async () => {
    let person = await app.signUp()
    const first = await cardOnFile(app, person)
    const good = await cardOnFile(app, person, 'pm_card_discover')
    app.advance(1000)
    const declined = await cardOnFile(app, person, 'pm_card_mastercard')
    person = { ...person, ...(await later(app, person, HOUR_MS)) }
    decline('insufficient_funds')
    expect((await verify(app, person, declined)).status).toBe(402)
    await dashboard.paymentMethods.detach(first)
    await double.flushWebhooks()
    expect(await defaultCard(app, person)).toBe(good)
  })

  test('a purchase finds out by itself, if no event has come', async () => {
    const person = await newBuyer(app)
    const other = await cardOnFile(app, person, 'pm_card_mastercard')
    double.addFault({ fault: 'drop-webhooks' })
    await dashboard.paymentMethods.detach(await defaultOf(person))
    double.clearFaults()
    expect((await buy(app, person)).status).toBe(201)
    expect(await defaultCard(app, person)).toBe(other)
    await expectSameAsStripe(app, person)
  })
})

describe('a card that is reported as misused', () => {
  const reports: [string, string, (charge: string) => void][] = [
    ['dispute', 'card_disputed', (charge) => double.dispute({ charge })],
    ['early fraud warning', 'fraud_warning', (charge) => double.warn({ charge })],
  ]

  async function reported(report: (charge: string) => void) {
    const person = await newBuyer(app, { bundle: 'DEVELOPER' })
    const [payment] = await paymentsOf(app, person)
    report(String(payment?.latest_charge))
    await double.flushWebhooks()
    return person
  }

  test.each(reports)(
    'by a %s: is not charged while much is left, until another card is proved',
    async (_, reason, report) => {
      let person = await reported(report)
      expect(await renewalOf(person)).toMatchObject({ state: 'paused', reason })
      const told = (await noticesOf(app, person)).filter((type) => /^card_(blocked|warning)$/.test(type))
      expect(told).toHaveLength(1)
      app.resetCalls()
      expect([(await buy(app, person)).status, asked()]).toEqual([402, 0])
      expect([(await changeTo(app, person, 'starter')).status, asked()]).toEqual([402, 0])
      expect([(await verify(app, person, await defaultOf(person))).status, asked()]).toEqual([402, 0])
      await renew()
      expect(asked()).toBe(0)
      // The same number, typed again, is the same card.
      expect([(await verify(app, person, await newCard(app, GOOD))).status, asked()]).toEqual([402, 0])
      person = { ...person, ...(await later(app, person, HOUR_MS)) }
      expect((await verify(app, person, await newCard(app, OTHER))).status).toBe(200)
      expect(await renewalOf(person)).toMatchObject({ state: 'on' })
      expect((await buy(app, person)).status).toBe(201)
    },
  )

  test('is charged again once the dispute is won', async () => {
    const person = await reported((charge) => double.dispute({ charge }))
    const [dispute] = Object.values(double.state.disputes).slice(-1)
    await dashboard.disputes.update(dispute?.id ?? '', {
      evidence: { uncategorized_text: 'winning_evidence' },
    })
    app.advance(6_000)
    await double.flushWebhooks()
    await double.flushWebhooks()
    expect(await renewalOf(person)).toMatchObject({ state: 'on' })
    expect((await buy(app, person)).status).toBe(201)
  })

  test('stays blocked when the dispute is lost, or when its charge is refunded after a warning', async () => {
    const lost = await reported((charge) => double.dispute({ charge }))
    await dashboard.disputes.close(Object.values(double.state.disputes).at(-1)?.id ?? '')
    await double.flushWebhooks()
    expect(await renewalOf(lost)).toMatchObject({ state: 'paused', reason: 'card_disputed' })
    const warned = await reported((charge) => double.warn({ charge }))
    await refund(app, { id: (await paymentsOf(app, warned))[0]?.id ?? '' })
    await double.flushWebhooks()
    expect(await renewalOf(warned)).toMatchObject({ state: 'paused', reason: 'fraud_warning' })
  })

  test.each(['product_not_received', 'duplicate', 'subscription_canceled'])(
    'a dispute for another reason, %s, says nothing about the card; nor does a refund',
    async (reason) => {
      const person = await newBuyer(app, { bundle: 'DEVELOPER' })
      const [payment] = await paymentsOf(app, person)
      if (reason === 'duplicate') await refund(app, payment!, 100)
      else double.dispute({ charge: String(payment?.latest_charge), reason })
      await double.flushWebhooks()
      expect((await noticesOf(app, person)).includes('card_blocked')).toBe(false)
      expect((await buy(app, person)).status).toBe(201)
    },
  )

  test('another number from the network is another card', async () => {
    const person = await reported((charge) => double.dispute({ charge }))
    double.updateCard({ paymentMethod: await defaultOf(person), expYear: 2041 })
    await double.flushWebhooks()
    expect(await renewalOf(person)).toMatchObject({ state: 'paused' })
    double.updateCard({ paymentMethod: await defaultOf(person), number: OTHER })
    await double.flushWebhooks()
    expect(await renewalOf(person)).toMatchObject({ state: 'on' })
    expect((await buy(app, person)).status).toBe(201)
  })
})

describe('the bank is asked about a card', () => {
  test('once after a decline for good, however often it is tried and by whatever endpoint', async () => {
    let person = await newBuyer(app)
    app.resetCalls()
    decline('stolen_card', 100)
    for (let tries = 0; tries < 12; tries++) {
      const answer = await (tries % 2 ? buy(app, person) : changeTo(app, person, 'developer'))
      expect([tries, answer.status]).toEqual([tries, 402])
      person = { ...person, ...(await later(app, person, 2 * HOUR_MS)) }
    }
    expect(asked()).toBe(1)
    await spendTo(app, person, 5)
    await renew()
    expect(asked()).toBe(1)
    // Its owner may prove it once more, and no more if the bank refuses for good again.
    const card = await defaultOf(person)
    for (let tries = 0; tries < 3; tries++) expect((await change(person, card)).status).toBe(402)
    expect(asked()).toBe(2)
    expect((await change(person, await newCard(app, GOOD))).status).toBe(402)
    expect((await verify(app, person, await newCard(app, GOOD))).status).toBe(402)
    expect(asked()).toBe(2)
    double.clearFaults()
    expect((await change(person, await newCard(app, OTHER))).status).toBe(204)
  })

  test('once when a new card is declined for good, under any payment method of its number', async () => {
    const person = await app.signUp()
    app.resetCalls()
    const card = await newCard(app, STOLEN)
    for (let tries = 0; tries < 3; tries++) expect((await verify(app, person, card)).status).toBe(402)
    expect((await change(person, await newCard(app, STOLEN))).status).toBe(402)
    expect((await signUpFor(app, person, 'STARTER', await newCard(app, STOLEN))).status).toBe(402)
    expect(asked()).toBe(1)
    await expectNothingHeld(app, person)
    // None of these counted as tries of a card.
    for (let tries = 0; tries < 2; tries++)
      expect((await verify(app, person, await newCard(app, '4000000000000002'))).status).toBe(402)
    expect(asked()).toBe(3)
    expect((await verify(app, person, await newCard(app, GOOD))).status).toBe(429)
  })

  test('again when its details were wrong and are typed again', async () => {
    const person = await app.signUp()
    decline('incorrect_cvc')
    const wrong = await newCard(app, GOOD)
    expect((await verify(app, person, wrong)).status).toBe(402)
    app.resetCalls()
    expect([(await verify(app, person, wrong)).status, asked()]).toEqual([402, 0])
    expect((await verify(app, person, await newCard(app, GOOD))).status).toBe(200)
  })

  test('10 times in 30 days, over all endpoints and payment methods, if it is declined for the moment', async () => {
    let person = await newBuyer(app)
    app.resetCalls()
    decline('insufficient_funds', 100)
    await setFlags(person, false)
    for (let tries = 0; tries < 14; tries++) {
      if (tries % 3 === 2) await verify(app, person, await newCard(app, GOOD))
      else if (tries % 3 === 1) await change(person, await newCard(app, GOOD))
      else await buy(app, person)
      person = { ...person, ...(await later(app, person, 20 * HOUR_MS)) }
    }
    expect(asked()).toBe(10)
    for (const answer of [
      await buy(app, person),
      await change(person, await newCard(app, GOOD)),
      await verify(app, person, await newCard(app, GOOD)),
    ]) {
      expect([answer.status, answer.body.detail]).toEqual([429, expect.stringContaining('another card')])
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(10 * 24 * 3600)
    }
    expect(asked()).toBe(10)
    double.clearFaults()
    expect((await change(person, await newCard(app, OTHER))).status).toBe(204)
    app.advance(11_000)
    expect((await buy(app, person)).status).toBe(201)
  })

  test('3 times an hour and 10 a day at most if it is declined; what is paid does not count', async () => {
    let person = await newBuyer(app)
    for (let paid = 0; paid < 5; paid++) {
      expect((await buy(app, person)).status).toBe(201)
      app.advance(11_000)
    }
    decline('generic_decline', 3)
    for (let tries = 0; tries < 3; tries++) {
      expect((await buy(app, person)).status).toBe(402)
      app.advance(11_000)
    }
    app.resetCalls()
    const answer = await buy(app, person)
    expect([answer.status, answer.headers.get('retry-after'), asked()]).toEqual([429, String(3600 - 33), 0])
    await spendTo(app, person, 5)
    await renew()
    expect(asked()).toBe(0)
    expect(await renewalOf(person)).toMatchObject({ state: 'retrying', reason: 'too_many_declines' })
    person = { ...person, ...(await later(app, person, HOUR_MS)) }
    await renew()
    expect(await renewalOf(person)).toMatchObject({ state: 'on' })
  })
})

describe('a payment method that Stripe does not accept', () => {
  test('leaves a line that says what to look at, is no try, and stores nothing', async () => {
    // Of one line 20 are printed in a minute, which may be one of another file of this process.
    app.advance(75 * HOUR_MS)
    const person = await app.signUp()
    app.logs.length = 0
    for (let tries = 0; tries < 4; tries++) {
      for (const answer of [
        await verify(app, person, 'pm_1OfAnotherAccount'),
        await change(person, 'pm_1OfAnotherAccount'),
        await signUpFor(app, person, 'STARTER', 'pm_1OfAnotherAccount'),
      ]) {
        expect([answer.status, answer.body.type]).toEqual([400, 'urn:bursar:problem:invalid_payment_method'])
      }
    }
    expect(app.logs.filter((line) => line.includes('compare the publishable key'))).toHaveLength(12)
    expect(app.logs.join()).not.toContain('pm_1OfAnotherAccount')
    const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
    expect([profile?.cardTriesMs, profile?.address, profile?.openHold]).toEqual([[], undefined, undefined])
    expect((await verify(app, person, 'pm_card_visa')).status).toBe(200)
  })
})

describe('an e-mail address that Stripe does not take', () => {
  test('an international domain is sent in ASCII', async () => {
    const person = await app.signUp({ email: 'ada@bücher-ascii.example' })
    expect((await verify(app, person, 'pm_card_visa')).status).toBe(200)
    const customer = await dashboard.customers.retrieve((await customerId(app, person)) ?? '')
    expect(customer.deleted || customer.email).toBe('ada@xn--bcher-ascii-thb.example')
  })
})

describe('a change of the name', () => {
  test('reaches Stripe’s customer by the sweep, after an outage by the next one', async () => {
    const person = await app.signUp()
    await cardOnFile(app, person)
    const json = { name: 'Ada Countess' }
    await app.request('PUT', '/api/users/current', { token: person.accessToken, json })
    double.addFault({ fault: '500', match: 'POST /v1/customers/*' })
    await app.job('sweep')
    double.clearFaults()
    await app.job('sweep')
    await double.flushWebhooks()
    const customer = await dashboard.customers.retrieve((await customerId(app, person)) ?? '')
    expect(customer.deleted || customer.name).toBe('Ada Countess')
    await expectSameAsStripe(app, person)
  })
})

describe('the same card number twice', () => {
  test('is one entry, the newer one, which pays and renews; removed, nothing is left at Stripe', async () => {
    const person = await newBuyer(app)
    const older = await defaultOf(person)
    const newer = await newCard(app, GOOD)
    expect((await verify(app, person, newer)).status).toBe(200)
    await double.flushWebhooks()
    expect([await listed(app, person), await defaultOf(person)]).toEqual([[newer], newer])
    expect((await dashboard.paymentMethods.retrieve(older)).customer).toBeNull()
    await expectSameAsStripe(app, person)
    expect((await buy(app, person)).status).toBe(201)
    await spendTo(app, person, 5)
    await renew()
    expect(await paymentsOf(app, person)).toHaveLength(3)
    await setFlags(person, false)
    expect((await remove(app, person, newer)).status).toBe(204)
    expect((await atStripe(app, person)).cards).toEqual([])
  })

  test('attached at Stripe, it is one entry as well', async () => {
    const person = await app.signUp()
    const older = await cardOnFile(app, person)
    app.advance(1000)
    const newer = await newCard(app, GOOD)
    await dashboard.paymentMethods.attach(newer, { customer: (await customerId(app, person)) ?? '' })
    await double.flushWebhooks()
    app.advance(2 * MINUTE_MS)
    await app.job('sweep')
    await double.flushWebhooks()
    expect([await listed(app, person), await defaultOf(person)]).toEqual([[newer], newer])
    expect((await dashboard.paymentMethods.retrieve(older)).customer).toBeNull()
    await expectSameAsStripe(app, person)
  })

  test('an open purchase with the older entry goes on', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    const older = await defaultOf(person)
    expect((await buy(app, person)).status).toBe(402)
    const waiting = (await atStripe(app, person)).intents.find(({ status }) => status === 'requires_action')
    const newer = await newCard(app, ALWAYS_3DS)
    expect((await verify(app, person, newer)).status).toBe(402)
    for (const { id, status } of (await atStripe(app, person)).intents) {
      if (status === 'requires_action' && id !== waiting?.id)
        double.authenticate({ paymentIntent: id, outcome: 'succeed' })
    }
    await double.flushWebhooks()
    expect(await listed(app, person)).toEqual([newer])
    expect((await atStripe(app, person)).cards).toContain(older)
    double.authenticate({ paymentIntent: waiting?.id ?? '', outcome: 'succeed' })
    await double.flushWebhooks()
    expect(await paymentsOf(app, person)).toHaveLength(2)
    app.advance(2 * MINUTE_MS)
    await app.job('sweep')
    await double.flushWebhooks()
    expect((await atStripe(app, person)).cards).toEqual([newer])
    await expectSameAsStripe(app, person)
  })
})

describe('an Idempotency-Key', () => {
  const verifyWith = ({ accessToken: token }: SignedInPerson, paymentMethod: string, key: string) =>
    app.request('POST', '/api/users/current/verify-payment', {
      token,
      json: { paymentMethod },
      headers: { 'idempotency-key': key },
    })
  const holds = async (person: SignedInPerson) => (await atStripe(app, person)).charges.length

  test('on verify-payment and PUT card: one hold and one answer, another body is 422', async () => {
    const person = await app.signUp()
    const card = await newCard(app, GOOD)
    for (let times = 0; times < 3; times++) {
      const answer = await verifyWith(person, card, 'key-1')
      const repeat = times > 0 && { replayed: true }
      expect([answer.status, answer.body]).toEqual([200, { status: 'ok', ...repeat }])
      app.advance(11_000)
    }
    expect(await holds(person)).toBe(1)
    expect((await verifyWith(person, await newCard(app, GOOD), 'key-1')).status).toBe(422)
    expect((await change(person, card, 'key-1')).status).toBe(422)
    const other = await newCard(app, OTHER)
    for (let times = 0; times < 3; times++) expect((await change(person, other, 'key-2')).status).toBe(204)
    expect((await change(person, card, 'key-2')).status).toBe(422)
    expect((await change(person, card, 'key-3')).status).toBe(429)
    expect(await holds(person)).toBe(2)
    await double.flushWebhooks()
    await expectSameAsStripe(app, person)
  })

  test('a decline is answered again without asking the bank, 3-D Secure with the same secret', async () => {
    const person = await app.signUp()
    const declined = await newCard(app, '4000000000000002')
    for (let times = 0; times < 3; times++)
      expect((await verifyWith(person, declined, 'key-1')).status).toBe(402)
    expect(await holds(person)).toBe(1)
    const secure = await newCard(app, ALWAYS_3DS)
    const [first, second] = [
      await verifyWith(person, secure, 'key-2'),
      await verifyWith(person, secure, 'key-2'),
    ]
    expect(first.body.clientSecret).toBe(second.body.clientSecret)
    const open = (await atStripe(app, person)).intents.find(({ status }) => status === 'requires_action')
    double.authenticate({ paymentIntent: open?.id ?? '', outcome: 'succeed' })
    await double.flushWebhooks()
    expect((await verifyWith(person, secure, 'key-2')).status).toBe(200)
    expect((await atStripe(app, person)).intents).toHaveLength(2)
  })

  test('a lost answer is answered by the same hold, also to many at once', async () => {
    let person = await app.signUp()
    const card = await newCard(app, GOOD)
    double.addFault({ fault: 'lose-reply-after-commit', match: CONFIRM, times: 2 })
    expect((await verifyWith(person, card, 'key-1')).status).toBe(202)
    double.clearFaults()
    const answers = await Promise.all(Array.from({ length: 5 }, () => verifyWith(person, card, 'key-1')))
    for (const { status } of answers) expect([200, 202, 409]).toContain(status)
    await double.flushWebhooks()
    expect((await verifyWith(person, card, 'key-1')).status).toBe(200)
    expect(await holds(person)).toBe(1)
    person = { ...person, ...(await later(app, person, DAY_MS / 2)) }
    await app.job('sweep')
    await expectSameAsStripe(app, person)
  })

  test('a request that joins an open verification has its answer too', async () => {
    const person = await app.signUp()
    const secure = await newCard(app, ALWAYS_3DS)
    expect((await verify(app, person, secure)).status).toBe(402)
    expect((await verifyWith(person, secure, 'key-1')).status).toBe(402)
    const open = (await atStripe(app, person)).intents.find(({ status }) => status === 'requires_action')
    double.authenticate({ paymentIntent: open?.id ?? '', outcome: 'succeed' })
    await double.flushWebhooks()
    expect((await verifyWith(person, secure, 'key-1')).status).toBe(200)
    expect((await atStripe(app, person)).intents).toHaveLength(1)
  })

  test('what began nothing may begin with the same key', async () => {
    const person = await app.signUp()
    expect((await verifyWith(person, 'pm_1Unknown0000000000000', 'key-1')).status).toBe(400)
    const card = await newCard(app, GOOD)
    expect((await verifyWith(person, card, 'key-1')).status).toBe(422)
    double.addFault({ fault: '500', match: 'POST /v1/payment_intents$' })
    expect((await verifyWith(person, card, 'key-2')).status).toBe(503)
    double.clearFaults()
    expect((await verifyWith(person, card, 'key-2')).status).toBe(200)
  })
})
