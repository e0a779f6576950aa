import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import {
  ADDRESS,
  ALWAYS_3DS,
  authenticate,
  buy,
  changeTo,
  expectBooksAgree,
  expectNothingOpen,
  mailsTo,
  newBuyer,
  noticesOf,
  paymentsOf,
  refund,
  shown,
  spendTo,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import { defaultKey } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, counterOf } from '../support/quota.ts'
import { atStripe, defaultCard, later, newCard, remove, stripeOf } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)
const { double } = stripeOf(app)
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const CREATE = 'POST /v1/payment_intents$'
const NOTHING = { notices: 0, renewed: 0, tried: 0, failed: 0 }

const check = () => app.job('check-quotas')

/** Runs both jobs that renewals need, a minute later. */
async function minuteLater(): Promise<void> {
  app.advance(MINUTE_MS)
  await app.job('settle-payments')
  await check()
}

const renewalOf = async (person: SignedInPerson) => (await shown(app, person)).renewal
const setFlags = (
  { accessToken: token }: SignedInPerson,
  bundleAutoRenewal: boolean,
  lowQuotaNotification: boolean,
) => app.request('PUT', '/v1/user/flags', { token, json: { bundleAutoRenewal, lowQuotaNotification } })
const setCap = ({ accessToken: token }: SignedInPerson, monthlyCap: number | null) =>
  app.request('PUT', '/v1/user/renewal', { token, json: { monthlyCap } })
const changeCard = ({ accessToken: token }: SignedInPerson, paymentMethod: string) =>
  app.request('PUT', '/v1/user/card', { token, json: { paymentMethod, address: ADDRESS } })
const decline = (code = 'insufficient_funds', times?: number) =>
  double.addFault({ fault: 'decline', match: CONFIRM, code, ...(times && { times }) })

async function charged(person: SignedInPerson): Promise<number> {
  return (await paymentsOf(app, person)).length
}

/** A buyer whose renewal is due: 5 of 1,000 units are left. */
async function dueBuyer(options: { card?: string } = {}) {
  const person = await newBuyer(app, options)
  await spendTo(app, person, 5)
  return person
}

const ON = {
  state: 'on',
  reason: null,
  nextAttemptAt: null,
  monthlyCap: null,
  maxPerHour: 3,
  maxPerDay: 10,
  below: '1%',
  bundle: 'STARTER',
}

describe('the low-quota notice', () => {
  test('comes in the list and by mail below 10 % of the bundle, and not at 10 %', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 100)
    expect(await check()).toEqual(NOTHING)
    await consume(app, person.key, { units: 1 })
    expect(await check()).toEqual({ ...NOTHING, notices: 1 })
    for (const units of [1, 50]) {
      await consume(app, person.key, { units })
      expect(await check()).toEqual(NOTHING)
    }
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota'])
    const subject = 'Less than 10 % of your STARTER bundle is left'
    expect((await mailsTo(app, person)).filter((each) => each === subject)).toHaveLength(1)
  })

  test('comes once for each crossing: the next crossing after a refill gives another', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 99)
    await check()
    app.advance(SECOND_MS)
    await buy(app, person)
    await check()
    await spendTo(app, person, 99)
    expect(await check()).toEqual({ ...NOTHING, notices: 1 })
    expect((await noticesOf(app, person)).filter((type) => type === 'low_quota')).toHaveLength(2)
  })

  test('comes once from three concurrent runs', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 99)
    await Promise.all([check(), check(), check()])
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota'])
    expect((await mailsTo(app, person)).filter((subject) => subject.startsWith('Less than'))).toHaveLength(1)
  })

  test('does not come while its flag is off, nor later for a crossing of that time', async () => {
    const person = await newBuyer(app)
    await setFlags(person, true, false)
    await spendTo(app, person, 99)
    expect(await check()).toEqual(NOTHING)
    await setFlags(person, true, true)
    expect(await check()).toEqual(NOTHING)
    expect(await noticesOf(app, person)).toEqual(['purchased'])
  })

  test('does not come before the first bundle', async () => {
    const person = await app.signUp()
    await consume(app, await defaultKey(app, person), { units: 100 })
    expect(await check()).toEqual(NOTHING)
    expect(await noticesOf(app, person)).toEqual([])
  })

  test('comes once after a fault of the database', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 99)
    app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems', times: 3 })
    expect(await check()).toMatchObject({ failed: 1 })
    app.stack.dynamo.clearFaults()
    app.advance(MINUTE_MS)
    app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'TransactWriteItems', times: 3 })
    await check()
    app.stack.dynamo.clearFaults()
    for (let minutes = 0; minutes < 2; minutes++) {
      app.advance(MINUTE_MS)
      await check()
    }
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota'])
  })
})

