import { afterEach, expect, test } from 'vitest'
import { api } from '../../functions/api/routes.ts'
import { expectContract } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  cardOnFile,
  customerId,
  expectSameAsStripe,
  LIST,
  listed,
  newCard,
  stripeOf,
  verify,
} from '../support/stripe.ts'

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

const get = async ({ accessToken: token }: { accessToken: string }) => {
  const answer = await app.request('GET', LIST, { token })
  expectContract(api.listPaymentMethods, answer)
  return answer
}

test('200: an empty list before the first card', async () => {
  const { status, body } = await get(await app.signUp())
  expect(status).toBe(200)
  expect(body).toEqual({ object: 'list', data: [], has_more: false, url: expect.any(String) })
})

test('200: EMCP’s list, field by field, and nothing more of Stripe’s card', async () => {
  const person = await app.signUp()
  const address = {
    city: 'Test',
    country: 'DE',
    line1: 'test',
    line2: 'test',
    postal_code: '34334',
    state: 'Test',
  }
  const billing = { address, email: 'john.doe@mail.com', name: 'John Doe' }
  const more = { billing_details: billing, metadata: { note: 'ours' }, allow_redisplay: 'always' as const }
  const card = await newCard(app, '4242424242424242', more)
  await cardOnFile(app, person, card)
  const customer = await customerId(app, person)
  const theirs = await dashboard.paymentMethods.retrieve(card)
  const { status, body } = await get(person)
  expect(status).toBe(200)
  expect(body).toEqual({
    object: 'list',
    data: [
      {
        id: card,
        object: 'payment_method',
        billing_details: { address, email: 'john.doe@mail.com', name: 'John Doe', phone: null },
        card: {
          brand: 'visa',
          checks: { address_line1_check: 'pass', address_postal_code_check: 'pass', cvc_check: 'pass' },
          country: 'US',
          exp_month: 2,
          exp_year: 2032,
          fingerprint: theirs.card?.fingerprint,
          funding: 'credit',
          generated_from: null,
          last4: '4242',
          networks: { available: ['visa'], preferred: null },
          three_d_secure_usage: { supported: true },
          wallet: null,
        },
        created: Math.floor(Date.now() / 1000),
        customer,
        livemode: false,
        metadata: {},
        type: 'card',
      },
    ],
    has_more: false,
    url: `/v1/customers/${customer}/payment_methods`,
  })
})

test('a card without billing details has null for each', async () => {
  const person = await app.signUp()
  await cardOnFile(app, person)
  const { body } = await get(person)
  const none = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }
  expect(body.data[0].billing_details).toEqual({ address: none, email: null, name: null, phone: null })
})

test('cards are listed newest first, without those of other accounts', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const cards = []
  for (const alias of ['pm_card_visa', 'pm_card_mastercard', 'pm_card_amex']) {
    cards.unshift(await cardOnFile(app, person, alias))
    app.advance(1000)
  }
  await cardOnFile(app, other)
  expect(await listed(app, person)).toEqual(cards)
})

test('changes of cards at Stripe are shown once their events are processed', async () => {
  const person = await app.signUp()
  const first = await cardOnFile(app, person)
  app.advance(1000)
  const second = await newCard(app, '5555555555554444')
  await dashboard.paymentMethods.attach(second, { customer: (await customerId(app, person)) ?? '' })
  await dashboard.paymentMethods.update(first, { card: { exp_month: 11, exp_year: 2035 } })
  expect(await listed(app, person)).toEqual([first])
  await double.flushWebhooks()
  expect(await listed(app, person)).toEqual([second, first])
  const { body } = await get(person)
  expect(body.data[1].card).toMatchObject({ exp_month: 11, exp_year: 2035 })
  await dashboard.paymentMethods.detach(first)
  await double.flushWebhooks()
  expect(await listed(app, person)).toEqual([second])
  await expectSameAsStripe(app, person)
})

test('a card whose hold was declined is not listed, though it was attached', async () => {
  const person = await app.signUp()
  await cardOnFile(app, person)
  const before = await get(person)
  await verify(app, person, 'pm_card_chargeCustomerFail')
  await double.flushWebhooks()
  expect((await get(person)).body).toEqual(before.body)
})

test('the list is read from our table, without a call to Stripe, also while Stripe is down', async () => {
  const person = await app.signUp()
  const card = await cardOnFile(app, person)
  double.addFault({ fault: '500' })
  app.resetCalls()
  expect(await listed(app, person)).toEqual([card])
  expect(app.calls().stripe).toEqual({})
})
