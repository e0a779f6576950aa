import { afterEach, describe, expect, test } from 'vitest'
import { type Account, readAccount } from '../../core/account/account.ts'
import { proveCard } from '../../core/cards/verify.ts'
import type { MoneyDeps } from '../../core/ports.ts'
import { buyBundle } from '../../core/purchases/buy.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  authenticate,
  expectBooksAgree,
  expectNothingOpen,
  paymentsOf,
  shown,
  signUpFor,
  waitingPayment,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import {
  atStripe,
  defaultCard,
  expectNothingHeld,
  expectSameAsStripe,
  later,
  listed,
  newToken,
  stripeOf,
  verify,
} from '../support/stripe.ts'

/** What the Payment Element yields, in each endpoint that takes a card: a token that works once, for 12 hours. */

const app = await startApp()
const { double, dashboard } = stripeOf(app)
afterEach(() => double.clearFaults())

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const GOOD = '4242424242424242'
const LOST = '4000000000009987'
const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const ADDRESS = { street: 'Main st.', city: 'England', postCode: 'YO31 8SB', country: 'GB' }

type Ask = (person: SignedInPerson, card: string, key?: string) => Promise<TestAnswer>

const keyed = (key?: string) => (key === undefined ? {} : { headers: { 'idempotency-key': key } })

const verification: Ask = ({ accessToken: token }, paymentMethod, key) =>
  app.request('POST', '/api/users/current/verify-payment', { token, json: { paymentMethod }, ...keyed(key) })
const change: Ask = ({ accessToken: token }, paymentMethod, key) =>
  app.request('PUT', '/v1/user/card', { token, json: { paymentMethod, address: ADDRESS }, ...keyed(key) })
const signUp: Ask = (person, card, key) => signUpFor(app, person, 'STARTER', card, key)

const INVALID = 'urn:bursar:problem:invalid_payment_method'

async function triesOf({ accountId }: SignedInPerson): Promise<unknown> {
  return (await (await app.ports()).table.get(keys.profile(accountId)))?.cardTriesMs ?? []
}

async function expectInvalid(person: SignedInPerson, answer: TestAnswer): Promise<void> {
  expect([answer.status, answer.body.type]).toEqual([400, INVALID])
  expect(await triesOf(person)).toEqual([])
  await double.flushWebhooks()
  await expectNothingHeld(app, person)
  await expectNothingOpen(app, person)
}

describe.each([
  ['a verification', verification, 200],
  ['a change of card', change, 204],
  ['a sign-up', signUp, 204],
] as const)('%s', (_, ask, ok) => {
  test('puts the card of a token on file, under its own id and with nothing left open', async () => {
    const person = await app.signUp()
    expect((await ask(person, await newToken(app, GOOD, { setup_future_usage: 'off_session' }))).status).toBe(
      ok,
    )
    await double.flushWebhooks()
    const cards = await listed(app, person)
    expect(cards).toEqual([expect.stringMatching(/^pm_/)])
    expect(await defaultCard(app, person)).toBe(cards[0])
    await expectSameAsStripe(app, person)
    await expectBooksAgree(app, person)
    await expectNothingOpen(app, person)
  })

  test.each([
    ['two clicks', undefined],
    ['two copies under one Idempotency-Key', 'key-1'],
  ])('%s at once use a token once, and both are served', async (_name, key) => {
    const person = await app.signUp()
    const token = await newToken(app, GOOD)
    const answers = await Promise.all([ask(person, token, key), ask(person, token, key)])
    for (const { status } of answers) expect([ok, 409]).toContain(status)
    expect(answers.some(({ status }) => status === ok)).toBe(true)
    expect((await ask(person, token, key)).status).toBe(ok)
    await double.flushWebhooks()
    expect((await atStripe(app, person)).charges).toHaveLength(1)
    await expectBooksAgree(app, person)
  })

  test('a token that is unknown, expired, used by another account or of an element for other use is no try', async () => {
    const other = await app.signUp()
    const used = await newToken(app, GOOD)
    expect((await verify(app, other, used)).status).toBe(200)
    let person = await app.signUp()
    const expired = await newToken(app, GOOD)
    person = await later(app, person, 12 * HOUR_MS)
    const wrong = await newToken(app, GOOD, { setup_future_usage: 'on_session' })
    for (const token of ['ctoken_1Unknown000000000000', used, expired, wrong]) {
      await expectInvalid(person, await ask(person, token))
    }
    expect((await ask(person, await newToken(app, GOOD))).status).toBe(ok)
  })

  test('a declined token counts as one try, and a card that is lost is not asked about again', async () => {
    const person = await app.signUp()
    const token = await newToken(app, LOST)
    expect((await ask(person, token)).status).toBe(402)
    await double.flushWebhooks()
    app.advance(MINUTE_MS)
    double.resetCalls()
    expect((await ask(person, token)).status).toBe(402)
    expect((await ask(person, await newToken(app, LOST))).status).toBe(402)
    expect(double.calls()[CONFIRM]).toBeUndefined()
    expect(await triesOf(person)).toHaveLength(1)
    expect(await listed(app, person)).toEqual([])
    await expectNothingHeld(app, person)
  })
})

