import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  authenticate,
  buy,
  expectBooksAgree,
  ledgerOf,
  mailsTo,
  newBuyer,
  paymentsOf,
  spendTo,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)

const read = ({ accessToken: token }: SignedInPerson, id: string, path = 'purchase') =>
  app.request('GET', `/v1/${path}/${id}`, { token })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.getPurchase, answer, code)

/** A buyer whose renewal waits for 3-D Secure. @returns the buyer, and the id in the mailed link. */
async function waitingRenewal() {
  const person = await newBuyer(app, { card: ALWAYS_3DS })
  await spendTo(app, person, 5)
  await app.job('check-quotas')
  await mailsTo(app, person)
  const texts = app.stack.mail.messages(person.email).map(({ text }) => text)
  const [, id = ''] = /\/renewal\/([0-9a-f]{24})/.exec(texts.join('\n')) ?? []
  return { person, id }
}

test('200: the mailed link names a renewal that waits, with the secret of its payment, and reading buys nothing', async () => {
  const { person, id } = await waitingRenewal()
  const before = await waitingPayment(app, person)
  for (const _ of [1, 2]) {
    const { status, body } = await read(person, id, 'renewal')
    expect(status).toBe(200)
    expect(body).toEqual({
      id,
      bundle: 'STARTER',
      amount: 0.99,
      state: 'action_required',
      clientSecret: before.client_secret,
      paymentMethod: expect.stringMatching(/^pm_/),
    })
  }
  expect(await waitingPayment(app, person)).toEqual(before)
  await authenticate(app, person)
  const { body } = await read(person, id, 'renewal')
  expect(body).toMatchObject({ state: 'paid', clientSecret: null, paymentMethod: null })
  expect(await unitsLeft(app, person)).toBe(1005)
  expect(await ledgerOf(app, person)).toHaveLength(5)
  await expectBooksAgree(app, person)
})

test('200: a payment that the customer has just authenticated is pending until its event arrives', async () => {
  const { person, id } = await waitingRenewal()
  double.authenticate({ paymentIntent: (await waitingPayment(app, person)).id, outcome: 'succeed' })
  expect((await read(person, id)).body).toMatchObject({ state: 'pending', clientSecret: null })
  await double.flushWebhooks()
  expect((await read(person, id)).body.state).toBe('paid')
})

test('200: a purchase that was answered 202 is pending, then paid, under the id of that answer', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: 'torn-body', match: 'POST /v1/payment_intents/*/confirm' })
  const { id } = (await buy(app, person)).body
  double.clearFaults()
  app.resetCalls()
  expect((await read(person, id)).body).toMatchObject({ id, state: 'pending', clientSecret: null })
  expect(app.calls().stripe).toEqual({})
  await double.flushWebhooks()
  expect((await read(person, id)).body.state).toBe('paid')
  expect(await paymentsOf(app, person)).toHaveLength(2)
})

test('200: a renewal that was not authenticated within a day has ended', async () => {
  const { person, id } = await waitingRenewal()
  app.advance(24 * 60 * 60_000)
  await app.job('settle-payments')
  const again = { ...person, ...(await app.login(person)) }
  expect((await read(again, id)).body.state).toBe('declined')
})

test('404: another account’s purchase, an unknown id and an id of another form', async () => {
  const { id } = await waitingRenewal()
  const other = await app.signUp()
  for (const each of [id, 'f'.repeat(24), id.toUpperCase(), 'x'.repeat(2000)]) {
    refused(await read(other, each), 'not_found')
  }
})

test('503: Stripe does not answer about a payment that waits', async () => {
  const { person, id } = await waitingRenewal()
  double.addFault({ fault: '500', match: 'GET /v1/payment_intents/*' })
  refused(await read(person, id), 'temporarily_unavailable')
  double.clearFaults()
  expect((await read(person, id)).body.state).toBe('action_required')
})
