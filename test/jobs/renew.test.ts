import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import {
  ADDRESS,
  changeTo,
  expectBooksAgree,
  expectNothingOpen,
  newBuyer,
  noticesOf,
  paymentsOf,
  shown,
  spendTo,
  unitsLeft,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, consumeBatch, counterOf, newConsumer, uuidv7 } from '../support/quota.ts'
import { later, newCard, stripeOf } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)
const { double } = stripeOf(app)
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
  app.stack.lambda.clearFaults()
})

const MINUTE_MS = 60_000
const NOTHING = { notices: 0, renewed: 0, tried: 0, failed: 0 }

const check = () => app.job('check-quotas')
const choose = ({ accessToken: token }: SignedInPerson, json: object) =>
  app.request('PUT', '/v1/user/renewal', { token, json })
const renewalOf = async (person: SignedInPerson) => (await shown(app, person)).renewal
const charged = async (person: SignedInPerson) => (await paymentsOf(app, person)).map(({ amount }) => amount)
const setFlags = ({ accessToken: token }: SignedInPerson, bundleAutoRenewal: boolean) =>
  app.request('PUT', '/v1/user/flags', { token, json: { bundleAutoRenewal, lowQuotaNotification: true } })

/** A STARTER buyer with `left` units. Starts so far are forgotten. */
async function buyerWith(left: number) {
  const person = await newBuyer(app)
  await spendTo(app, person, left)
  app.stack.lambda.take()
  return person
}

