import { afterEach, expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { ALWAYS_3DS, buy, newBuyer, paymentsOf, shown } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

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
    status: 'paid',
    paidDay: '2026-11-21',
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
