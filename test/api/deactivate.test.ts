import { expect, test } from 'vitest'
import { emailKey, usernameKey } from '../../core/account/fields.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { keys } from '../../core/table/keys.ts'
import { api } from '../../functions/api/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  buy,
  changeTo,
  expectBooksAgree,
  newBuyer,
  signUpFor,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import { sessionStatuses } from '../support/credentials.ts'
import { createKey } from '../support/keys.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { newCard, stripeOf } from '../support/stripe.ts'

const app = await startApp()

const deactivate = (token: string) => app.request('PUT', '/api/users/current/deactivate', { token })
const { double } = stripeOf(app)

/** Restores the account and signs in again. */
async function restored<P extends SignedInPerson>(person: P): Promise<P> {
  const { email, password } = person
  expect((await app.request('POST', '/api/users/restore', { json: { email, password } })).status).toBe(200)
  return { ...person, ...(await app.login(person)) }
}

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(api.deactivate, answer, code)

test('200: EMCP’s message', async () => {
  const { accessToken } = await app.signUp()
  const { status, body } = await deactivate(accessToken)
  expect({ status, body }).toEqual({ status: 200, body: { message: 'Account is deactivated' } })
})

test('200: every session of the account ends immediately, with its refresh token, and no other session', async () => {
  const mine = await app.signUp()
  const [other, stranger] = [await app.login(mine), await app.signUp()]
  for (const session of [mine, other]) expect(await sessionStatuses(app, session)).toEqual([200, 200])
  await deactivate(mine.accessToken)
  for (const session of [mine, other]) expect(await sessionStatuses(app, session)).toEqual([403, 403])
  expect(await sessionStatuses(app, stranger)).toEqual([200, 200])
})

test('200: a sign-in afterwards is refused as account_deactivated', async () => {
  const { email, password, accessToken } = await app.signUp()
  await deactivate(accessToken)
  const { status, body } = await app.request('POST', '/v1/auth/login', { json: { email, password } })
  expect([status, body.type]).toEqual([403, 'urn:bursar:problem:account_deactivated'])
})

test('200: the data stays: names stay taken; keys, notices and units are kept', async () => {
  const person = await app.signUp()
  await createKey(app, person)
  const { table } = await app.ports()
  const { accountId } = person
  const everything = async () =>
    (await table.list(keys.account(accountId), '')).filter(
      ({ template, messageType, action, type }) =>
        template !== 'security' &&
        messageType !== 'deactivated' &&
        action !== 'account.deactivated' &&
        type !== 'account.deactivated',
    )
  const before = await everything()
  await deactivate(person.accessToken)
  const changed = { status: 'deactivated', sessions: {}, updatedAtMs: Date.now() }
  expect(await everything()).toEqual(
    before.map((item) => {
      if (item.sk === '#PROFILE') return { ...item, ...changed, generation: Number(item.generation) + 1 }
      return item.sk === '#QUOTA' ? { ...item, x: 'deactivated' } : item
    }),
  )
  expect(await table.get(keys.emailGuard(emailKey(person.email)))).toMatchObject({
    accountId: person.accountId,
  })
  expect(await table.get(keys.usernameGuard(usernameKey(person.username)))).toBeDefined()
  for (const taken of [{ email: person.email }, { username: person.username }]) {
    expect((await app.register(newPerson(taken))).status).toBe(409)
  }
})

test('200: repeated and concurrent requests are answered alike', async () => {
  const { accessToken } = await app.signUp()
  const answers = await Promise.all(Array.from({ length: 10 }, () => deactivate(accessToken)))
  for (const { status } of [...answers, await deactivate(accessToken)]) expect(status).toBe(200)
})

test('403: a sign-in during the deactivation gets no session', async () => {
  const person = await app.signUp()
  const [, signIn] = await Promise.all([
    deactivate(person.accessToken),
    app.request('POST', '/v1/auth/login', { json: { email: person.email, password: person.password } }),
  ])
  const { accessToken } = signIn.body ?? {}
  if (signIn.status === 200) {
    const { status } = await app.request('GET', '/v1/user', { token: accessToken })
    expect(status).toBe(403)
  }
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  expect(profile).toMatchObject({ status: 'deactivated', sessions: {} })
})

