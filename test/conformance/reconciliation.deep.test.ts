import type Stripe from 'stripe'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  buy,
  expectBooksAgree,
  expectNothingOpen,
  ledgerOf,
  newBuyer,
  paymentsOf,
  refund,
  shown,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import {
  cardOnFile,
  customerId,
  deliver,
  eventsAbout,
  expectNothingHeld,
  expectSameAsStripe,
  later,
  listed,
  newCard,
  newEvent,
  stripeOf,
  verify,
} from '../support/stripe.ts'

/**
 * Money at Stripe agrees with the ledger, or a person is told, within an hour: whatever was edited or deleted
 * there, and whatever events are missing.
 */
const app = await startApp()
beforeEach(app.startAfresh)
const { double, dashboard } = stripeOf(app)
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const CONFIRM = 'POST /v1/payment_intents/*/confirm'

const sweep = () => app.job('sweep')

/** The alarms of the sweeps of an hour. */
async function alarmsOfAnHour(): Promise<string[]> {
  const alarms: string[] = []
  for (let sweeps = 0; sweeps < 6; sweeps++) {
    app.advance(10 * MINUTE_MS)
    alarms.push(...(await sweep()).alarms)
  }
  return alarms
}

/** A buyer with a further payment that took money, and whose answer was lost. */
async function withLostAnswer() {
  double.addFault({ fault: 'no-endpoint' })
  const person = await newBuyer(app)
  double.addFault({ fault: 'torn-body', match: CONFIRM, times: 1 })
  expect((await buy(app, person)).status).toBe(202)
  const payment = (await paymentsOf(app, person)).at(-1)
  if (!payment) throw new Error('no payment')
  return { person, payment }
}

/** Creates a payment as the operator does in the Dashboard. */
const byHand = (params: Partial<Stripe.PaymentIntentCreateParams>) =>
  dashboard.paymentIntents.create({
    amount: 99,
    currency: 'usd',
    payment_method: 'pm_card_visa',
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    ...params,
  })

const messages = async (person: SignedInPerson): Promise<string> => {
  const list = await shown(app, person, '/api/users/current/notifications?limit=100')
  return list.map(({ message }: { message: string }) => message).join('\n')
}

describe('a payment whose metadata was edited belongs to the purchase that has stored its id', () => {
  test.each<[string, '' | Record<string, string>]>([
    ['removed', ''],
    ['of another purchase', { purchase: 'f'.repeat(24) }],
    ['of a verification', { purchase: `hold_${'f'.repeat(24)}` }],
    ['of another account and stage', { account: 'e'.repeat(24), stage: 'other' }],
  ])('%s: credited by the job, no alarm', async (_, metadata) => {
    const { person, payment } = await withLostAnswer()
    await dashboard.paymentIntents.update(payment.id, { metadata })
    app.advance(MINUTE_MS)
    expect(await app.job('settle-payments')).toMatchObject({ credited: 1 })
    expect(await alarmsOfAnHour()).toEqual([])
    const signedIn = await later(app, person, HOUR_MS)
    expect(await unitsLeft(app, signedIn)).toBe(2100)
    expect(await messages(signedIn)).not.toContain('Nothing was charged')
  })

  test('removed: credited by its event, and so is its refund', async () => {
    const { person, payment } = await withLostAnswer()
    await dashboard.paymentIntents.update(payment.id, { metadata: '' })
    expect((await deliver(app, newEvent('payment_intent.succeeded', payment))).status).toBe(200)
    expect(await unitsLeft(app, person)).toBe(2100)
    const made = await refund(app, payment)
    expect((await deliver(app, newEvent('refund.created', made))).status).toBe(200)
    expect(await unitsLeft(app, person)).toBe(1100)
  })
})

describe('a payment that is open when it is ten minutes old', () => {
  test('raises an alarm once it takes money without a purchase', async () => {
    const person = await newBuyer(app)
    const { id } = await byHand({ metadata: { account: person.accountId, purchase: 'f'.repeat(24) } })
    expect(await alarmsOfAnHour()).toEqual([])
    app.advance(5 * HOUR_MS)
    await dashboard.paymentIntents.confirm(id)
    expect(await alarmsOfAnHour()).toEqual([
      `payment ${id}: charged, but no purchase is recorded; refund it in Stripe`,
    ])
  })

  test('raises no alarm once it is credited or canceled', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    expect(await alarmsOfAnHour()).toEqual([])
    double.authenticate({ paymentIntent: (await waitingPayment(app, person)).id, outcome: 'succeed' })
    await double.flushWebhooks()
    expect(await alarmsOfAnHour()).toEqual([])
    await expectBooksAgree(app, await later(app, person, HOUR_MS))
  })
})