describe('renewal', () => {
  test('makes one charge with units, notice, mail and invoice below 1 %, and none at 1 %', async () => {
    const person = await newBuyer(app)
    await spendTo(app, person, 10)
    expect(await check()).toMatchObject({ renewed: 0, tried: 0 })
    await consume(app, person.key, { units: 1 })
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    expect(await unitsLeft(app, person)).toBe(1009)
    expect(await charged(person)).toBe(2)
    const [payment] = (await paymentsOf(app, person)).slice(-1)
    expect(payment?.payment_method_options?.card).toMatchObject({ stored_credential_usage: 'unscheduled' })
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota', 'renewed'])
    expect(await mailsTo(app, person)).toContain('We renewed your STARTER bundle')
    expect(await shown(app, person, '/v1/invoice/list')).toHaveLength(2)
    expect(await renewalOf(person)).toEqual(ON)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
    app.advance(MINUTE_MS)
    await double.flushWebhooks()
    expect(await check()).toEqual(NOTHING)
    app.resetCalls()
    expect(await check()).toEqual(NOTHING)
    expect(app.calls().stripe).toEqual({})
  })

  test('both thresholds in one request: a notice and a renewal in one run', async () => {
    const person = await dueBuyer()
    expect(await check()).toEqual({ ...NOTHING, notices: 1, renewed: 1 })
    await expectBooksAgree(app, person)
  })

  test('three concurrent runs charge once', async () => {
    const person = await dueBuyer()
    await Promise.all([check(), check(), check()])
    await minuteLater()
    expect(await charged(person)).toBe(2)
    expect(await unitsLeft(app, person)).toBe(1005)
    await expectBooksAgree(app, person)
  })

  test('happens again at the next crossing', async () => {
    const person = await dueBuyer()
    for (let times = 2; times < 5; times++) {
      await check()
      expect(await charged(person)).toBe(times)
      await spendTo(app, person, 5)
      app.advance(MINUTE_MS)
    }
    await expectBooksAgree(app, person)
  })

  test('the counter is no longer due once everything is done', async () => {
    const person = await dueBuyer()
    await check()
    await minuteLater()
    const counter = await counterOf(app, person)
    expect([counter.due, counter.n, counter.r]).toEqual([undefined, undefined, undefined])
  })

  test('does not happen while its flag is off, and happens at once when switched on', async () => {
    const person = await newBuyer(app)
    await setFlags(person, false, true)
    expect(await renewalOf(person)).toEqual({ ...ON, state: 'off' })
    await spendTo(app, person, 5)
    expect(await check()).toEqual({ ...NOTHING, notices: 1 })
    expect(await charged(person)).toBe(1)
    await setFlags(person, true, true)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    await expectBooksAgree(app, person)
  })

  test('does not happen while the account is deactivated, and happens once it is restored', async () => {
    let person = await dueBuyer()
    await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
    expect(await check()).toMatchObject({ renewed: 0, tried: 0, failed: 0 })
    app.advance(DAY_MS)
    expect(await check()).toEqual(NOTHING)
    const { email, password } = person
    expect((await app.request('POST', '/api/users/restore', { json: { email, password } })).status).toBe(200)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    person = { ...person, ...(await app.login(person)) }
    expect(await charged(person)).toBe(2)
    await expectBooksAgree(app, person)
  })

  test('renews the bundle that the account has at that time', async () => {
    const person = await newBuyer(app)
    await changeTo(app, person, 'DEVELOPER')
    await spendTo(app, person, 999)
    expect(await check()).toMatchObject({ renewed: 1 })
    expect((await paymentsOf(app, person)).map(({ amount }) => amount)).toEqual([99, 999, 999])
    await expectBooksAgree(app, person)
  })

  test('does not happen if the customer has refilled meanwhile', async () => {
    const person = await dueBuyer()
    expect((await buy(app, person)).status).toBe(201)
    expect(await check()).toMatchObject({ renewed: 0, tried: 0 })
    expect(await charged(person)).toBe(2)
  })
})