test('503: while the database is down the account stays active', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  refused(await deactivate(person.accessToken), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
})

test('503: after a lost answer of the database the account is deactivated', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'TransactWriteItems' })
  const { status } = await deactivate(person.accessToken)
  app.stack.dynamo.clearFaults()
  expect([200, 503]).toContain(status)
  expect(await sessionStatuses(app, person)).toEqual([403, 403])
})

test('200: an open payment still settles, and its units are there after a restore', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: 'torn-body', match: 'POST /v1/payment_intents/*/confirm' })
  expect((await buy(app, person)).status).toBe(202)
  double.clearFaults()
  expect((await deactivate(person.accessToken)).status).toBe(200)
  app.advance(60_000)
  expect(await app.job('settle-payments')).toMatchObject({ credited: 1, failed: 0 })
  const again = await restored(person)
  expect(await unitsLeft(app, again)).toBe(2100)
  await expectBooksAgree(app, again)
})

test('200: a purchase that waits for 3-D Secure is canceled at Stripe, and so can charge nothing any more', async () => {
  const person = await newBuyer(app, { card: ALWAYS_3DS })
  expect((await buy(app, person)).status).toBe(402)
  const { id } = await waitingPayment(app, person)
  expect((await deactivate(person.accessToken)).status).toBe(200)
  expect(double.state.paymentIntents[id]?.status).toBe('canceled')
  expect(() => double.authenticate({ paymentIntent: id, outcome: 'succeed' })).toThrow()
  await double.flushWebhooks()
  await expectBooksAgree(app, await restored(person))
})

test('200: while Stripe is down a job cancels it later, by the settling of payments as of verifications', async () => {
  const person = await newBuyer(app, { card: ALWAYS_3DS })
  expect((await buy(app, person)).status).toBe(402)
  const { id } = await waitingPayment(app, person)
  double.addFault({ fault: '500' })
  expect((await deactivate(person.accessToken)).status).toBe(200)
  double.clearFaults()
  expect(double.state.paymentIntents[id]?.status).toBe('requires_action')
  app.advance(5 * 60_000)
  expect(await app.job('settle-payments')).toMatchObject({ ended: 1, failed: 0 })
  expect(double.state.paymentIntents[id]?.status).toBe('canceled')
  await expectBooksAgree(app, await restored(person))
})

test('200: a payment that the customer authenticated just before is credited', async () => {
  const person = await newBuyer(app, { card: ALWAYS_3DS })
  expect((await buy(app, person)).status).toBe(402)
  double.authenticate({ paymentIntent: (await waitingPayment(app, person)).id, outcome: 'succeed' })
  expect((await deactivate(person.accessToken)).status).toBe(200)
  app.advance(60_000)
  await app.job('settle-payments')
  const again = await restored(person)
  expect(await unitsLeft(app, again)).toBe(2100)
  await expectBooksAgree(app, again)
})

test.each([
  ['at once', false],
  ['by the sweep, if Stripe is down', true],
])('200: a verification that waits for 3-D Secure is canceled %s', async (_, isDown) => {
  const person = await app.signUp()
  const json = { paymentMethod: await newCard(app, ALWAYS_3DS) }
  const verify = () =>
    app.request('POST', '/api/users/current/verify-payment', { token: person.accessToken, json })
  expect((await verify()).status).toBe(402)
  const { id } = await waitingPayment(app, person)
  if (isDown) double.addFault({ fault: '500' })
  expect((await deactivate(person.accessToken)).status).toBe(200)
  double.clearFaults()
  if (isDown) {
    app.advance(10 * 60_000)
    expect(await app.job('sweep')).toMatchObject({ holdsEnded: 1, holdsFailed: 0 })
  }
  expect(double.state.paymentIntents[id]?.status).toBe('canceled')
})

test('403: a deactivated account can neither buy, change nor sign up for a bundle', async () => {
  const person = await newBuyer(app)
  await deactivate(person.accessToken)
  app.resetCalls()
  for (const answer of [
    await buy(app, person),
    await changeTo(app, person, 'DEVELOPER'),
    await signUpFor(app, person, 'STARTER', 'pm_card_visa'),
  ])
    expect([answer.status, answer.body.type]).toEqual([403, 'urn:bursar:problem:account_deactivated'])
  expect(app.calls().stripe).toEqual({})
})