describe('money without a purchase raises an alarm', () => {
  test('of a customer of ours without metadata; once a day, until it is refunded', async () => {
    const person = await newBuyer(app)
    const customer = (await customerId(app, person)) ?? ''
    const { id } = await byHand({ customer, confirm: true })
    const sentence = `payment ${id}: charged, but no purchase is recorded; refund it in Stripe`
    expect(await alarmsOfAnHour()).toEqual([sentence])
    app.advance(DAY_MS)
    expect((await sweep()).alarms).toEqual([sentence])
    await refund(app, { id })
    app.advance(DAY_MS)
    expect((await sweep()).alarms).toEqual([])
    app.advance(DAY_MS)
    expect((await sweep()).alarms).toEqual([])
  })

  test('but not of another stage in the same Stripe account, whose open payments are not canceled', async () => {
    const person = await newBuyer(app)
    const metadata = { account: 'e'.repeat(24), purchase: 'f'.repeat(24), stage: 'other' }
    await byHand({ metadata, confirm: true })
    const open = await byHand({ metadata: { ...metadata, account: person.accountId } })
    const event = newEvent('payment_intent.requires_action', open)
    expect((await deliver(app, event)).status).toBe(200)
    expect(await alarmsOfAnHour()).toEqual([])
    expect((await dashboard.paymentIntents.retrieve(open.id)).status).toBe('requires_confirmation')
  })

  test('also for a credit whose payment Stripe does not know', async () => {
    const person = await newBuyer(app)
    const [payment] = await paymentsOf(app, person)
    double.deleteObjects([payment?.id ?? ''])
    expect(await alarmsOfAnHour()).toEqual([
      `payment ${payment?.id}: credited, but Stripe has no such payment; check the ledger of the account`,
    ])
  })
})

describe('without an endpoint at Stripe, the sweep makes the ledger follow', () => {
  test('refunds, also one that fails later, and disputes, also one that is won later', async () => {
    double.addFault({ fault: 'no-endpoint' })
    const person = await newBuyer(app, { card: '4000000000005126' })
    const other = await newBuyer(app, { card: '4000000000000259' })
    await refund(app, (await paymentsOf(app, person))[0] ?? { id: '' })
    await sweep()
    expect([await unitsLeft(app, person), await unitsLeft(app, other)]).toEqual([100, 100])
    expect((await shown(app, other, '/v1/user')).renewal.reason).toBe('card_disputed')
    app.advance(5 * DAY_MS)
    await sweep()
    const [dispute] = (await dashboard.disputes.list()).data
    await dashboard.disputes.update(dispute?.id ?? '', {
      evidence: { uncategorized_text: 'winning_evidence' },
    })
    app.advance(MINUTE_MS)
    await sweep()
    for (const each of [person, other]) {
      const signedIn = await later(app, each, HOUR_MS)
      expect(await unitsLeft(app, signedIn)).toBe(1100)
      expect((await shown(app, signedIn, '/v1/user')).renewal.state).toBe('on')
      expect((await ledgerOf(app, signedIn)).map(({ amount }) => amount).reduce((a, b) => a + b)).toBe(0)
    }
    expect(await alarmsOfAnHour()).toEqual([])
  })

  test.each([
    ['a dispute for fraud', '4000000000000259', 'card_disputed'],
    ['a fraud warning', '4000000000005423', 'fraud_warning'],
  ])('%s closes the card and pauses renewal, and is told once', async (_, card, reason) => {
    double.addFault({ fault: 'no-endpoint' })
    const person = await newBuyer(app, { card })
    await sweep()
    await sweep()
    expect((await shown(app, person, '/v1/user')).renewal).toMatchObject({ state: 'paused', reason })
    const told = await shown(app, person, '/api/users/current/notifications')
    const ofCard = told.filter(({ messageType }: { messageType: string }) => messageType.startsWith('card_'))
    expect(ofCard).toHaveLength(1)
    expect((await buy(app, person)).status).toBe(402)
    const [dispute] = (await dashboard.disputes.list()).data
    if (!dispute) return
    await dashboard.disputes.update(dispute.id, { evidence: { uncategorized_text: 'winning_evidence' } })
    app.advance(MINUTE_MS)
    await sweep()
    expect((await shown(app, person, '/v1/user')).renewal).toMatchObject({ state: 'on', reason: null })
  })

  test('and a refund is dated by the day when it was made', async () => {
    double.addFault({ fault: 'no-endpoint' })
    const person = await newBuyer(app)
    const made = await refund(app, (await paymentsOf(app, person))[0] ?? { id: '' })
    app.advance(3 * DAY_MS)
    await sweep()
    const entries = await ledgerOf(app, await later(app, person, HOUR_MS))
    expect(entries.find(({ kind }) => kind === 'refund')?.at).toBe(
      new Date(made.created * 1000).toISOString(),
    )
  })
})