describe('a declined renewal', () => {
  const declinedAt = (hours: number, atMs: number) => ({
    ...ON,
    state: 'retrying',
    reason: 'insufficient_funds',
    nextAttemptAt: new Date(atMs + hours * HOUR_MS).toISOString(),
  })

  test('is retried after 1 h, 3 h and 7 h, then pauses; a notice and a mail at first and at last', async () => {
    let person = await dueBuyer()
    decline()
    expect(await check()).toEqual({ ...NOTHING, notices: 1, tried: 1 })
    await mailsTo(app, person)
    for (const hours of [1, 3, 7]) {
      expect(await renewalOf(person)).toEqual(declinedAt(hours, Date.now()))
      app.advance(MINUTE_MS)
      app.resetCalls()
      expect(await check()).toEqual(NOTHING)
      person = await later(app, person, hours * HOUR_MS - MINUTE_MS - 1)
      expect(await check()).toEqual(NOTHING)
      expect(app.calls().stripe).toEqual({})
      app.advance(1)
      expect(await check()).toEqual({ ...NOTHING, tried: 1 })
    }
    const paused = { ...ON, state: 'paused', reason: 'insufficient_funds' }
    expect(await renewalOf(person)).toEqual(paused)
    double.clearFaults()
    const mails = (await mailsTo(app, person)).filter((subject) => subject.includes('could not renew'))
    expect(mails).toHaveLength(2)
    person = await later(app, person, 10 * DAY_MS)
    app.resetCalls()
    expect(await check()).toEqual(NOTHING)
    expect(app.calls().stripe).toEqual({})
    expect(await noticesOf(app, person)).toEqual([
      'purchased',
      'low_quota',
      'renewal_declined',
      'renewal_paused',
    ])
    expect(await charged(person)).toBe(1)
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })

  test('is on again after a successful retry; the next decline starts the retries again', async () => {
    let person = await dueBuyer()
    decline('insufficient_funds', 1)
    await check()
    person = await later(app, person, HOUR_MS)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    expect(await renewalOf(person)).toEqual(ON)
    await spendTo(app, person, 5)
    app.advance(MINUTE_MS)
    decline('insufficient_funds', 1)
    await check()
    expect(await renewalOf(person)).toEqual(declinedAt(1, Date.now()))
    await expectBooksAgree(app, person)
  })

  test.each(['lost_card', 'stolen_card', 'expired_card', 'fraudulent', 'incorrect_cvc'])(
    '%s is never retried: the renewal pauses at once',
    async (code) => {
      let person = await dueBuyer()
      decline(code, 1)
      await check()
      expect(await renewalOf(person)).toMatchObject({ state: 'paused', nextAttemptAt: null })
      person = await later(app, person, DAY_MS)
      await check()
      expect(await charged(person)).toBe(1)
      expect((await atStripe(app, person)).intents).toHaveLength(2)
      expect(await noticesOf(app, person)).toContain('renewal_declined')
    },
  )

  test.each(['retrying', 'paused'])('while %s, another card renews at once', async (state) => {
    let person = await dueBuyer()
    decline(state === 'paused' ? 'lost_card' : 'insufficient_funds', 1)
    await check()
    expect((await renewalOf(person)).state).toBe(state)
    person = await later(app, person, MINUTE_MS)
    const card = await newCard(app, '5555555555554444')
    expect((await changeCard(person, card)).status).toBe(204)
    expect(await renewalOf(person)).toEqual(ON)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    expect((await paymentsOf(app, person)).at(-1)?.payment_method).toBe(card)
    await expectBooksAgree(app, person)
  })

  test('the same card, verified again, renews too', async () => {
    const person = await dueBuyer()
    decline('lost_card', 1)
    await check()
    app.advance(MINUTE_MS)
    expect((await changeCard(person, (await defaultCard(app, person)) ?? '')).status).toBe(204)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
  })

  test('a refill by the customer ends it, and the card counts as good again', async () => {
    const person = await dueBuyer()
    decline('insufficient_funds', 1)
    await check()
    app.advance(11 * SECOND_MS)
    expect((await buy(app, person)).status).toBe(201)
    expect(await renewalOf(person)).toEqual(ON)
    expect((await changeCard(person, 'pm_card_visa')).status).toBe(409)
    await minuteLater()
    expect(await charged(person)).toBe(2)
    await expectBooksAgree(app, person)
  })

  test('switched off it stays off, and switched on with another card it is no longer declined', async () => {
    let person = await dueBuyer()
    decline('lost_card', 1)
    await check()
    await setFlags(person, false, true)
    expect((await renewalOf(person)).state).toBe('off')
    person = await later(app, person, MINUTE_MS)
    expect((await changeCard(person, 'pm_card_mastercard')).status).toBe(204)
    await setFlags(person, true, true)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    await expectBooksAgree(app, person)
  })

  test('without a card it pauses, and a first card renews', async () => {
    const person = await newBuyer(app)
    await setFlags(person, false, true)
    expect((await remove(app, person, (await defaultCard(app, person)) ?? '')).status).toBe(204)
    await double.flushWebhooks()
    await setFlags(person, true, true)
    await spendTo(app, person, 5)
    expect(await check()).toEqual({ ...NOTHING, notices: 1 })
    expect(await renewalOf(person)).toMatchObject({ state: 'paused', reason: 'no_card' })
    app.advance(MINUTE_MS)
    expect((await changeCard(person, 'pm_card_visa')).status).toBe(204)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    await expectBooksAgree(app, person)
  })
})

