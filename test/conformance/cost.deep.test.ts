import { beforeEach, describe, expect, test } from 'vitest'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import { dueAt, keys } from '../../core/table/keys.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { buy, changeTo, newBuyer, paymentsOf, refund, shown, signUpFor, spendTo } from '../support/buyers.ts'
import { createKey } from '../support/keys.ts'
import { add, answerOf, newPasskey, signInWith, withPasskey } from '../support/passkeys.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import { consume, newConsumer, uuidv7 } from '../support/quota.ts'
import { giveBack, lease, report, reserve, settle } from '../support/reservations.ts'
import { rowKey } from '../support/samples.ts'
import { batchAs, newService, spendAs } from '../support/services.ts'
import {
  atStripe,
  cardOnFile,
  customerId,
  deliver,
  eventsAbout,
  LIST,
  listed,
  newCard,
  newEvent,
  RETRIEVE,
  remove,
  stripeOf,
  verify,
} from '../support/stripe.ts'
import { type Cost, expectSampleCost, nothingElse, withSourceCount } from './costs.ts'
import { ASK, CONFIRMED, CUSTOMER_COSTS, READ_ACCOUNT } from './customer-costs.ts'
import { OPERATOR_COSTS } from './operator-costs.ts'

const app = await startApp()
// Work that another test left, or still does, must not be counted.
beforeEach(app.startAfresh)
const ONE_WRITE = { dynamodb: { Query: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 }
/** One change, and its entry in the audit log in the same transaction. */
const AUDITED_WRITE = { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 4 }

async function cost(run: () => Promise<{ status: number }>, expectedStatus: number): Promise<Cost> {
  app.resetCalls()
  expect((await run()).status).toBe(expectedStatus)
  return app.calls()
}

const { double, dashboard } = stripeOf(app)

/** Signs up a person with `count` cards on file, added a second apart. */
async function withCards(count: number): Promise<SignedInPerson> {
  const person = await app.signUp()
  // Two entries of one number would become one.
  for (const name of ['pm_card_visa', 'pm_card_discover', 'pm_card_amex'].slice(0, count)) {
    await cardOnFile(app, person, name)
    app.advance(1000)
  }
  app.resetCalls()
  return person
}

/** Signs up a person with a bundle and no open work. */
async function buyer() {
  const person = await newBuyer(app)
  app.resetCalls()
  return person
}

/** A person whose key this container knows. */
async function withKey() {
  const person = await newConsumer(app, 1000)
  await consume(app, person.key, { units: 0 })
  app.resetCalls()
  return person
}

/** A key with a rate limit and a budget. */
async function limitedKey(per: string): Promise<string> {
  const person = await newConsumer(app, 10_000)
  const limits = { budget: { units: 1000, per }, rate: { unitsPerSecond: 1000, burst: 2000 } }
  return (await createKey(app, person, 'limited', limits)).key
}

const ADDRESS = { street: 'Main st.', city: 'England', postCode: 'YO31 8SB', country: 'GB' }

const ALERTS = { alerts: [{ below: 50 }, { below: '20%' }] }

const CANCELED = { ...CONFIRMED, 'POST /v1/payment_intents/*/cancel': 1 }
const PROVED = { ...CANCELED, 'GET /v1/payment_methods/*': 1 }

/** Each entry: the endpoint, the status, the request and its cost. */
const table: [string, number, (token: string) => Promise<{ status: number }>, Cost][] = [
  [
    'GET /api/users/current',
    200,
    (token) => app.request('GET', '/api/users/current', { token }),
    READ_ACCOUNT,
  ],
  ['GET /v1/user', 200, (token) => app.request('GET', '/v1/user', { token }), CUSTOMER_COSTS['GET /v1/user']],
  [
    'GET /v1/config',
    200,
    () => app.request('GET', '/v1/config'),
    { dynamodb: { GetItem: 1 }, readUnits: 1, writeUnits: 0 },
  ],
  [
    'GET /rest/users/{username}',
    200,
    (token) => app.request('GET', '/rest/users/costs', { token }),
    READ_ACCOUNT,
  ],
  ['GET /health', 200, () => app.request('GET', '/health'), { dynamodb: {}, readUnits: 0, writeUnits: 0 }],
  [
    'GET /openapi.json',
    200,
    () => app.request('GET', '/openapi.json'),
    { dynamodb: {}, readUnits: 0, writeUnits: 0 },
  ],
  [
    // One transaction writes names, profile and key look-up, a second one the activation, code and mail; then
    // the mail is sent. The index of what is due moves the account to the day on which it lapses. One write counts the
    // mail by its mailbox. Three are for the event.
    'POST /rest/users',
    201,
    () => app.register(newPerson()),
    CUSTOMER_COSTS['POST /rest/users'],
  ],
  [
    // The account leaves the index of what is due.
    'POST /v1/auth/activate',
    200,
    async () => {
      const person = newPerson()
      await app.register(person)
      app.resetCalls()
      return app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(person.email) } })
    },
    CUSTOMER_COSTS['POST /v1/auth/activate'],
  ],
  [
    'POST /v1/auth/login',
    200,
    () => app.request('POST', '/v1/auth/login', { json: { username: 'costs', password: 'Hello123!' } }),
    CUSTOMER_COSTS['POST /v1/auth/login'],
  ],
  [
    // The owner is told of a new device in the transaction that makes its session.
    'POST /v1/auth/login, new device',
    200,
    () =>
      app.request('POST', '/v1/auth/login', {
        json: { username: 'costs', password: 'Hello123!' },
        headers: { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0' },
      }),
    {
      dynamodb: { Query: 2, TransactWriteItems: 1, UpdateItem: 1, GetItem: 1 },
      readUnits: 3,
      writeUnits: 10,
      cognito: { AdminInitiateAuth: 1 },
    },
  ],
  [
    'POST /v1/auth/login, unknown name',
    401,
    () => app.request('POST', '/v1/auth/login', { json: { username: 'nobody', password: 'Hello123!' } }),
    // A wrong password is counted for the name that was typed, whether or not an account has it.
    {
      dynamodb: { Query: 2, UpdateItem: 2, GetItem: 1 },
      readUnits: 3,
      writeUnits: 2,
      cognito: { AdminInitiateAuth: 1 },
    },
  ],
  [
    'POST /v1/auth/login, locked',
    429,
    async () => {
      const json = { username: 'costs', password: 'Wrong123!' }
      for (let n = 0; n < 5; n++) await app.request('POST', '/v1/auth/login', { json })
      app.resetCalls()
      return app.request('POST', '/v1/auth/login', { json })
    },
    { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 },
  ],
  [
    'POST /v1/auth/refresh',
    200,
    async () => {
      const { refreshToken } = await app.login({
        username: 'costs',
        email: 'costs@mail.example',
        password: 'Hello123!',
      })
      app.resetCalls()
      return app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
    },
    CUSTOMER_COSTS['POST /v1/auth/refresh'],
  ],
  [
    // Once an hour a session in use writes down that it was seen.
    'POST /v1/auth/refresh, an hour later',
    200,
    async () => {
      const { refreshToken } = await app.signUp()
      app.advance(3_600_000)
      app.resetCalls()
      return app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
    },
    { ...ONE_WRITE, cognito: { GetTokensFromRefreshToken: 1 } },
  ],
  ['GET /v1/auth/sessions', 200, (token) => app.request('GET', '/v1/auth/sessions', { token }), READ_ACCOUNT],
  [
    'DELETE /v1/auth/sessions/{id}',
    204,
    async () => {
      const person = await app.signUp()
      await app.login(person)
      const sessions = await shown(app, person, '/v1/auth/sessions')
      const { id } = sessions.find(({ current }: { current: boolean }) => !current)
      app.resetCalls()
      return app.request('DELETE', `/v1/auth/sessions/${id}`, { token: person.accessToken })
    },
    AUDITED_WRITE,
  ],
  [
    'POST /v1/auth/logout, refresh token',
    204,
    async () => {
      const { refreshToken } = await app.signUp()
      app.resetCalls()
      return app.request('POST', '/v1/auth/logout', { json: { refreshToken } })
    },
    { ...AUDITED_WRITE, cognito: { GetTokensFromRefreshToken: 1 } },
  ],
  [
    'POST /v1/auth/logout',
    204,
    async () => {
      const { accessToken } = await app.login({
        username: 'costs',
        email: 'costs@mail.example',
        password: 'Hello123!',
      })
      app.resetCalls()
      return app.request('POST', '/v1/auth/logout', { token: accessToken })
    },
    AUDITED_WRITE,
  ],
  [
    'PUT /api/users/current, name',
    200,
    (token) => app.request('PUT', '/api/users/current', { token, json: { name: 'Ada Costs' } }),
    ONE_WRITE,
  ],
  [
    'PUT /v1/user/flags',
    204,
    (token) => app.request('PUT', '/v1/user/flags', { token, json: { lowQuotaNotification: true } }),
    ONE_WRITE,
  ],
  [
    // The first write ends all sessions and queues the notice and the mail about it, which cost 5 units. Then the
    // vault is called, and the second write unlocks the account.
    'PUT /v1/user/password',
    204,
    async () => {
      const { accessToken } = await app.signUp()
      app.resetCalls()
      return app.request('PUT', '/v1/user/password', { token: accessToken, json: { password: 'Changed1!' } })
    },
    {
      dynamodb: { Query: 1, TransactWriteItems: 1, UpdateItem: 1 },
      readUnits: 1,
      writeUnits: 13,
      cognito: { AdminSetUserPassword: 1 },
    },
  ],
  [
    'PUT /api/users/current/deactivate',
    200,
    async () => {
      const { accessToken } = await app.signUp()
      app.resetCalls()
      return app.request('PUT', '/api/users/current/deactivate', { token: accessToken })
    },
    // The writes change the profile, which moves in the index of operators' lists, and the counter, where a consume
    // sees the deactivation, and tell the owner.
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 16 },
  ],
  [
    // As a deactivation; the profile enters the index of what is due, and a notice and a mail are stored.
    'DELETE /v1/user',
    202,
    async () => {
      const { accessToken } = await app.signUp()
      app.resetCalls()
      return app.request('DELETE', '/v1/user', { token: accessToken })
    },
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 17 },
  ],
  [
    // The undoing and the session are two writes.
    'POST /v1/auth/login, which undoes a deletion',
    200,
    async () => {
      const { accessToken, email, password } = await app.signUp()
      await app.request('DELETE', '/v1/user', { token: accessToken })
      app.resetCalls()
      return app.request('POST', '/v1/auth/login', { json: { email, password } })
    },
    {
      dynamodb: { Query: 2, TransactWriteItems: 2, UpdateItem: 1, GetItem: 1 },
      readUnits: 3,
      writeUnits: 22,
      cognito: { AdminInitiateAuth: 1 },
    },
  ],
  [
    // The start is stored with its notice and mail. The second query finds that nothing follows.
    'POST /v1/user/export',
    200,
    async () => {
      const { accessToken } = await app.signUp()
      app.resetCalls()
      return app.request('POST', '/v1/user/export', { token: accessToken })
    },
    { dynamodb: { Query: 3, GetItem: 3, TransactWriteItems: 1 }, readUnits: 6, writeUnits: 9 },
  ],
  [
    'POST /api/users/restore',
    200,
    async () => {
      const { accessToken, email, password } = await app.signUp()
      await app.request('PUT', '/api/users/current/deactivate', { token: accessToken })
      app.resetCalls()
      return app.request('POST', '/api/users/restore', { json: { email, password } })
    },
    {
      dynamodb: { Query: 2, TransactWriteItems: 1, UpdateItem: 1, GetItem: 1 },
      readUnits: 3,
      writeUnits: 17,
      cognito: { AdminInitiateAuth: 1, RevokeToken: 1 },
    },
  ],
  [
    // Nothing is stored before the answer.
    'POST /v1/auth/passkeys/options/get',
    200,
    () => app.request('POST', '/v1/auth/passkeys/options/get'),
    { dynamodb: {}, readUnits: 0, writeUnits: 0 },
  ],
  [
    'POST /v1/auth/passkeys/options/create',
    200,
    (token) => app.request('POST', '/v1/auth/passkeys/options/create', { token }),
    READ_ACCOUNT,
  ],
  [
    // The profile, the spent challenge, and the notice and the mail, which is due, for the owner.
    'POST /v1/auth/passkeys',
    201,
    async () => {
      const person = await app.signUp()
      const passkey = await newPasskey(app, person)
      app.resetCalls()
      return add(app, person, passkey)
    },
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 11 },
  ],
  [
    // The session and the spent challenge.
    'POST /v1/auth/login/passkey',
    200,
    async () => {
      const passkey = await answerOf(app, await withPasskey(app, await app.signUp()))
      app.resetCalls()
      return signInWith(app, passkey)
    },
    {
      dynamodb: { Query: 1, TransactWriteItems: 1 },
      readUnits: 1,
      writeUnits: 6,
      cognito: { AdminInitiateAuth: 1, AdminRespondToAuthChallenge: 1 },
    },
  ],
  [
    'POST /v1/auth/login/passkey, unknown account',
    401,
    async () => {
      const person = await withPasskey(app, await app.signUp())
      const userHandle = Buffer.from('0'.repeat(24)).toString('base64url')
      const passkey = await answerOf(app, person, { userHandle })
      app.resetCalls()
      return signInWith(app, passkey)
    },
    { dynamodb: { Query: 1 }, readUnits: 1, writeUnits: 0 },
  ],
  // A known and an unknown address cost the same write: an item and its entry in the index of due work.
  [
    'POST /v1/user/resetPassword',
    204,
    () => app.request('POST', '/v1/user/resetPassword', { json: { email: 'costs@mail.example' } }),
    CUSTOMER_COSTS['POST /v1/user/resetPassword'],
  ],
  [
    'POST /v1/user/resetPassword, unknown address',
    204,
    () => app.request('POST', '/v1/user/resetPassword', { json: { email: 'nobody@mail.example' } }),
    ASK,
  ],
  [
    'POST /v1/auth/resend',
    204,
    () => app.request('POST', '/v1/auth/resend', { json: { email: 'costs@mail.example' } }),
    ASK,
  ],
  [
    'PUT /v1/user/resetPassword',
    204,
    async () => {
      const { email } = await app.signUp()
      await app.request('POST', '/v1/user/resetPassword', { json: { email } })
      await app.job('send-mail')
      const code = app.mailedCode(email)
      app.resetCalls()
      return app.request('PUT', '/v1/user/resetPassword', { json: { code, password: 'Changed1!' } })
    },
    // The first reset of an account that has paid nothing replaces its keys, which takes a read and
    // three writes, and tells the owner.
    CUSTOMER_COSTS['PUT /v1/user/resetPassword'],
  ],
  [
    'PUT /rest/users/{username}, username',
    200,
    async () => {
      const { accessToken, username } = await app.signUp()
      app.resetCalls()
      const json = { username: `renamed.${username}` }
      return app.request('PUT', `/rest/users/${username}`, { token: accessToken, json })
    },
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 6 },
  ],
  [
    // After the first request the container has the owner of the key cached.
    'GET /v1/usage/balance',
    200,
    async (token) => {
      const key = (await app.request('GET', '/v1/user', { token })).body.apiKey
      await app.request('GET', '/v1/usage/balance', { token: key })
      app.resetCalls()
      return app.request('GET', '/v1/usage/balance', { token: key })
    },
    { dynamodb: { GetItem: 1 }, readUnits: 1, writeUnits: 0 },
  ],
  [
    // As a customer's own key: the container has read the credential less than 30 seconds ago.
    'POST /v1/usage, by a service that names an account',
    200,
    async () => {
      const { accountId: account } = await withKey()
      const service = await newService(app)
      await spendAs(app, service, { account }, { units: 0 })
      app.resetCalls()
      return spendAs(app, service, { account }, { units: 1, requestId: uuidv7() })
    },
    { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 1 },
  ],
  [
    'POST /v1/usage, by a service whose credential the container has not read lately',
    200,
    async () => {
      const { key } = await withKey()
      const service = await newService(app)
      app.resetCalls()
      return spendAs(app, service, { key }, { units: 1, requestId: uuidv7() })
    },
    { dynamodb: { GetItem: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  [
    // A read and a write for each customer, as their own batches cost.
    'POST /v1/usage/batch, by a service, with 2 requests for each of 3 customers',
    200,
    async () => {
      const service = await newService(app)
      const people = await Promise.all([1, 2, 3].map(() => withKey()))
      await spendAs(app, service, { key: people[0]?.key ?? '' }, { units: 0 })
      app.resetCalls()
      const requests = [...people, ...people].map(({ key }) => ({ units: 1, key, requestId: uuidv7() }))
      return batchAs(app, service, requests)
    },
    { dynamodb: { GetItem: 3, UpdateItem: 3 }, readUnits: 3, writeUnits: 3 },
  ],
  [
    'POST /v1/usage, with a tag that the container knows',
    200,
    async () => {
      const { key } = await withKey()
      await consume(app, key, { units: 1, tag: 'report' })
      app.resetCalls()
      return consume(app, key, { units: 1, tag: 'report' })
    },
    { dynamodb: { UpdateItem: 2 }, readUnits: 0, writeUnits: 2 },
  ],
  [
    // The container reads the tags of the day and adds its own.
    'POST /v1/usage, with a tag that is new today',
    200,
    async () => {
      const { key } = await withKey()
      return consume(app, key, { units: 1, tag: 'report' })
    },
    { dynamodb: { GetItem: 1, UpdateItem: 3 }, readUnits: 1, writeUnits: 3 },
  ],
  [
    'POST /v1/usage, with a budget for good and a rate limit, and a container that has seen the key',
    200,
    async () => {
      const key = await limitedKey('total')
      await consume(app, key, { units: 1 })
      app.resetCalls()
      return consume(app, key, { units: 1 })
    },
    { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 1 },
  ],
  [
    // The record of the key, the counter, and the snapshot of the day before.
    'POST /v1/usage, with a budget by day, the first one of a day in a container',
    200,
    async () => {
      const key = await limitedKey('day')
      app.resetCalls()
      return consume(app, key, { units: 1 })
    },
    { dynamodb: { GetItem: 2, Query: 1, UpdateItem: 1 }, readUnits: 3, writeUnits: 1 },
  ],
  [
    'POST /v1/usage, with a budget by day, another one',
    200,
    async () => {
      const key = await limitedKey('day')
      await consume(app, key, { units: 1 })
      app.resetCalls()
      return consume(app, key, { units: 1, requestId: uuidv7() })
    },
    { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 1 },
  ],
  [
    'POST /v1/usage, beyond a budget, again within a second',
    402,
    async () => {
      const key = await limitedKey('day')
      await consume(app, key, { units: 1001 })
      app.resetCalls()
      return consume(app, key, { units: 1001 })
    },
    { dynamodb: {}, readUnits: 0, writeUnits: 0 },
  ],
  [
    // The alarm, which is due, and the counter.
    'POST /v1/usage/reservations, the first one',
    201,
    async () => {
      const { key } = await withKey()
      return reserve(app, key, { units: 1 })
    },
    { dynamodb: { GetItem: 1, UpdateItem: 2 }, readUnits: 1, writeUnits: 3 },
  ],
  [
    'POST /v1/usage/reservations, while another one is open',
    201,
    async () => {
      const { key } = await withKey()
      await reserve(app, key, { units: 1 })
      app.resetCalls()
      return reserve(app, key, { units: 1, requestId: uuidv7() })
    },
    { dynamodb: { GetItem: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  [
    // The counter and an item, which is due, in a transaction.
    'POST /v1/usage/reservations, beyond those in the counter',
    201,
    async () => {
      const { key } = await withKey()
      for (let n = 0; n < OPEN_IN_COUNTER; n++) await reserve(app, key, { units: 1 })
      app.resetCalls()
      return reserve(app, key, { units: 1 })
    },
    { dynamodb: { GetItem: 2, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 5 },
  ],
  [
    'POST /v1/usage/reservations/{id}/settle',
    200,
    async () => {
      const { key } = await withKey()
      const { body } = await reserve(app, key, { units: 3 })
      app.resetCalls()
      return settle(app, key, body.id, { units: 2, requestId: uuidv7() })
    },
    { dynamodb: { GetItem: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  [
    'DELETE /v1/usage/reservations/{id}',
    200,
    async () => {
      const { key } = await withKey()
      const { body } = await reserve(app, key, { units: 3 })
      app.resetCalls()
      return giveBack(app, key, body.id)
    },
    { dynamodb: { GetItem: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  [
    'POST /v1/usage/leases, while another one is open',
    201,
    async () => {
      const { key } = await withKey()
      await lease(app, key, { units: 1 })
      app.resetCalls()
      return lease(app, key, { units: 3, requestId: uuidv7() })
    },
    { dynamodb: { GetItem: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  [
    'POST /v1/usage/leases/{id}/renew',
    200,
    async () => {
      const { key } = await withKey()
      const { body } = await lease(app, key, { units: 3 })
      app.resetCalls()
      return report(app, key, body.id, 'renew', { use: [{ units: 2 }], units: 3, requestId: uuidv7() })
    },
    CUSTOMER_COSTS['POST /v1/usage/leases/{id}/renew'],
  ],
  [
    'POST /v1/usage/leases/{id}/return',
    200,
    async () => {
      const { key } = await withKey()
      const { body } = await lease(app, key, { units: 3 })
      app.resetCalls()
      return report(app, key, body.id, 'return', { use: [{ units: 2 }], requestId: uuidv7() })
    },
    { dynamodb: { GetItem: 1, UpdateItem: 1 }, readUnits: 1, writeUnits: 1 },
  ],
  [
    'GET /v1/keys',
    200,
    (token) => app.request('GET', '/v1/keys', { token }),
    // The counter and the last snapshot of it have the days of use.
    { dynamodb: { Query: 3, GetItem: 1 }, readUnits: 4, writeUnits: 0 },
  ],
  [
    'POST /v1/keys',
    201,
    (token) => app.request('POST', '/v1/keys', { token, json: { name: 'one' } }),
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 17 },
  ],
  [
    'GET /api/users/current/notifications',
    200,
    (token) => app.request('GET', '/api/users/current/notifications', { token }),
    { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    // The customer and its look-up are created, then the hold. The default card is set at Stripe before our
    // table.
    'POST /api/users/current/verify-payment, first card',
    200,
    async () => verify(app, await withCards(0), 'pm_card_visa'),
    {
      dynamodb: { Query: 2, TransactWriteItems: 4, GetItem: 3, DeleteItem: 1 },
      readUnits: 5,
      writeUnits: 40,
      stripe: { 'POST /v1/customers': 1, 'POST /v1/customers/*': 2, ...PROVED },
    },
  ],
  [
    // The hold is stored; the payment's id is saved and the card's number looked up before the confirmation; the
    // card is proved; the hold is removed.
    'POST /api/users/current/verify-payment, second card',
    200,
    async () => verify(app, await withCards(1), 'pm_card_mastercard'),
    {
      dynamodb: { Query: 2, TransactWriteItems: 3, GetItem: 3, DeleteItem: 1 },
      readUnits: 5,
      writeUnits: 27,
      stripe: PROVED,
    },
  ],
  [
    'POST /api/users/current/verify-payment, declined',
    402,
    async () => verify(app, await withCards(1), 'pm_card_chargeDeclined'),
    {
      dynamodb: { Query: 2, GetItem: 3, TransactWriteItems: 3 },
      readUnits: 5,
      writeUnits: 20,
      stripe: CANCELED,
    },
  ],
  [
    'POST /api/users/current/verify-payment, 3-D Secure',
    402,
    async () => verify(app, await withCards(1), 'pm_card_authenticationRequired'),
    {
      dynamodb: { Query: 1, GetItem: 2, TransactWriteItems: 2 },
      readUnits: 3,
      writeUnits: 13,
      stripe: CONFIRMED,
    },
  ],
  [
    'POST /api/users/current/verify-payment, over the limit',
    429,
    async () => {
      const person = await withCards(1)
      for (let tries = 0; tries < 3; tries++)
        await verify(app, person, 'pm_card_visa_chargeDeclinedInsufficientFunds')
      app.resetCalls()
      return verify(app, person, 'pm_card_amex')
    },
    READ_ACCOUNT,
  ],
  [
    'GET /api/users/current/list-payment-methods',
    200,
    async () => app.request('GET', LIST, { token: (await withCards(2)).accessToken }),
    { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    'GET /api/users/current/retrieve',
    200,
    async () => app.request('GET', RETRIEVE, { token: (await withCards(2)).accessToken }),
    READ_ACCOUNT,
  ],
  [
    // The card is hidden, then detached. The customer is read again, because the card may have been its
    // default.
    'DELETE /api/users/current/payment-method/{id}',
    204,
    async () => {
      const person = await withCards(2)
      const [newest = ''] = await listed(app, person)
      app.resetCalls()
      return remove(app, person, newest)
    },
    {
      dynamodb: { Query: 2, GetItem: 2, TransactWriteItems: 1, PutItem: 2 },
      readUnits: 4,
      writeUnits: 14,
      stripe: { 'POST /v1/payment_methods/*/detach': 1, 'GET /v1/customers/*': 2 },
    },
  ],
  [
    'DELETE /api/users/current/payment-method/{id}, the default card',
    204,
    async () => {
      const person = await withCards(2)
      const [, oldest = ''] = await listed(app, person)
      app.resetCalls()
      return remove(app, person, oldest)
    },
    {
      dynamodb: { Query: 3, GetItem: 2, TransactWriteItems: 1, PutItem: 2 },
      readUnits: 5,
      writeUnits: 17,
      stripe: {
        'POST /v1/payment_methods/*/detach': 1,
        'GET /v1/customers/*': 2,
        'POST /v1/customers/*': 1,
      },
    },
  ],
  [
    'DELETE /api/users/current/payment-method/{id}, not there',
    404,
    async () => remove(app, await withCards(1), 'pm_1Unknown0000000000000'),
    { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    'PUT /v1/user/card',
    204,
    async () => {
      const { accessToken: token } = await withCards(1)
      const json = { paymentMethod: 'pm_card_mastercard', address: ADDRESS }
      return app.request('PUT', '/v1/user/card', { token, json })
    },
    {
      dynamodb: { Query: 2, TransactWriteItems: 3, GetItem: 3, DeleteItem: 1 },
      readUnits: 5,
      writeUnits: 32,
      stripe: { ...PROVED, 'POST /v1/customers/*': 1 },
    },
  ],
  [
    // Reads the event's mark, the owner and our version, then the card again after that version was read.
    'POST /webhooks/stripe, payment_method.updated',
    200,
    async () => {
      const person = await withCards(1)
      const [card = ''] = await listed(app, person)
      await dashboard.paymentMethods.update(card, { card: { exp_year: 2040 } })
      const [event = {}] = await eventsAbout(app, card)
      app.resetCalls()
      return deliver(app, event)
    },
    {
      dynamodb: { GetItem: 3, TransactWriteItems: 1 },
      readUnits: 3,
      writeUnits: 6,
      stripe: { 'GET /v1/payment_methods/*': 1 },
    },
  ],
  [
    'POST /webhooks/stripe, customer.updated',
    200,
    async () => {
      const id = (await customerId(app, await withCards(1))) ?? ''
      await dashboard.customers.update(id, { phone: '1' })
      const [event = {}] = await eventsAbout(app, id)
      app.resetCalls()
      return deliver(app, event)
    },
    {
      dynamodb: { GetItem: 3, TransactWriteItems: 1 },
      readUnits: 3,
      writeUnits: 4,
      stripe: { 'GET /v1/customers/*': 1 },
    },
  ],
  [
    'POST /webhooks/stripe, 3-D Secure is done',
    200,
    async () => {
      const person = await withCards(1)
      await verify(app, person, 'pm_card_authenticationRequired')
      const [intent] = (await atStripe(app, person)).intents
      double.authenticate({ paymentIntent: intent?.id ?? '', outcome: 'succeed' })
      const [event = {}] = await eventsAbout(app, intent?.id ?? '')
      app.resetCalls()
      return deliver(app, event)
    },
    {
      dynamodb: { GetItem: 3, Query: 1, TransactWriteItems: 2 },
      readUnits: 4,
      writeUnits: 17,
      stripe: {
        'GET /v1/payment_intents/*': 1,
        'GET /v1/payment_methods/*': 1,
        'POST /v1/payment_intents/*/cancel': 1,
      },
    },
  ],
  [
    'POST /webhooks/stripe, a released hold',
    200,
    async () => {
      const person = await app.signUp()
      await verify(app, person, await newCard(app, '4242424242424242'))
      const [intent] = (await atStripe(app, person)).intents
      const [event = {}] = await eventsAbout(app, intent?.id ?? '')
      app.resetCalls()
      return deliver(app, event)
    },
    {
      dynamodb: { GetItem: 3, PutItem: 1 },
      readUnits: 3,
      writeUnits: 1,
    },
  ],
  [
    'POST /webhooks/stripe, a kind that is not taken',
    200,
    () => deliver(app, newEvent('invoice.paid', { id: 'in_1', object: 'invoice' })),
    { dynamodb: {}, readUnits: 0, writeUnits: 0 },
  ],
  [
    'POST /webhooks/stripe, not signed',
    400,
    () => app.request('POST', '/webhooks/stripe', { body: '{}' }),
    { dynamodb: {}, readUnits: 0, writeUnits: 0 },
  ],
  [
    // Writes: the customer and its look-up; the purchase; its payment id and look-up; the credit; the card; the counter.
    'POST /v1/user/bundle, first card',
    204,
    async () => {
      const person = await app.signUp()
      const card = await newCard(app, '4242424242424242')
      app.resetCalls()
      return signUpFor(app, person, 'STARTER', card)
    },
    CUSTOMER_COSTS['POST /v1/user/bundle, first card'],
  ],
  [
    'POST /v1/user/bundle, declined',
    402,
    async () => signUpFor(app, await withCards(1), 'STARTER', 'pm_card_chargeDeclined'),
    {
      dynamodb: { Query: 2, GetItem: 6, TransactWriteItems: 3 },
      readUnits: 8,
      writeUnits: 26,
      stripe: CANCELED,
    },
  ],
  [
    'PUT /v1/user/bundle/{bundleName}',
    204,
    async () => changeTo(app, await buyer(), 'developer'),
    {
      dynamodb: { Query: 2, GetItem: 5, TransactWriteItems: 3, UpdateItem: 2 },
      readUnits: 7,
      writeUnits: 39,
      stripe: CONFIRMED,
    },
  ],
  ['POST /v1/user/buy', 201, async () => buy(app, await buyer()), CUSTOMER_COSTS['POST /v1/user/buy']],
  [
    'POST /v1/user/buy, with an Idempotency-Key',
    201,
    async () => buy(app, await buyer(), 'k'),
    {
      dynamodb: { Query: 2, GetItem: 5, TransactWriteItems: 3, UpdateItem: 2 },
      readUnits: 7,
      writeUnits: 39,
      stripe: CONFIRMED,
    },
  ],
  [
    'POST /v1/user/buy, the same key again',
    201,
    async () => {
      const person = await buyer()
      await buy(app, person, 'k')
      app.resetCalls()
      return buy(app, person, 'k')
    },
    { dynamodb: { Query: 1, GetItem: 2 }, readUnits: 3, writeUnits: 0 },
  ],
  [
    'POST /v1/user/buy, a second click',
    201,
    async () => {
      const person = await buyer()
      await buy(app, person)
      app.resetCalls()
      return buy(app, person)
    },
    READ_ACCOUNT,
  ],
  [
    'POST /v1/user/buy, declined',
    402,
    async () => {
      const person = await buyer()
      double.addFault({ fault: 'decline', match: 'POST /v1/payment_intents/*/confirm', times: 1 })
      return buy(app, person)
    },
    {
      dynamodb: { Query: 2, GetItem: 4, TransactWriteItems: 3 },
      readUnits: 6,
      writeUnits: 26,
      stripe: CANCELED,
    },
  ],
  [
    'PUT /v1/user/alerts',
    204,
    async (token) => app.request('PUT', '/v1/user/alerts', { token, json: ALERTS }),
    ONE_WRITE,
  ],
  [
    'PUT /v1/user/alerts, the same again',
    204,
    async (token) => {
      await app.request('PUT', '/v1/user/alerts', { token, json: ALERTS })
      app.resetCalls()
      return app.request('PUT', '/v1/user/alerts', { token, json: ALERTS })
    },
    READ_ACCOUNT,
  ],
  [
    'PUT /v1/user/renewal',
    204,
    async (token) => app.request('PUT', '/v1/user/renewal', { token, json: { monthlyCap: 20 } }),
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 5 },
  ],
  [
    'PUT /v1/user/renewal, so that a renewal is due',
    204,
    async () => {
      const person = await buyer()
      const json = { below: 40_000, bundle: 'DEVELOPER' }
      return app.request('PUT', '/v1/user/renewal', { token: person.accessToken, json })
    },
    {
      dynamodb: { Query: 1, GetItem: 1, TransactWriteItems: 1 },
      readUnits: 2,
      writeUnits: 5,
      lambda: { Invoke: 1 },
    },
  ],
  [
    'GET /v1/invoice/list',
    200,
    async () => app.request('GET', '/v1/invoice/list', { token: (await buyer()).accessToken }),
    CUSTOMER_COSTS['GET /v1/invoice/list'],
  ],
  [
    'GET /v1/invoice/{id}',
    200,
    async () => {
      const person = await buyer()
      const [{ id }] = await shown(app, person, '/v1/invoice/list')
      app.resetCalls()
      return app.request('GET', `/v1/invoice/${id}`, { token: person.accessToken })
    },
    { dynamodb: { Query: 1, GetItem: 1 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    'GET /api/billing-settings',
    200,
    (token) => app.request('GET', '/api/billing-settings', { token }),
    READ_ACCOUNT,
  ],
  [
    'PUT /api/billing-settings',
    200,
    (token) => app.request('PUT', '/api/billing-settings', { token, json: { taxId: 'DE1' } }),
    ONE_WRITE,
  ],
  [
    // The reading by page numbers is shared with that of operators, who have not read the account yet.
    'GET /api/teams/{id}/billing-history',
    200,
    async () => {
      const { accountId, accessToken: token } = await buyer()
      app.resetCalls()
      return app.request('GET', `/api/teams/${accountId}/billing-history`, { token })
    },
    { dynamodb: { Query: 3 }, readUnits: 3, writeUnits: 0 },
  ],
  [
    'GET /api/teams/{id}/last-invoice',
    200,
    async () => {
      const { accountId, accessToken: token } = await buyer()
      app.resetCalls()
      return app.request('GET', `/api/teams/${accountId}/last-invoice`, { token })
    },
    { dynamodb: { Query: 2, GetItem: 1 }, readUnits: 3, writeUnits: 0 },
  ],
  [
    'GET /v1/user/activity',
    200,
    (token) => app.request('GET', '/v1/user/activity', { token }),
    { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    'GET /ops/read/accounts/{id}/audit',
    200,
    async () => {
      const { accountId } = await app.signUp()
      app.resetCalls()
      return app.request('GET', `/ops/read/accounts/${accountId}/audit`, { operator: 'read' })
    },
    READ_ACCOUNT,
  ],
  [
    'GET /ops/read/operators/{name}/audit',
    200,
    () => app.request('GET', '/ops/read/operators/ada/audit?day=2026-11-21', { operator: 'read' }),
    READ_ACCOUNT,
  ],
  [
    'GET /v1/ledger',
    200,
    async () => app.request('GET', '/v1/ledger', { token: (await buyer()).accessToken }),
    { dynamodb: { Query: 2 }, readUnits: 2, writeUnits: 0 },
  ],
  [
    // The request did all the work, so the event is only recorded.
    'POST /webhooks/stripe, a purchase that is credited',
    200,
    async () => {
      const person = await buyer()
      const [payment] = await paymentsOf(app, person)
      app.resetCalls()
      return deliver(app, newEvent('payment_intent.succeeded', payment ?? {}))
    },
    {
      dynamodb: { GetItem: 3, Query: 1, TransactWriteItems: 1 },
      readUnits: 4,
      writeUnits: 4,
      stripe: { 'GET /v1/payment_intents/*': 1 },
    },
  ],
  [
    'POST /webhooks/stripe, a refund',
    200,
    async () => {
      const person = await buyer()
      const [payment] = await paymentsOf(app, person)
      const made = await refund(app, payment ?? { id: '' })
      app.resetCalls()
      return deliver(app, newEvent('refund.created', made))
    },
    {
      dynamodb: { GetItem: 9, Query: 2, TransactWriteItems: 2 },
      readUnits: 11,
      writeUnits: 23,
      stripe: { 'GET /v1/refunds/*': 1, 'GET /v1/payment_intents/*': 1, 'GET /v1/charges/*': 1 },
    },
  ],
]

test.each(table)('%s (%i) has exactly its listed cost', async (title, status, run, expected) => {
  const { accessToken } = await app.signUp({ username: 'costs', email: 'costs@mail.example' })
  const [route = ''] = title.split(',')
  expect(await cost(() => run(accessToken), status)).toEqual({
    ...nothingElse,
    ...withSourceCount(route, expected),
  })
})

/** Rows with one ordinary case: the cost of their sample in `test/support/samples.ts`. */
const bySample: [route: string, Cost][] = [
  ['POST /v1/auth/confirm', { ...ONE_WRITE, cognito: { AdminInitiateAuth: 1, RevokeToken: 1 } }],
  ['POST /v1/auth/2FA', { ...ONE_WRITE, kms: { Encrypt: 1 } }],
  [
    // One write counts the try.
    'POST /v1/auth/verify2FA',
    {
      dynamodb: { Query: 1, UpdateItem: 1, TransactWriteItems: 1 },
      readUnits: 1,
      writeUnits: 13,
      kms: { Decrypt: 1 },
    },
  ],
  [
    // With a recovery code, which its owner is told of.
    'DELETE /v1/auth/2FA',
    {
      dynamodb: { Query: 1, UpdateItem: 1, TransactWriteItems: 1 },
      readUnits: 1,
      writeUnits: 20,
      kms: { Decrypt: 1 },
    },
  ],
  ['POST /v1/auth/recovery/code', { dynamodb: { UpdateItem: 1 }, readUnits: 0, writeUnits: 2 }],
  [
    'POST /v1/auth/recovery',
    { dynamodb: { GetItem: 1, Query: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 14 },
  ],
  [
    'PUT /v1/auth/recovery',
    {
      dynamodb: { GetItem: 1, Query: 2, TransactWriteItems: 2 },
      readUnits: 3,
      writeUnits: 38,
      cognito: { AdminSetUserPassword: 1 },
    },
  ],
  [
    // With the password.
    'DELETE /v1/auth/recovery',
    {
      dynamodb: { Query: 1, TransactWriteItems: 1 },
      readUnits: 1,
      writeUnits: 14,
      cognito: { AdminInitiateAuth: 1, RevokeToken: 1 },
    },
  ],
  [
    'POST /v1/auth/recovery/stop',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 14 },
  ],
  ['GET /v1/auth/passkeys', READ_ACCOUNT],
  ['PUT /v1/auth/passkeys/{id}', ONE_WRITE],
  [
    'DELETE /v1/auth/passkeys/{id}',
    { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 12 },
  ],
  [
    'DELETE /v1/keys/{id}',
    { dynamodb: { Query: 1, GetItem: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 14 },
  ],
  [
    'PUT /v1/keys/{id}',
    { dynamodb: { Query: 1, GetItem: 2, TransactWriteItems: 1 }, readUnits: 3, writeUnits: 16 },
  ],
  [
    // Operators find an account by the ends of a key, so the key moves in their index.
    'POST /v1/keys/{id}/rotate',
    { dynamodb: { Query: 1, GetItem: 2, TransactWriteItems: 1 }, readUnits: 3, writeUnits: 20 },
  ],
  [
    // The key's look-up and record and the account are read, then the look-up once more, past the container's memory.
    'POST /v1/auth/apiKey',
    {
      dynamodb: { GetItem: 3, Query: 1, TransactWriteItems: 1 },
      readUnits: 4,
      writeUnits: 6,
      cognito: { AdminInitiateAuth: 1, AdminRespondToAuthChallenge: 1 },
    },
  ],
  [
    // As `POST /rest/users`.
    'POST /v1/auth/register',
    {
      dynamodb: { GetItem: 1, UpdateItem: 1, TransactWriteItems: 1, PutItem: 1 },
      readUnits: 1,
      writeUnits: 26,
      mail: { SendEmail: 1 },
    },
  ],
  ['POST /rest/apps', { dynamodb: { Query: 1, TransactWriteItems: 1 }, readUnits: 1, writeUnits: 17 }],
  ['GET /rest/apps/{apiKey}', { dynamodb: { Query: 1, GetItem: 1 }, readUnits: 2, writeUnits: 0 }],
  [
    'PUT /rest/apps/{apiKey}',
    { dynamodb: { Query: 1, GetItem: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 9 },
  ],
  [
    'DELETE /rest/apps/{apiKey}',
    { dynamodb: { Query: 1, GetItem: 1, TransactWriteItems: 1 }, readUnits: 2, writeUnits: 14 },
  ],
  ['GET /v1/purchase/{id}', { dynamodb: { Query: 1, GetItem: 1 }, readUnits: 2, writeUnits: 0 }],
  ['GET /v1/usage', CUSTOMER_COSTS['GET /v1/usage']],
  // In a container that has seen neither the key nor the tag; `quota-cost.deep.test.ts` has all others.
  ['POST /v1/usage', { dynamodb: { GetItem: 4, UpdateItem: 3 }, readUnits: 4, writeUnits: 3 }],
  ['POST /v1/usage/batch', { dynamodb: { GetItem: 5, UpdateItem: 4 }, readUnits: 5, writeUnits: 5 }],
  ['POST /v1/user/renewal/link', ONE_WRITE],
]

test.each(bySample)('%s has exactly its listed cost', (route, expected) =>
  expectSampleCost(app, route, expected),
)

test('a consume costs the same with five alerts, and the crossing of one what that of the notice below 10 % costs', async () => {
  const costs = []
  for (const alerts of [[], [500, 400, 300, '20%', 1].map((below) => ({ below }))]) {
    const person = await newBuyer(app)
    await app.request('PUT', '/v1/user/alerts', { token: person.accessToken, json: { alerts } })
    await spendTo(app, person, alerts.length > 0 ? 505 : 105)
    const ordinary = await cost(() => consume(app, person.key, { units: 1, requestId: uuidv7() }), 200)
    const crossing = await cost(() => consume(app, person.key, { units: 5, requestId: uuidv7() }), 200)
    costs.push({ ordinary, crossing })
  }
  expect(costs[1]).toEqual(costs[0])
  expect(costs[1]?.ordinary).toEqual({
    ...nothingElse,
    dynamodb: { UpdateItem: 1 },
    readUnits: 0,
    writeUnits: 1,
  })
})

test('a card that is declined costs three calls to Stripe, with all of its webhooks, and 12 are made for three tries', async () => {
  const person = await app.signUp()
  const made = []
  for (const number of ['4000000000000002', '4000000000009995', '4000000000009987']) {
    const card = await newCard(app, number)
    app.resetCalls()
    expect((await verify(app, person, card)).status).toBe(402)
    await double.flushWebhooks()
    made.push(app.calls().stripe)
  }
  // The customer is made with the first card, and its event is about its name and address.
  const customer = { 'POST /v1/customers': 1, 'POST /v1/customers/*': 1, 'GET /v1/customers/*': 1 }
  expect(made).toEqual([{ ...CANCELED, ...customer }, CANCELED, CANCELED])
})

test('the cost of every endpoint is listed', () => {
  const listed = [...table, ...bySample, ...OPERATOR_COSTS].map(([title]) => title.replace(/,.*/, ''))
  const without = rows.filter(({ routes }) => !routes.some((route) => listed.includes(route)))
  expect(without.map(rowKey)).toEqual([])
})

/** Stores accounts with a counter. With `due` they are below 1 % of their units, with auto-renewal off. */
async function plantAccounts(count: number, due = false): Promise<void> {
  const { table } = await app.ports()
  const template = await app.signUp()
  const [profile, quota] = await Promise.all(
    [keys.profile(template.accountId), keys.quota(template.accountId)].map((key) => table.get(key)),
  )
  const items = Array.from({ length: count }, (_, at) => {
    const id = `${due ? 'd' : 'c'}${at.toString(16).padStart(23, '0')}`
    const counter = { ...quota, ...keys.quota(id), ...(due && { r: 1, ...dueAt('QUOTA', id, Date.now()) }) }
    const flags = { bundleAutoRenewal: false, lowQuotaNotification: true }
    return due ? [counter, { ...profile, ...keys.profile(id), id, flags }] : [counter]
  }).flat()
  await app.fixtures.put(items)
}

/** The cost of one run of a job. */
async function jobCost(name: string): Promise<Cost> {
  app.resetCalls()
  await app.job(name)
  return app.calls()
}

describe('jobs', () => {
  const many = process.env.DEEP ? 20_000 : 2_000
  test(`check-quotas reads 2 units with nothing due, and settle-payments 4, even with ${many} accounts`, async () => {
    await plantAccounts(many)
    // A run reads one page of each shard of each kind of work, at half a unit each.
    const nothingDue = { ...nothingElse, dynamodb: { Query: 4 }, readUnits: 2, writeUnits: 0 }
    expect(await jobCost('check-quotas')).toEqual(nothingDue)
    // Payments, and refunds that operators have ordered.
    expect(await jobCost('settle-payments')).toEqual({ ...nothingDue, dynamodb: { Query: 8 }, readUnits: 4 })
  })

  test('the cost of check-quotas is proportional to the number of due accounts', async () => {
    const due = 200
    await plantAccounts(due, true)
    app.resetCalls()
    expect(await app.job('check-quotas')).toEqual({ notices: 0, renewed: 0, tried: 0, failed: 0 })
    const { readUnits, writeUnits, stripe } = app.calls()
    expect(stripe).toEqual({})
    // Each due account is read and removed from the index.
    expect([writeUnits, Math.floor(readUnits / due)]).toEqual([2 * due, 1])
    expect(readUnits).toBeLessThan(1.1 * due)
    expect(await jobCost('check-quotas')).toMatchObject({ readUnits: 2, writeUnits: 0 })
  })

  test.each<[string, string, () => Promise<unknown>, Cost]>([
    [
      'check-quotas, a notice',
      'check-quotas',
      async () => spendTo(app, await newBuyer(app), 50),
      // The mark by which operators find the account is an item with its place in an index.
      {
        dynamodb: { Query: 9, PutItem: 1, TransactWriteItems: 1, UpdateItem: 1 },
        readUnits: 5,
        writeUnits: 12,
      },
    ],
    [
      // As a notice, with an item of its own for the event.
      'check-quotas, an alert',
      'check-quotas',
      async () => {
        const person = await newBuyer(app)
        await app.request('PUT', '/v1/user/alerts', { token: person.accessToken, json: ALERTS })
        await spendTo(app, person, 150)
      },
      {
        dynamodb: { Query: 10, GetItem: 1, PutItem: 1, TransactWriteItems: 1, UpdateItem: 1 },
        readUnits: 7,
        writeUnits: 14,
      },
    ],
    [
      'tell-alerts, an alert',
      'tell-alerts',
      async () => {
        const person = await newBuyer(app)
        await app.request('PUT', '/v1/user/alerts', { token: person.accessToken, json: ALERTS })
        await spendTo(app, person, 150)
        await app.job('check-quotas')
      },
      {
        dynamodb: { Query: 8, GetItem: 1, UpdateItem: 1 },
        readUnits: 5,
        writeUnits: 2,
        events: { PutEvents: 1 },
      },
    ],
    [
      // One write numbers up to 50 events of an account; a transaction marks each as published and counts it in the
      // totals, and the first one begins the count of its use. One read is for the endpoints that want them.
      'publish-events, the events of a registration and of its confirmed address',
      'publish-events',
      async () => {
        await app.job('publish-events')
        const person = newPerson()
        await app.register(person)
        await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(person.email) } })
      },
      {
        dynamodb: { Query: 10, GetItem: 1, TransactWriteItems: 2, UpdateItem: 1 },
        readUnits: 7,
        writeUnits: 14,
        events: { PutEvents: 2 },
      },
    ],
    [
      'check-quotas, a renewal',
      'check-quotas',
      async () => {
        const person = await newBuyer(app)
        await spendTo(app, person, 10)
        await app.job('check-quotas')
        await spendTo(app, person, 9)
      },
      {
        // One read and two writes of these are for the budget of calls to Stripe.
        dynamodb: { Query: 10, GetItem: 5, PutItem: 2, DeleteItem: 1, TransactWriteItems: 3, UpdateItem: 3 },
        readUnits: 11,
        writeUnits: 48,
        stripe: CONFIRMED,
      },
    ],
    [
      'settle-payments, a charge whose answer was lost',
      'settle-payments',
      async () => {
        const person = await newBuyer(app)
        double.addFault({ fault: 'torn-body', match: 'POST /v1/payment_intents/*/confirm' })
        await buy(app, person)
        double.clearFaults()
        app.advance(60_000)
      },
      {
        dynamodb: { Query: 13, GetItem: 5, PutItem: 1, TransactWriteItems: 1, UpdateItem: 3 },
        readUnits: 12,
        writeUnits: 27,
        stripe: { 'GET /v1/payment_intents/*': 1 },
      },
    ],
  ])('%s has exactly its listed cost', async (_, name, prepare, expected) => {
    await prepare()
    expect(await jobCost(name)).toEqual({ ...nothingElse, ...expected })
  })
})

test.each([
  [2.1, 'without ids of the client', () => ({})],
  [2.2, 'with ids of the moment', () => ({ requestId: uuidv7() })],
])(
  'to reserve and settle takes %f write units in a flow %s, with all that the job and the archive write for it',
  async (most, _, idOf) => {
    const { key } = await withKey()
    // One reservation stays open, as in a flow whose reservations overlap.
    await reserve(app, key, { units: 1, ttlSeconds: 3600 })
    await app.job('expire-reservations')
    app.resetCalls()
    const PAIRS = 150
    for (let n = 0; n < PAIRS; n++) {
      app.advance(100)
      const { body } = await reserve(app, key, { units: 3, ...idOf() })
      await settle(app, key, body.id, { units: 2, ...idOf() })
    }
    await app.job('expire-reservations')
    const each = app.calls().writeUnits / PAIRS
    expect([each, each > 2 && each <= most]).toEqual([each, true])
  },
)