describe('a token that another account uses between the payment and its confirmation', () => {
  test.each<[string, (deps: MoneyDeps, account: Account, cardId: string) => Promise<unknown>]>([
    ['a verification', (deps, account, cardId) => proveCard(deps, account, { purpose: 'verify', cardId })],
    [
      'a sign-up',
      (deps, account, cardId) =>
        buyBundle(deps, account, { kind: 'signup', bundle: 'STARTER', cardId, address: ADDRESS }, 'key-2'),
    ],
  ])('%s is refused, is no try, and leaves nothing open', async (_, ask) => {
    const [person, other] = [await app.signUp(), await app.signUp()]
    const token = await newToken(app, GOOD)
    const theirs = await newPaymentOf(other, token)
    const ports = await app.ports()
    const { payments } = ports
    const confirmPayment: typeof payments.confirmPayment = async (...args) => {
      await payments.confirmPayment(theirs, 'hold', token)
      return payments.confirmPayment(...args)
    }
    const account = await readAccount(ports, person.accountId)
    const meddled = new Proxy(payments, {
      get: (target, name) => (name === 'confirmPayment' ? confirmPayment : Reflect.get(target, name)),
    })
    const asked = ask({ ...ports, payments: meddled }, account as Account, token)
    await expect(asked).rejects.toMatchObject({ code: 'invalid_payment_method' })
    expect(await triesOf(person)).toEqual([])
    await expectNothingHeld(app, person)
    await expectNothingOpen(app, person)
    await payments.cancelPayment(theirs)
  })
})

async function newPaymentOf(person: SignedInPerson, token: string): Promise<string> {
  const { payments } = await app.ports()
  const { id: customerId } = await payments.createCustomer(person.accountId)
  const created = await payments.createPayment({
    purpose: 'hold',
    amountCents: 100,
    currency: 'usd',
    customerId,
    paymentMethodId: token,
    metadata: { account: 'a', purchase: 'p', stage: 'test' },
    description: 'A hold',
    statementSuffix: 'HOLD',
    idempotencyKey: `other-${token}`,
  })
  if (created.status === 'refused') throw new Error(created.reason)
  return created.id
}

