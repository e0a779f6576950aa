import type Stripe from 'stripe'
import { expect } from 'vitest'
import { type BundleName, CURRENCY } from '../../core/purchases/catalogue.ts'
import { keys } from '../../core/table/keys.ts'
import { centsOf } from '../../functions/http/money-shapes.ts'
import type { App } from './app.ts'
import { newPerson, type SignedInPerson } from './people.ts'
import { type Consumer, consume } from './quota.ts'
import type { TestAnswer } from './send.ts'
import { atStripe, customerId, stripeOf } from './stripe.ts'

/** A complete billing address in the form of GreenCloud's page. */
export const ADDRESS = {
  company: 'GreenCloud',
  street: 'Main st.',
  city: 'England',
  district: 'South district',
  postCode: 'YO31 8SB',
  country: 'GB',
}

const withKey = (key: string | undefined) =>
  key === undefined ? {} : { headers: { 'idempotency-key': key } }

export const signUpFor = (
  app: App,
  { accessToken: token }: SignedInPerson,
  name: string,
  paymentMethod: string,
  key?: string,
): Promise<TestAnswer> =>
  app.request('POST', '/v1/user/bundle', {
    token,
    json: { name, paymentMethod, address: ADDRESS },
    ...withKey(key),
  })

export const changeTo = (
  app: App,
  { accessToken: token }: SignedInPerson,
  name: string,
  key?: string,
): Promise<TestAnswer> => app.request('PUT', `/v1/user/bundle/${name}`, { token, ...withKey(key) })

export const buy = (app: App, { accessToken: token }: SignedInPerson, key?: string): Promise<TestAnswer> =>
  app.request('POST', '/v1/user/buy', { token, ...withKey(key) })

/** A test card that requires 3-D Secure for every payment. */
export const ALWAYS_3DS = '4000002760003184'

/**
 * Makes a person with a bundle and an application key. The person has 100 trial units in addition to the
 * bundle's units, and authenticates if the card requires 3-D Secure.
 */
export async function newBuyer(
  app: App,
  { bundle = 'STARTER' as BundleName, card: cardNumber = '4242424242424242' } = {},
): Promise<Consumer> {
  const buyer = await app.fixtures.newBuyer(newPerson(), { bundle, cardNumber, address: ADDRESS })
  // After this time a request of the test does not count as a second click on the purchase.
  app.advance(11_000)
  return buyer
}

/** Reads a page of the account's owner. @returns the body of `GET path`. */
export async function shown(app: App, { accessToken: token }: SignedInPerson, path = '/v1/user') {
  const { status, body } = await app.request('GET', path, { token })
  expect([path, status]).toEqual([path, 200])
  return body
}

export const unitsLeft = async (app: App, person: SignedInPerson): Promise<number> =>
  (await shown(app, person)).bundle?.quota

/** Consumes units until `left` are left. */
export async function spendTo(app: App, person: Consumer, left: number): Promise<void> {
  const units = (await unitsLeft(app, person)) - left
  const answer = await consume(app, person.key, { units })
  expect([answer.status, answer.body.left]).toEqual([200, left])
}

export interface Entry {
  seq: number
  at: string
  kind: string
  units: number
  amount: number
  currency: string
  purchaseId?: string
}

export const ledgerOf = (app: App, person: SignedInPerson): Promise<Entry[]> =>
  shown(app, person, '/v1/ledger')

/** The types of an account's notices, oldest first. */
export async function noticesOf(app: App, person: SignedInPerson): Promise<string[]> {
  const list = await shown(app, person, '/api/users/current/notifications?limit=100')
  return list.map(({ messageType }: { messageType: string }) => messageType).reverse()
}

/** Sends what is in the outbox. @returns the subjects of the mails to the address, oldest first. */
export async function mailsTo(app: App, { email }: SignedInPerson): Promise<string[]> {
  await app.job('send-mail')
  return app.stack.mail.messages(email).map(({ subject }) => subject)
}

/** The payments that charged an account, oldest first. */
export async function paymentsOf(app: App, person: SignedInPerson): Promise<Stripe.PaymentIntent[]> {
  const { intents } = await atStripe(app, person)
  return intents.filter(({ amount_received }) => amount_received > 0).reverse()
}

/**
 * Expects that money and units agree: what Stripe took and did not refund equals what the ledger shows as
 * paid, and each payment is credited once. Entries are numbered without gaps and sum to the balance and to
 * the units left and used.
 */
export async function expectBooksAgree(app: App, person: SignedInPerson): Promise<void> {
  const payments = await paymentsOf(app, person)
  const entries = await ledgerOf(app, person)
  expect(entries.map(({ seq }) => seq)).toEqual(entries.map((_, at) => at + 1))
  const of = (kind: string) => entries.filter((entry) => entry.kind === kind)
  const cents = (some: Entry[]) => some.reduce((sum, { amount }) => sum + centsOf(amount, CURRENCY), 0)
  expect(of('payment').map(({ purchaseId }) => purchaseId)).toEqual(
    payments.map(({ metadata }) => metadata.purchase),
  )
  expect(cents(of('payment'))).toBe(payments.reduce((sum, { amount_received }) => sum + amount_received, 0))
  const { balance } = await shown(app, person, '/api/users/current')
  expect(cents(entries)).toBe(centsOf(balance, CURRENCY))
  const { allusage } = await shown(app, person, '/v1/usage')
  const left = (await unitsLeft(app, person)) ?? 100
  expect(left).toBeGreaterThanOrEqual(0)
  expect(entries.reduce((sum, { units }) => sum + units, 0)).toBe(left + allusage)
}

/** Expects that no payment of the account is in progress. */
export async function expectNothingOpen(app: App, person: SignedInPerson): Promise<void> {
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  expect(profile?.openPurchase).toBeUndefined()
  const { intents } = await atStripe(app, person)
  const open = intents.filter(({ status }) => status !== 'succeeded' && status !== 'canceled')
  expect(open.map(({ id, status }) => [id, status])).toEqual([])
}

/** The payment that waits for the customer's 3-D Secure. */
export async function waitingPayment(app: App, person: SignedInPerson): Promise<Stripe.PaymentIntent> {
  const { intents } = await atStripe(app, person)
  const [open] = intents.filter(({ status }) => status !== 'succeeded' && status !== 'canceled')
  if (!open) throw new Error('no payment waits for 3-D Secure')
  return open
}

/** Finishes 3-D Secure as the customer for the waiting payment, and delivers Stripe's events. */
export async function authenticate(
  app: App,
  person: SignedInPerson,
  outcome: 'succeed' | 'fail' = 'succeed',
): Promise<void> {
  const { double } = stripeOf(app)
  double.authenticate({ paymentIntent: (await waitingPayment(app, person)).id, outcome })
  await double.flushWebhooks()
}

/** Refunds a payment as the operator; the whole payment if `cents` is left out. */
export async function refund(app: App, payment: { id: string }, cents?: number): Promise<Stripe.Refund> {
  const amount = cents === undefined ? {} : { amount: cents }
  return stripeOf(app).dashboard.refunds.create({ payment_intent: payment.id, ...amount })
}

/** The Stripe customer of an account. An account has a customer once a card was tried. */
export async function customerOf(app: App, person: SignedInPerson): Promise<string> {
  const id = await customerId(app, person)
  if (id === undefined) throw new Error('no customer')
  return id
}