describe('an outage of Stripe', () => {
  test.each([
    ['before the charge', { fault: '500', match: CONFIRM }, 1],
    ['after the charge', { fault: '500', code: 'after-commit', match: CONFIRM }, 2],
    ['in the answer', { fault: 'torn-body', match: CONFIRM }, 2],
    ['before the payment is made', { fault: '500', match: CREATE }, 1],
    ['after the payment is made', { fault: 'torn-body', match: CREATE }, 1],
    ['of everything', { fault: '500' }, 1],
  ] as const)('%s is not a decline, and settles with one charge', async (_, fault, taken) => {
    const person = await dueBuyer()
    double.addFault({ fault: 'drop-webhooks' })
    double.addFault(fault)
    expect(await check()).toEqual({ ...NOTHING, notices: 1, tried: 1 })
    expect(await renewalOf(person)).toEqual({ ...ON, reason: 'purchase_open' })
    expect((await noticesOf(app, person)).at(-1)).toBe('low_quota')
    double.clearFaults()
    expect(await charged(person)).toBe(taken)
    for (let minutes = 0; minutes < 4; minutes++) await minuteLater()
    expect(await charged(person)).toBe(2)
    expect(await unitsLeft(app, person)).toBe(1005)
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota', 'renewed'])
    expect(await renewalOf(person)).toEqual(ON)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('of several hours is not a decline either', async () => {
    let person = await dueBuyer()
    double.addFault({ fault: '500' })
    for (let hours = 0; hours < 10; hours++) {
      app.advance(HOUR_MS)
      await app.job('settle-payments')
      await check()
    }
    double.clearFaults()
    person = await later(app, person, HOUR_MS)
    expect(await renewalOf(person)).toEqual({ ...ON, reason: 'purchase_open' })
    for (let minutes = 0; minutes < 4; minutes++) await minuteLater()
    expect(await charged(person)).toBe(2)
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota', 'renewed'])
    await expectBooksAgree(app, person)
  })
})

describe('a card that asks for 3-D Secure', () => {
  test('causes a mail with a link, not a decline; buying returns the same payment’s secret', async () => {
    const person = await dueBuyer({ card: ALWAYS_3DS })
    expect(await check()).toEqual({ ...NOTHING, notices: 1, tried: 1 })
    expect(await renewalOf(person)).toEqual({
      ...ON,
      state: 'action_required',
      reason: 'authentication_required',
    })
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota', 'renewal_action'])
    await double.flushWebhooks()
    await minuteLater()
    const waiting = await waitingPayment(app, person)
    await mailsTo(app, person)
    const links = app.stack.mail
      .messages(person.email)
      .flatMap(({ text }) => text.match(/https:\/\/app\.bursar\.example\/renewal\/[0-9a-f]{24}\b/g) ?? [])
    expect(links).toEqual([`https://app.bursar.example/renewal/${waiting.metadata.purchase}`])

    const answer = await buy(app, person)
    expect([answer.status, answer.body.type]).toEqual([402, 'urn:bursar:problem:payment_action_required'])
    expect(answer.body.clientSecret).toBe(waiting.client_secret)
    await authenticate(app, person)
    expect(await unitsLeft(app, person)).toBe(1005)
    expect(await renewalOf(person)).toEqual(ON)
    await minuteLater()
    expect(await charged(person)).toBe(2)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('a frontend that already has the secret finishes the payment without buying', async () => {
    const person = await dueBuyer({ card: ALWAYS_3DS })
    await check()
    await authenticate(app, person)
    expect(await unitsLeft(app, person)).toBe(1005)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('failed 3-D Secure is a decline, which is retried later', async () => {
    const person = await dueBuyer({ card: ALWAYS_3DS })
    await check()
    await buy(app, person)
    await authenticate(app, person, 'fail')
    expect(await renewalOf(person)).toMatchObject({ state: 'retrying', reason: 'authentication_failed' })
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })

  test('without the customer for a day, the payment is abandoned and the renewal pauses', async () => {
    let person = await dueBuyer({ card: ALWAYS_3DS })
    await check()
    person = await later(app, person, DAY_MS - 1)
    await app.job('settle-payments')
    await waitingPayment(app, person)
    person = await later(app, person, 5 * MINUTE_MS)
    await app.job('settle-payments')
    await expectNothingOpen(app, person)
    expect(await renewalOf(person)).toMatchObject({ state: 'paused', reason: 'authentication_required' })
    await check()
    expect(await charged(person)).toBe(1)
    await expectBooksAgree(app, person)
  })

  test('if the card is changed meanwhile, the payment is abandoned and the new card renews', async () => {
    let person = await dueBuyer({ card: ALWAYS_3DS })
    await check()
    expect((await changeCard(person, 'pm_card_visa')).status).toBe(204)
    for (let minutes = 0; minutes < 3; minutes++) await minuteLater()
    person = { ...person, ...(await app.login(person)) }
    expect(await charged(person)).toBe(2)
    expect(await renewalOf(person)).toEqual(ON)
    await expectNothingOpen(app, person)
    await expectBooksAgree(app, person)
  })
})

describe('a refunded or disputed payment', () => {
  test('is not charged again by a renewal, whichever card had paid', async () => {
    const person = await newBuyer(app)
    const [payment] = await paymentsOf(app, person)
    await setFlags(person, false, true)
    expect((await changeCard(person, 'pm_card_mastercard')).status).toBe(204)
    await setFlags(person, true, true)
    await spendTo(app, person, 1000)
    await refund(app, payment!)
    await double.flushWebhooks()
    expect(await renewalOf(person)).toMatchObject({ state: 'paused', reason: 'payment_reversed' })
    for (let minutes = 0; minutes < 3; minutes++) await minuteLater()
    expect(await charged(person)).toBe(1)
  })
})

describe('the monthly cap', () => {
  test('lifted during a run: the next run renews', async () => {
    const person = await newBuyer(app)
    await setCap(person, 0)
    await spendTo(app, person, 5)
    await check()
    expect(await renewalOf(person)).toMatchObject({ state: 'capped' })
    await setCap(person, null)
    // The renewal state that a concurrent run with the old cap would write now.
    const capped = {
      state: 'capped',
      reason: 'monthly_cap',
      failures: 0,
      nextAttemptAtMs: Date.now() + DAY_MS,
    }
    const cardId = await defaultCard(app, person)
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #renewal = ${{ ...capped, cardId }}`)
    await minuteLater()
    expect(await charged(person)).toBe(2)
  })

  test('allows renewals up to the cap, then they wait for the next month; the state shows that', async () => {
    let person = await newBuyer(app)
    await setCap(person, 0.99)
    await spendTo(app, person, 5)
    expect(await check()).toMatchObject({ renewed: 1 })
    await spendTo(app, person, 5)
    app.advance(MINUTE_MS)
    app.resetCalls()
    expect(await check()).toMatchObject({ renewed: 0, tried: 0 })
    expect(app.calls().stripe).toEqual({})
    const now = new Date()
    const nextMonthMs = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1)
    expect(await renewalOf(person)).toEqual({
      ...ON,
      state: 'capped',
      reason: 'monthly_cap',
      nextAttemptAt: new Date(nextMonthMs).toISOString(),
      monthlyCap: 0.99,
      below: '1%',
      bundle: 'STARTER',
    })
    person = await later(app, person, nextMonthMs - Date.now() - 1)
    expect(await check()).toEqual(NOTHING)
    app.advance(1)
    expect(await check()).toEqual({ ...NOTHING, renewed: 1 })
    expect(await charged(person)).toBe(3)
    await expectBooksAgree(app, person)
  })

  test('raised or lifted, the renewal happens at once', async () => {
    for (const cap of [0.99, null]) {
      const person = await newBuyer(app)
      await setCap(person, 0.98)
      await spendTo(app, person, 5)
      await check()
      expect((await renewalOf(person)).state).toBe('capped')
      await setCap(person, cap)
      expect((await renewalOf(person)).state).toBe('on')
      expect(await check()).toMatchObject({ renewed: 1 })
      await expectBooksAgree(app, person)
    }
  })

  test('a refill and a change of bundle by the customer are not counted', async () => {
    const person = await newBuyer(app)
    await setCap(person, 0.99)
    await buy(app, person)
    await spendTo(app, person, 5)
    expect(await check()).toMatchObject({ renewed: 1 })
    await expectBooksAgree(app, person)
  })

  test('0 never renews', async () => {
    const person = await newBuyer(app)
    await setCap(person, 0)
    await spendTo(app, person, 5)
    await check()
    expect((await renewalOf(person)).state).toBe('capped')
    expect(await charged(person)).toBe(1)
  })
})

describe('the clock is wrong', () => {
  test.each([
    ['25 hours ahead', 25 * HOUR_MS, 0],
    ['73 hours ahead', 73 * HOUR_MS, 1],
    ['8 days ahead', 8 * DAY_MS, 2],
    ['2 hours back', -2 * HOUR_MS, 0],
  ])('%s during a renewal with an unknown outcome: one charge', async (_, ms, nth) => {
    const faults = [
      { fault: 'torn-body', match: CONFIRM },
      { fault: 'torn-body', match: CREATE },
      { fault: '500', match: CONFIRM },
    ] as const
    // Each time meets one fault; the deep tests try every pair.
    for (const fault of process.env.DEEP ? faults : faults.slice(nth, nth + 1)) {
      const person = await dueBuyer()
      double.addFault({ fault: 'drop-webhooks' })
      double.addFault(fault)
      await check()
      double.clearFaults()
      const before = Date.now()
      app.advance(ms)
      await app.job('settle-payments')
      await check()
      app.advance(before - Date.now() + 3 * MINUTE_MS)
      for (let minutes = 0; minutes < 3; minutes++) await minuteLater()
      expect(await charged(person)).toBe(2)
      expect(await unitsLeft(app, person)).toBe(1005)
      await expectBooksAgree(app, person)
      await expectNothingOpen(app, person)
    }
  })
})

test('a run that is out of time starts nothing, and the next run does the work', async () => {
  const person = await dueBuyer()
  const { handler } = await import('../../functions/jobs/check-quotas.ts')
  expect(await handler({}, { getRemainingTimeInMillis: () => 0 })).toEqual(NOTHING)
  expect(await charged(person)).toBe(1)
  expect(await handler({}, { getRemainingTimeInMillis: () => 20_001 })).toMatchObject({ renewed: 1 })
})

test('an account that fails does not delay the others', async () => {
  const [bad, good] = [await dueBuyer(), await dueBuyer()]
  const { table } = await app.ports()
  const profile = await table.get(keys.profile(bad.accountId))
  await table.remove(keys.profile(bad.accountId))
  expect(await check()).toEqual({ ...NOTHING, notices: 1, renewed: 1, failed: 1 })
  expect(await charged(good)).toBe(2)
  await table.put({ ...profile, ...keys.profile(bad.accountId) })
  app.advance(MINUTE_MS)
  expect(await check()).toMatchObject({ renewed: 1, failed: 0 })
})

test('the job’s log line says what the job did, and no more', async () => {
  await dueBuyer()
  app.logs.length = 0
  await check()
  expect(app.logs.map((line) => JSON.parse(line))).toEqual([
    { level: 'info', job: expect.any(String), ms: expect.any(Number), ...NOTHING, notices: 1, renewed: 1 },
  ])
})
