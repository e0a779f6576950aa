import { afterEach, expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { ALWAYS_3DS, buy, newBuyer, paymentsOf, shown } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { later, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

const DAY_MS = 24 * 3_600_000

const get = ({ accessToken: token }: SignedInPerson, id: string) =>
  app.request('GET', `/v1/invoice/${encodeURIComponent(id)}`, { token })
const newest = async (person: SignedInPerson): Promise<string> =>
  (await shown(app, person, '/v1/invoice/list'))[0].id

test.each([
  ['a card without 3-D Secure', '5555555555554444', 'mastercard', '4444'],
  ['3-D Secure, settled by webhook', ALWAYS_3DS, 'visa', '3184'],
])('200: the payment with its card and the link to its receipt: %s', async (_, card, brand, last4) => {
  const person = await newBuyer(app, { bundle: 'DEVELOPER', card })
  const answer = await get(person, await newest(person))
  expectContract(v1.getInvoice, answer)
  const [payment] = await paymentsOf(app, person)
  const charge = await dashboard.charges.retrieve(String(payment?.latest_charge))
  expect(answer.body).toEqual({
    amount: 9.99,
    currency: 'USD',
    description: 'DEVELOPER (100,000 units)',
    status: 'succeeded',
    state: 'paid',
    paidOn: '2026-11-21',
    paidDay: charge.created,
    payment: { card: { brand, last4 }, receiptUrl: charge.receipt_url },
  })
  expect(charge.receipt_url).toMatch(/^https:/)
})

test('404: another account’s, an unpaid and an unknown invoice have the same answer', async () => {
  const [person, other] = [await newBuyer(app), await newBuyer(app)]
  double.addFault({ fault: '500', match: 'POST /v1/payment_intents/*/confirm' })
  const open = await buy(app, person)
  expect(open.status).toBe(202)
  const ids = [await newest(other), open.body.id, 'f'.repeat(24), 'x', '#', 'PURCHASE#', 'a'.repeat(1100)]
  for (const id of ids) expectError(v1.getInvoice, await get(person, id), 'not_found')
  expect((await get(person, (await newest(person)).toUpperCase())).status).toBe(404)
})

test('200: the invoice is shown while Stripe is down', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: '500' })
  expect((await get(person, await newest(person))).status).toBe(200)
})

test('200: the link to the receipt is renewed after a week, once, and kept for a week', async () => {
  let person: SignedInPerson = await newBuyer(app)
  const id = await newest(person)
  const [payment] = await paymentsOf(app, person)
  const charge = double.state.charges[String(payment?.latest_charge)]!
  charge.receipt_url = 'https://pay.stripe.com/receipts/payment/renewed'
  const linkAfter = async (ms: number) => {
    person = await later(app, person, ms)
    app.resetCalls()
    const { body } = await get(person, id)
    return [body.payment.receiptUrl, Object.values(app.calls().stripe)]
  }
  const [first] = await linkAfter(7 * DAY_MS - 60_000)
  expect(first).not.toBe(charge.receipt_url)
  expect(await linkAfter(60_000)).toEqual([charge.receipt_url, [1]])
  expect(await linkAfter(7 * DAY_MS - 60_000)).toEqual([charge.receipt_url, []])
  charge.receipt_url = 'https://pay.stripe.com/receipts/payment/again'
  expect(await linkAfter(60_000)).toEqual([charge.receipt_url, [1]])
})

test('200: while Stripe is down the last link is shown until it has expired, then none', async () => {
  let person: SignedInPerson = await newBuyer(app)
  const id = await newest(person)
  double.addFault({ fault: '500' })
  for (const [days, link] of [
    [8, expect.stringMatching(/^https:/)],
    [23, null],
  ] as const) {
    person = await later(app, person, days * DAY_MS)
    const { status, body } = await get(person, id)
    expect([status, body.payment.receiptUrl]).toEqual([200, link])
  }
  double.clearFaults()
  expect((await get(person, id)).body.payment.receiptUrl).toMatch(/^https:/)
})