describe('a refusal for want of units', () => {
  test.each([
    ['a request', (key: string) => consume(app, key, { units: 30 })],
    ['a request with an id', (key: string) => consume(app, key, { units: 30, requestId: uuidv7() })],
    ['a batch', (key: string) => consumeBatch(app, key, [{ units: 30 }])],
  ])('of %s renews above the threshold: one charge, at once, and the next one is served', async (_, ask) => {
    const person = await buyerWith(20)
    for (let n = 0; n < 3; n++) await ask(person.key)
    expect(await app.startedRenewals()).toEqual([person.accountId])
    expect(await charged(person)).toEqual([99, 99])
    expect(await unitsLeft(app, person)).toBe(1020)
    app.advance(1000)
    expect((await consume(app, person.key, { units: 30 })).status).toBe(200)
    await check()
    expect(await charged(person)).toHaveLength(2)
    expect(await renewalOf(person)).toMatchObject({ state: 'on', reason: null })
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test('is renewed by the job within a minute if the start fails, which the answer does not show', async () => {
    for (const fault of ['error-before', 'throttle', 'lose-reply-before-commit'] as const) {
      const person = await buyerWith(20)
      app.stack.lambda.addFault({ fault })
      app.logs.length = 0
      expect((await consume(app, person.key, { units: 30 })).status).toBe(402)
      app.stack.lambda.clearFaults()
      expect(app.logs.filter((line) => line.includes('was not started at once'))).toHaveLength(1)
      expect(await app.startedRenewals()).toEqual([])
      expect(await check()).toMatchObject({ renewed: 1 })
      expect(await charged(person)).toEqual([99, 99])
    }
  })

  test('calls again in the next cycle, and once more only then', async () => {
    const person = await buyerWith(20)
    for (let cycles = 2; cycles < 5; cycles++) {
      for (let n = 0; n < 3; n++) expect((await consume(app, person.key, { units: 30 })).status).toBe(402)
      expect(await app.startedRenewals()).toHaveLength(1)
      expect(await charged(person)).toHaveLength(cycles)
      app.advance(MINUTE_MS)
      await spendTo(app, person, 20)
    }
    await expectBooksAgree(app, person)
  })

  test('renews nothing while auto-renewal is off, and renews at once when it is switched on', async () => {
    const person = await buyerWith(20)
    await setFlags(person, false)
    await consume(app, person.key, { units: 30 })
    await app.startedRenewals()
    expect(await check()).toEqual(NOTHING)
    await setFlags(person, true)
    expect(await app.startedRenewals()).toEqual([person.accountId])
    expect(await charged(person)).toEqual([99, 99])
  })

  test('is retried after a decline as a renewal below the threshold is', async () => {
    let person = await buyerWith(20)
    double.addFault({ fault: 'decline', match: 'POST /v1/payment_intents/*/confirm', times: 1 })
    await consume(app, person.key, { units: 30 })
    await app.startedRenewals()
    expect(await renewalOf(person)).toMatchObject({ state: 'retrying' })
    person = { ...person, ...(await later(app, person, 60 * MINUTE_MS)) }
    expect(await check()).toMatchObject({ renewed: 1 })
    expect(await charged(person)).toEqual([99, 99])
  })

  test('of more units than a bundle holds never renews; the 402 and `reason` say so', async () => {
    const person = await buyerWith(500)
    for (let n = 0; n < 4; n++) {
      const { status, body } = await consume(app, person.key, { units: 1001, requestId: uuidv7() })
      expect([status, body.type]).toEqual([402, 'urn:bursar:problem:quota_exhausted'])
      expect(body.detail).toContain('a bundle holds 1000')
      const batch = await consumeBatch(app, person.key, [{ units: 1001 }])
      expect(batch.body.answers[0]).toMatchObject({ status: 402, detail: body.detail })
      expect(await app.startedRenewals()).toEqual([])
      expect(await check()).toEqual(NOTHING)
      app.advance(MINUTE_MS)
    }
    expect(await charged(person)).toEqual([99])
    expect(await renewalOf(person)).toMatchObject({ state: 'on', reason: 'request_larger_than_bundle' })
    // A request that a bundle can serve still calls, and ends the reason.
    await consume(app, person.key, { units: 900 })
    await app.startedRenewals()
    expect(await charged(person)).toEqual([99, 99])
    expect(await renewalOf(person)).toMatchObject({ state: 'on', reason: null })
  })

  test('starts nothing before the first bundle', async () => {
    const person = await newConsumer(app, 100)
    expect((await consume(app, person.key, { units: 101 })).status).toBe(402)
    expect(await app.startedRenewals()).toEqual([])
  })
})

describe('the write that crosses the threshold', () => {
  test('starts the renewal, and no other consume calls Lambda', async () => {
    const person = await buyerWith(12)
    app.resetCalls()
    for (const units of [1, 1]) await consume(app, person.key, { units })
    expect(app.calls().lambda).toEqual({})
    await consume(app, person.key, { units: 1, requestId: uuidv7() })
    expect(app.calls().lambda).toEqual({ Invoke: 1 })
    await consume(app, person.key, { units: 1 })
    expect(app.calls().lambda).toEqual({ Invoke: 1 })
    expect(await app.startedRenewals()).toEqual([person.accountId])
    expect(await unitsLeft(app, person)).toBe(1008)
    expect(await noticesOf(app, person)).toEqual(['purchased', 'low_quota', 'renewed'])
    await expectBooksAgree(app, person)
  })

  test('is one charge, though the start arrives twice and the job runs at the same time', async () => {
    const person = await buyerWith(10)
    await consume(app, person.key, { units: 1 })
    const [start] = app.stack.lambda.take()
    const renew = (await import('../../functions/jobs/renew.ts')).handler
    await Promise.all([renew(start?.event), renew(start?.event), check()])
    app.advance(MINUTE_MS)
    await app.job('settle-payments')
    await check()
    expect(await charged(person)).toEqual([99, 99])
    await expectBooksAgree(app, person)
  })

  test('stays due for the job if the start breaks off', async () => {
    const person = await buyerWith(10)
    await consume(app, person.key, { units: 1 })
    app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems', times: 3 })
    expect(await app.startedRenewals()).toHaveLength(1)
    app.stack.dynamo.clearFaults()
    expect(await charged(person)).toEqual([99])
    app.advance(MINUTE_MS)
    expect(await check()).toMatchObject({ renewed: 1 })
    expect(await charged(person)).toEqual([99, 99])
  })
})

describe('the owner’s choice', () => {
  test('acts at once: what it makes due is renewed, and nothing else', async () => {
    const person = await buyerWith(600)
    await choose(person, { below: 500 })
    expect(await app.startedRenewals()).toEqual([])
    await spendTo(app, person, 500)
    expect(await app.startedRenewals()).toEqual([])
    await consume(app, person.key, { units: 1 })
    expect(await app.startedRenewals()).toEqual([person.accountId])
    await choose(person, { below: '30%' })
    await spendTo(app, person, 400)
    expect(await app.startedRenewals()).toEqual([])
    await choose(person, { below: '45%' })
    expect(await app.startedRenewals()).toEqual([person.accountId])
    expect(await charged(person)).toEqual([99, 99, 99])
    await expectBooksAgree(app, person)
  })

  test('while the balance is already under it renews once', async () => {
    const person = await buyerWith(300)
    await choose(person, { below: '50%' })
    await choose(person, { below: 500 })
    await app.startedRenewals()
    expect(await check()).toMatchObject({ renewed: 0, tried: 0 })
    expect(await charged(person)).toEqual([99, 99])
  })

  test('of a bundle is what renewals buy and then hold; the cap is compared with its price', async () => {
    const person = await buyerWith(20)
    await choose(person, { bundle: 'DEVELOPER', monthlyCap: 9.98 })
    expect(await renewalOf(person)).toMatchObject({ bundle: 'DEVELOPER', below: '1%' })
    await spendTo(app, person, 9)
    await app.startedRenewals()
    expect(await renewalOf(person)).toMatchObject({ state: 'capped' })
    await choose(person, { monthlyCap: 9.99 })
    expect(await app.startedRenewals()).toEqual([person.accountId])
    expect(await charged(person)).toEqual([99, 999])
    expect((await shown(app, person)).bundle).toMatchObject({ name: 'DEVELOPER', quota: 100_009 })
    await expectBooksAgree(app, person)
  })

  test('follows the bundle: a share of the one held, units up to half of it', async () => {
    const person = await newBuyer(app, { bundle: 'DEVELOPER' })
    await choose(person, { below: 40_000 })
    await changeTo(app, person, 'STARTER')
    expect(await renewalOf(person)).toMatchObject({ below: 500, bundle: 'STARTER' })
    await choose(person, { below: '20%' })
    expect(await counterOf(app, person)).toMatchObject({ b: 0.2, f: 200 })
    app.advance(11_000)
    await changeTo(app, person, 'DEVELOPER')
    expect(await counterOf(app, person)).toMatchObject({ f: 20_000 })
  })

  test('survives what other members change, and null goes back to the default', async () => {
    const person = await newBuyer(app)
    await choose(person, { below: '2.5%', bundle: 'DEVELOPER' })
    await choose(person, { monthlyCap: 20 })
    expect(await renewalOf(person)).toMatchObject({ below: '2.5%', bundle: 'DEVELOPER', monthlyCap: 20 })
    await choose(person, { below: null, bundle: null })
    expect(await renewalOf(person)).toMatchObject({ below: '1%', bundle: 'STARTER', monthlyCap: 20 })
    const { b, w } = await counterOf(app, person)
    expect([b, w]).toEqual([undefined, undefined])
  })
})

test('another card renews at once what the declined one could not', async () => {
  let person = await buyerWith(20)
  double.addFault({
    fault: 'decline',
    match: 'POST /v1/payment_intents/*/confirm',
    code: 'lost_card',
    times: 1,
  })
  await consume(app, person.key, { units: 30 })
  await app.startedRenewals()
  person = { ...person, ...(await later(app, person, MINUTE_MS)) }
  const paymentMethod = await newCard(app, '5555555555554444')
  const json = { paymentMethod, address: ADDRESS }
  expect((await app.request('PUT', '/v1/user/card', { token: person.accessToken, json })).status).toBe(204)
  expect(await app.startedRenewals()).toEqual([person.accountId])
  expect(await charged(person)).toEqual([99, 99])
})
