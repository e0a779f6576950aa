import { afterEach, expect, test } from 'vitest'
import { api } from '../../functions/api/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import type { SignedInPerson } from '../support/people.ts'
import {
  cardOnFile,
  customerId,
  expectSameAsStripe,
  listed,
  RETRIEVE,
  stripeOf,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

async function get({ accessToken: token }: SignedInPerson) {
  const answer = await app.request('GET', RETRIEVE, { token })
  expectContract(api.retrieve, answer)
  return answer
}

test('404 before the first card was tried', async () => {
  expectError(api.retrieve, await get(await app.signUp()), 'not_found')
})

test('200: EMCP’s customer, field by field, and nothing more of Stripe’s customer', async () => {
  const person = await app.signUp()
  await app.request('PUT', '/api/users/current', { token: person.accessToken, json: { name: 'John Doe' } })
  const card = await cardOnFile(app, person)
  const address = {
    city: 'Test',
    country: 'AF',
    line1: 'Test',
    line2: 'test1',
    postal_code: '34334',
    state: 'Test',
  }
  const id = (await customerId(app, person)) ?? ''
  const theirs = await dashboard.customers.update(id, { address, metadata: { note: 'ours' } })
  await double.flushWebhooks()
  const { status, body } = await get(person)
  expect(status).toBe(200)
  expect(body).toEqual({
    id,
    object: 'customer',
    address,
    balance: 0,
    created: Math.floor(Date.now() / 1000),
    currency: null,
    default_source: null,
    delinquent: false,
    description: null,
    discount: null,
    email: person.email,
    invoice_prefix: theirs.invoice_prefix,
    invoice_settings: {
      custom_fields: null,
      default_payment_method: card,
      footer: null,
      rendering_options: null,
    },
    livemode: false,
    metadata: {},
    name: 'John Doe',
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: null,
  })
})

test('a customer whose first card was declined has no default card and no address', async () => {
  const person = await app.signUp()
  await verify(app, person, 'pm_card_chargeDeclined')
  const { status, body } = await get(person)
  expect(status).toBe(200)
  expect(body.invoice_settings.default_payment_method).toBeNull()
  expect(body.address).toBeNull()
})

test('changes of the operator at Stripe are shown once their event is processed', async () => {
  const person = await app.signUp()
  const first = await cardOnFile(app, person)
  const second = await cardOnFile(app, person, 'pm_card_mastercard')
  const id = (await customerId(app, person)) ?? ''
  await dashboard.customers.update(id, {
    description: 'a good customer',
    phone: '+4930123456',
    invoice_settings: { default_payment_method: second },
  })
  expect((await get(person)).body.invoice_settings.default_payment_method).toBe(first)
  await double.flushWebhooks()
  expect((await get(person)).body).toMatchObject({
    description: 'a good customer',
    phone: '+4930123456',
    invoice_settings: { default_payment_method: second },
  })
  await expectSameAsStripe(app, person)
})

test('404 again after the operator deleted the customer, until a card creates a new customer', async () => {
  const person = await app.signUp()
  await cardOnFile(app, person)
  const gone = (await customerId(app, person)) ?? ''
  await dashboard.customers.del(gone)
  await double.flushWebhooks()
  expectError(api.retrieve, await get(person), 'not_found')
  expect(await listed(app, person)).toEqual([])
  const answer = await verify(app, person, 'pm_card_visa')
  expect([answer.status, answer.body]).toEqual([200, { status: 'ok' }])
  await double.flushWebhooks()
  expect(await customerId(app, person)).not.toBe(gone)
  await expectSameAsStripe(app, person)
})

test('the customer is read from our table, without a call to Stripe, also while Stripe is down', async () => {
  const person = await app.signUp()
  const card = await cardOnFile(app, person)
  double.addFault({ fault: '500' })
  app.resetCalls()
  const { status, body } = await get(person)
  expect([status, body.invoice_settings.default_payment_method]).toEqual([200, card])
  expect(app.calls().stripe).toEqual({})
})