describe('an absent object proves nothing while the secret key is that of another account', () => {
  test('events are answered 503 and handled later; cards, purchases and holds stay as they are', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    const open = await waitingPayment(app, person)
    const card = await newCard(app, '4242424242424242')
    await dashboard.paymentMethods.attach(card, { customer: (await customerId(app, person)) ?? '' })
    const made = await refund(app, (await paymentsOf(app, person))[0] ?? { id: '' })
    const [event] = await eventsAbout(app, made.id)
    const before = await listed(app, person)

    double.addFault({ fault: 'other-account' })
    expect((await deliver(app, event ?? {})).status).toBe(503)
    expect((await deliver(app, newEvent('payment_intent.succeeded', open))).status).toBe(503)
    await double.flushWebhooks()
    app.advance(2 * MINUTE_MS)
    await app.job('settle-payments')
    for (let sweeps = 0; sweeps < 2; sweeps++) {
      app.advance(10 * MINUTE_MS)
      await sweep().catch(() => undefined)
    }
    const signedIn = await later(app, person, 40 * MINUTE_MS)
    expect(await listed(app, signedIn)).toEqual(before)
    expect(await unitsLeft(app, signedIn)).toBe(1100)

    double.clearFaults()
    double.authenticate({ paymentIntent: open.id, outcome: 'succeed' })
    await double.flushWebhooks()
    expect(await alarmsOfAnHour()).toEqual([])
    const again = await later(app, person, HOUR_MS)
    await double.flushWebhooks()
    expect(await unitsLeft(app, again)).toBe(1100)
    await expectSameAsStripe(app, again)
    await expectNothingOpen(app, again)
  })

  test('payments of that time are compared once the key is right again', async () => {
    await newBuyer(app)
    app.advance(10 * MINUTE_MS)
    await sweep()
    const other = await newBuyer(app)
    const { id } = await byHand({ customer: (await customerId(app, other)) ?? '', confirm: true })
    double.addFault({ fault: 'other-account' })
    app.advance(10 * MINUTE_MS)
    await expect(sweep()).rejects.toThrow()
    double.clearFaults()
    app.advance(10 * MINUTE_MS)
    expect((await sweep()).alarms).toEqual([expect.stringContaining(id)])
  })

  test('an event is retried for a day, then raises an alarm, once', async () => {
    const person = await newBuyer(app)
    const made = await refund(app, (await paymentsOf(app, person))[0] ?? { id: '' })
    double.addFault({ fault: 'other-account', match: 'GET /v1/refunds/*' })
    await double.flushWebhooks()
    app.advance(DAY_MS - MINUTE_MS)
    expect((await sweep()).alarms).toEqual([])
    app.advance(10 * MINUTE_MS)
    const { alarms } = await sweep()
    const refunds = alarms.filter((alarm: string) => alarm.includes(`refund.created of ${made.id}`))
    expect(refunds).toHaveLength(1)
    expect((await sweep()).alarms).toEqual([])
  })
})

