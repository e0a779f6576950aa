import Stripe from 'stripe'
import { expect } from 'vitest'
import { STRIPE_API_VERSION } from '../../core/adapters/stripe.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import type { StripeDouble } from '../local/stripe.ts'
import type { App } from './app.ts'
import type { SignedInPerson } from './people.ts'
import type { TestAnswer } from './send.ts'

/** Stripe's side of a test: the double, and its API as the operator's Dashboard uses it. */
export function stripeOf(app: App): { double: StripeDouble; dashboard: Stripe } {
  const double = app.stack.stripe
  if (!double) throw new Error('STRIPE_SECRET_KEY is set, but these tests need the double. Unset it.')
  const { hostname: host, port } = new URL(double.url)
  const dashboard = new Stripe('sk_test_dashboard', {
    host,
    port,
    protocol: 'http',
    apiVersion: STRIPE_API_VERSION,
    telemetry: false,
  })
  return { double, dashboard }
}

export const VERIFY = '/api/users/current/verify-payment'
export const LIST = '/api/users/current/list-payment-methods'
export const RETRIEVE = '/api/users/current/retrieve'

export const verify = (
  app: App,
  { accessToken: token }: SignedInPerson,
  paymentMethod: string,
): Promise<TestAnswer> => app.request('POST', VERIFY, { token, json: { paymentMethod } })

export const remove = (app: App, { accessToken: token }: SignedInPerson, id: string): Promise<TestAnswer> =>
  app.request('DELETE', `/api/users/current/payment-method/${id}`, { token })

/** The ids of the cards in the account's list, newest first. */
export async function listed(app: App, { accessToken: token }: SignedInPerson): Promise<string[]> {
  const { status, body } = await app.request('GET', LIST, { token })
  expect(status).toBe(200)
  return body.data.map(({ id }: { id: string }) => id)
}

/** The account's default card; null if there is none or the account has no customer. */
export async function defaultCard(app: App, { accessToken: token }: SignedInPerson): Promise<string | null> {
  const { status, body } = await app.request('GET', RETRIEVE, { token })
  return status === 404 ? null : body.invoice_settings.default_payment_method
}

/** Puts a card on file as its owner does, and delivers the events. @returns the card's id. */
export const cardOnFile = (
  app: App,
  { accountId }: SignedInPerson,
  paymentMethod = 'pm_card_visa',
): Promise<string> => app.fixtures.cardOnFile(accountId, paymentMethod)

/** Makes an unattached card with this test number. @returns the card's id. */
export async function newCard(
  app: App,
  number: string,
  more: Omit<Stripe.PaymentMethodCreateParams, 'type' | 'card'> = {},
  expires = { exp_month: 2, exp_year: 2032 },
): Promise<string> {
  const { dashboard } = stripeOf(app)
  const card = await dashboard.paymentMethods.create({ type: 'card', card: { number, ...expires }, ...more })
  return card.id
}

/** Makes a ConfirmationToken of a card, as the Payment Element does. @returns the token's id. */
export async function newToken(
  app: App,
  number: string,
  more: { setup_future_usage?: 'off_session' | 'on_session' } = {},
): Promise<string> {
  const { dashboard } = stripeOf(app)
  const { id } = await dashboard.testHelpers.confirmationTokens.create({
    payment_method: await newCard(app, number),
    ...more,
  })
  return id
}

/**
 * Makes a customer as another system has made it, with so many cards; the last one is its default card, if it has one.
 * @returns the customer's id.
 */
export async function customerWithCards(app: App, count: number, hasDefault = true): Promise<string> {
  const { dashboard } = stripeOf(app)
  const { id: customer } = await dashboard.customers.create({ name: 'Ada of old' })
  const numbers = ['4242424242424242', '5555555555554444', '6011111111111117'].slice(0, count)
  for (const number of numbers) {
    const card = await newCard(app, number)
    await dashboard.paymentMethods.attach(card, { customer })
    if (hasDefault)
      await dashboard.customers.update(customer, { invoice_settings: { default_payment_method: card } })
  }
  return customer
}

/** The customer's id in the table for an account. */
export async function customerId(app: App, { accountId }: SignedInPerson): Promise<string | undefined> {
  const item = await (await app.ports()).table.get(keys.customer(accountId))
  return item && String(item.id)
}