describe('3-D Secure with a token', () => {
  test('a verification goes on when its request is sent again after the customer has authenticated', async () => {
    const person = await app.signUp()
    const token = await newToken(app, ALWAYS_3DS)
    const challenge = await verification(person, token)
    expect([challenge.status, challenge.body.type]).toEqual([
      402,
      'urn:bursar:problem:payment_action_required',
    ])
    // Sent again too early, it asks for the same once more.
    expect((await verification(person, token)).body.clientSecret).toBe(challenge.body.clientSecret)
    const { id } = await waitingPayment(app, person)
    double.authenticate({ paymentIntent: id, outcome: 'succeed' })
    expect((await verification(person, token)).status).toBe(200)
    await double.flushWebhooks()
    expect(await listed(app, person)).toHaveLength(1)
    await expectNothingHeld(app, person)
    await expectSameAsStripe(app, person)
  })

  test('a sign-up shows the payment method that the token has become, and is credited once', async () => {
    const person = await app.signUp()
    const answer = await signUp(person, await newToken(app, ALWAYS_3DS))
    expect(answer.status).toBe(402)
    const { openPurchase } = (await (await app.ports()).table.get(keys.profile(person.accountId))) ?? {}
    const purchase = await app.request('GET', `/v1/purchase/${openPurchase}`, { token: person.accessToken })
    expect(purchase.body).toMatchObject({ state: 'action_required' })
    expect(purchase.body.paymentMethod).toMatch(/^pm_/)
    await authenticate(app, person)
    expect((await shown(app, person)).bundle).toMatchObject({ name: 'STARTER' })
    expect(await defaultCard(app, person)).toBe(purchase.body.paymentMethod)
    await expectBooksAgree(app, person)
  })

  test('a sign-up whose customer fails to authenticate is declined, and the number keeps the decline', async () => {
    const person = await app.signUp()
    expect((await signUp(person, await newToken(app, ALWAYS_3DS))).status).toBe(402)
    await authenticate(app, person, 'fail')
    await expectNothingOpen(app, person)
    expect(await listed(app, person)).toEqual([])
    const { table } = await app.ports()
    const numbers = await table.list(keys.account(person.accountId), 'CARDNUMBER#')
    expect(numbers.map(({ sk }) => String(sk)).join()).not.toContain('ctoken')
    await expectBooksAgree(app, person)
  })
})

test.each([
  ['the answer of the confirmation is lost', 'lose-reply-after-commit'],
  ['the confirmation is lost', 'lose-reply-before-commit'],
] as const)('a sign-up with a token is charged once if %s', async (_, fault) => {
  const person = await app.signUp()
  const token = await newToken(app, GOOD)
  double.addFault({ fault, match: CONFIRM, times: 2 })
  const answer = await signUp(person, token, 'key-lost')
  expect([204, 202]).toContain(answer.status)
  double.clearFaults()
  app.advance(2 * MINUTE_MS)
  await app.job('settle-payments')
  await double.flushWebhooks()
  expect((await signUp(person, token, 'key-lost')).status).toBe(204)
  const paid = (await paymentsOf(app, person)).filter(({ amount_received: cents }) => cents > 0)
  expect(paid).toHaveLength(1)
  await expectBooksAgree(app, person)
  await expectNothingOpen(app, person)
})

describe('a customer that Stripe does not know under our secret key', () => {
  test('is no fault of the caller: 503, no try, nothing pending, and a line for the operator', async () => {
    const person = await app.signUp()
    expect((await verify(app, person, await newToken(app, GOOD))).status).toBe(200)
    await double.flushWebhooks()
    const before = await triesOf(person)
    app.logs.length = 0
    double.addFault({ fault: 'other-account', match: 'POST /v1/payment_intents' })
    double.addFault({ fault: 'other-account', match: 'GET /v1/customers/*' })
    for (const ask of [verification, change, signUp]) {
      const answer = await ask(person, 'pm_card_mastercard')
      expect([answer.status, answer.body.type]).toEqual([503, 'urn:bursar:problem:temporarily_unavailable'])
      const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
      expect([profile?.openPurchase, profile?.openHold]).toEqual([undefined, undefined])
    }
    expect(await triesOf(person)).toEqual(before)
    expect(app.logs.join()).toContain('STRIPE_SECRET_KEY')
    double.clearFaults()
    expect((await signUp(person, 'pm_card_mastercard')).status).toBe(204)
    expect((await dashboard.customers.list({ limit: 100 })).data.length).toBeGreaterThan(0)
  })
})