describe('a payment that Stripe has deleted can take no money', () => {
  test('its purchase ends without a claim about the charge, and the customer can buy again', async () => {
    const { person, payment } = await withLostAnswer()
    double.deleteObjects([payment.id])
    app.advance(MINUTE_MS)
    expect(await app.job('settle-payments')).toMatchObject({ ended: 1, failed: 0 })
    expect(await messages(person)).toContain('no longer has your payment for the STARTER bundle')
    expect(await messages(person)).not.toContain('Nothing was charged')
    expect((await buy(app, person)).status).toBe(201)
    await expectNothingOpen(app, person)
  })

  test('a click on an open purchase whose payment is deleted buys anew', async () => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    double.deleteObjects([(await waitingPayment(app, person)).id])
    expect((await buy(app, person)).status).toBe(402)
    expect((await waitingPayment(app, person)).status).toBe('requires_action')
  })

  test('its verification ends, and the card can be verified again', async () => {
    const person = await app.signUp()
    const card = await newCard(app, ALWAYS_3DS)
    const first = await verify(app, person, card)
    expect(first.status).toBe(402)
    double.deleteObjects([String(first.body.clientSecret).split('_secret_')[0] ?? ''])
    const second = await verify(app, person, card)
    expect([second.status, second.body.type]).toEqual([402, 'urn:bursar:problem:payment_action_required'])
    double.deleteObjects([String(second.body.clientSecret).split('_secret_')[0] ?? ''])
    app.advance(MINUTE_MS)
    expect(await sweep()).toMatchObject({ holdsEnded: 1, holdsFailed: 0 })
    await expectNothingHeld(app, person)
  })

  test('with its customer unreadable nothing ends, and nothing is answered 500', async () => {
    const { person } = await withLostAnswer()
    double.addFault({ fault: 'other-account' })
    app.advance(MINUTE_MS)
    expect(await app.job('settle-payments')).toMatchObject({ ended: 0, failed: 1 })
    expect((await buy(app, person)).status).toBe(202)
    double.clearFaults()
    app.advance(MINUTE_MS)
    expect(await app.job('settle-payments')).toMatchObject({ credited: 1 })
  })
})

describe('what happened is dated by the charge', () => {
  test('a charge of December that is settled in January: invoice, ledger and monthly cap', async () => {
    const person = await newBuyer(app)
    const now = new Date()
    const january = Date.UTC(now.getUTCFullYear() + 1, 0)
    app.advance(january - 2 * MINUTE_MS - now.getTime() - 11_000)
    const late = { ...person, ...(await app.fixtures.login(person.accountId, person)) }
    await app.request('PUT', '/v1/user/flags', {
      token: late.accessToken,
      json: { bundleAutoRenewal: true, lowQuotaNotification: true },
    })
    const { key } = person
    await app.request('POST', '/v1/usage', {
      headers: { 'x-api-key': key },
      json: { units: (await unitsLeft(app, late)) - 9 },
    })
    double.addFault({ fault: 'torn-body', match: CONFIRM, times: 1 })
    double.addFault({ fault: 'no-endpoint' })
    await app.job('check-quotas')
    app.advance(5 * MINUTE_MS)
    expect(await app.job('settle-payments')).toMatchObject({ credited: 1 })
    const payment = (await paymentsOf(app, late)).at(-1)
    const chargedAt = new Date((payment?.created ?? 0) * 1000).toISOString()
    expect(chargedAt).toMatch(/-12-31T23:5/)
    const [invoice] = await shown(app, late, '/v1/invoice/list')
    expect(JSON.stringify(invoice)).toContain(chargedAt.slice(0, 10))
    const entries = await ledgerOf(app, late)
    expect(entries.filter(({ kind }) => kind === 'payment').at(-1)?.at).toBe(chargedAt)
    const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
    expect(profile?.renewed).toMatchObject({ month: chargedAt.slice(0, 7), cents: 99 })
  })
})

test('a payment says what it is for, on the statement, in the Dashboard and by its receipt', async () => {
  const person = await newBuyer(app)
  const [payment] = await paymentsOf(app, person)
  expect(payment).toMatchObject({
    description: 'STARTER bundle: 1,000 units',
    statement_descriptor_suffix: 'STARTER',
    receipt_email: person.email,
    metadata: { stage: 'Local0001' },
  })
})

describe('a sweep', () => {
  test.each(['GET /v1/events', 'GET /v1/refunds', 'GET /v1/payment_intents$'])(
    'whose call %s fails runs its other steps, says so and fails',
    async (match) => {
      const { person } = await withLostAnswer()
      await cardOnFile(app, person)
      const { id } = await byHand({ metadata: { account: person.accountId, purchase: 'f'.repeat(24) } })
      app.advance(HOUR_MS)
      await sweep()
      await dashboard.paymentIntents.confirm(id)
      app.advance(HOUR_MS)
      double.addFault({ fault: '500', match })
      app.logs.length = 0
      await expect(sweep()).rejects.toThrow()
      const lines = app.logs.map((line) => JSON.parse(line))
      expect(lines.filter(({ what }) => String(what).startsWith('a step of the sweep failed'))).toHaveLength(
        1,
      )
      expect(lines.filter(({ level }) => level === 'alarm')).toEqual([
        { level: 'alarm', job: 'sweep', alarm: expect.stringContaining(id) },
      ])
    },
  )
})