/** Stripe's objects for an account; empty until the account's first card was tried. */
export async function atStripe(app: App, person: SignedInPerson) {
  const { dashboard } = stripeOf(app)
  const customer = await customerId(app, person)
  if (customer === undefined) return { intents: [], charges: [], cards: [], defaultCard: null }
  const whole = { customer, limit: 100 }
  const found = await dashboard.customers.retrieve(customer)
  return {
    intents: (await dashboard.paymentIntents.list(whole)).data,
    charges: (await dashboard.charges.list(whole)).data,
    cards: (await dashboard.paymentMethods.list(whole)).data.map(({ id }) => id),
    defaultCard: found.deleted ? null : found.invoice_settings.default_payment_method,
  }
}

/** The verifications of an account that are still open. */
export async function openHolds(app: App, { accountId }: SignedInPerson): Promise<Item[]> {
  return (await app.ports()).table.list(keys.account(accountId), 'HOLD#')
}

/** Expects that no verification is open, no hold is left at Stripe, and no money was ever taken. */
export async function expectNothingHeld(app: App, person: SignedInPerson): Promise<void> {
  const { intents, charges } = await atStripe(app, person)
  expect(await openHolds(app, person)).toEqual([])
  expect((await (await app.ports()).table.get(keys.profile(person.accountId)))?.openHold).toBeUndefined()
  const left = intents.filter((intent) => intent.status !== 'canceled' || intent.amount_received !== 0)
  expect(left.map(({ id, status }) => [id, status])).toEqual([])
  const taken = charges.filter((charge) => charge.captured || charge.amount_captured !== 0)
  expect(taken.map(({ id }) => id)).toEqual([])
}

/** Expects that the account shows the same cards and the same default card as Stripe. */
export async function expectSameAsStripe(app: App, person: SignedInPerson): Promise<void> {
  const { cards, defaultCard: theirs } = await atStripe(app, person)
  expect([...(await listed(app, person))].sort()).toEqual([...cards].sort())
  expect(await defaultCard(app, person)).toBe(theirs)
}

const QUARTER_HOUR_MS = 15 * 60_000

/** Moves the clock of every part, and signs the person in again if the access token has expired. */
export async function later<P extends SignedInPerson>(app: App, person: P, ms: number): Promise<P> {
  app.advance(ms)
  return ms < QUARTER_HOUR_MS
    ? person
    : { ...person, ...(await app.fixtures.login(person.accountId, person)) }
}

/** Stripe's events about an object, newest first. */
export async function eventsAbout(app: App, objectId: string): Promise<Stripe.Event[]> {
  const { data } = await stripeOf(app).dashboard.events.list({ limit: 100 })
  return data.filter((event) => (event.data.object as { id?: string }).id === objectId)
}

let events = 0

/** An event in Stripe's form. Handlers need only the fields of the object that identify it. */
export const newEvent = (type: string, object: object, more: object = {}) => ({
  id: `evt_${String(++events).padStart(24, '0')}`,
  object: 'event',
  api_version: STRIPE_API_VERSION,
  created: Math.floor(Date.now() / 1000),
  data: { object },
  livemode: false,
  pending_webhooks: 1,
  request: { id: null, idempotency_key: null },
  type,
  ...more,
})

/**
 * The body of an event. Stripe indents its bodies, so parsing and serialising a body gives different bytes.
 */
export const bodyOf = (event: object): string => JSON.stringify(event, null, 2)

const SIGNER = new Stripe('sk_test_signer')

/** A `stripe-signature` header; `atMs` is the time of the signature, epoch ms. */
export const signed = (payload: string, secret: string, atMs = Date.now()): string =>
  SIGNER.webhooks.generateTestHeaderString({ payload, secret, timestamp: Math.floor(atMs / 1000) })

/** Sends bytes to the endpoint for Stripe's events. */
export const post = (
  app: App,
  body: string,
  signature: string | undefined,
  type = 'application/json; charset=utf-8',
): Promise<TestAnswer> =>
  app.request('POST', '/webhooks/stripe', {
    body,
    headers: { 'content-type': type, ...(signature !== undefined && { 'stripe-signature': signature }) },
  })

/** Delivers an event as Stripe does, signed now. */
export function deliver(app: App, event: object): Promise<TestAnswer> {
  const body = bodyOf(event)
  return post(app, body, signed(body, stripeOf(app).double.webhookSecret))
}
