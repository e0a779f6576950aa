import { describe, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { appCode, enrol, wrongAppCode } from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'
import { rowKey, type Sample, sampleOf, tokenOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { atStripe } from '../support/stripe.ts'
import { targetOf } from './contract.ts'

/**
 * How the repeat of a request that has succeeded is answered, for a client that lost the answer and sends the very
 * same request again.
 * - `same`: with the same status and body, and nothing is done twice.
 * - `fresh`: with the same status and another token or seed, which is as good as the lost one.
 * - `named`: as `same` with an Idempotency-Key. Without one the request is done again, as `why` says.
 */
type Answer = 'same' | 'fresh' | 'named'

/** Every row that writes, with the reason for its answer. A new row needs an entry. */
const REPEATS: Record<string, [Answer, why: string]> = {
  'api.deactivate': ['same', 'the account is blocked; any genuine token of it may learn that'],
  'api.deletePaymentMethod': ['same', 'the mark of the removed card is kept for 30 days'],
  'api.restore': ['same', 'an active account needs nothing, and so no second code'],
  'api.updateCurrentUser': ['same', 'the password that the account has proves that the change was made'],
  'api.verifyPayment': ['same', 'the profile names the request that has proved a card last'],
  'rest.createUser': ['same', 'the names and the password prove whose account it is, for 50 minutes'],
  'rest.updateUser': ['same', 'the profile keeps the name before, which is still in the path'],
  'v1.activate': ['same', 'the code is kept until it expires, marked as used'],
  'v1.buy': ['named', 'a customer may refill twice, so only ten seconds make a second click'],
  'v1.changeBundle': ['same', 'nobody changes to the bundle that the account holds by that very change'],
  'v1.changeCard': ['same', 'the profile names the request that has proved a card last'],
  'v1.changePassword': ['same', 'the password that the account has proves that the change was made'],
  'v1.consume': ['same', 'a request id is spent once'],
  'v1.consumeBatch': ['same', 'a request id is spent once'],
  'v1.createKey': ['named', 'two keys may have one name, so a second key is made'],
  'v1.deleteKey': ['same', 'the mark of the revoked key is kept for 48 hours'],
  'v1.enrolTwoFactor': [
    'fresh',
    'a seed counts for nothing before its first code, so another takes its place',
  ],
  'v1.login': ['fresh', 'the session of the lost answer ends by itself; a second code must be another one'],
  'v1.logout': ['same', 'the session of a genuine token is ended'],
  'v1.refresh': ['fresh', 'a session may have many access tokens'],
  'v1.removeTwoFactor': ['same', 'the profile keeps a MAC of the code that switched two factors off'],
  'v1.requestPasswordReset': ['same', 'one request for an address waits at a time'],
  'v1.resend': ['same', 'one request for an address waits at a time'],
  'v1.resetPassword': ['same', 'the code stays bound to its request until it expires'],
  'v1.rotateKey': ['named', 'a key may be rotated twice; the key of the lost answer is refused then'],
  'v1.setFlags': ['same', 'the flags are set to what they are'],
  'v1.setRenewal': ['same', 'the limits are set to what they are'],
  'v1.signUpForBundle': [
    'same',
    'nobody signs up for the bundle that the account holds by that very sign-up',
  ],
  'v1.verifyTwoFactor': ['same', 'the recovery codes follow from the seed, and the code proves who asks'],
  'webhooks.stripe': ['same', 'an event is worked on once'],
}

const app = await startApp()

const writes = ({ routes }: Placed) => routes.some((key) => !key.startsWith('GET '))
const writers = rows.filter(writes)

test('every row that writes says how its repeat is answered', () => {
  expect(Object.keys(REPEATS).sort()).toEqual(writers.map(rowKey).sort())
})

/** Sends the sample of a row. */
function send(row: Placed, sample: Sample, token: string | undefined, key?: string): Promise<TestAnswer> {
  const [method, target] = targetOf(row.routes.find((each) => !each.startsWith('GET '))!, sample.path ?? {})
  const named = key === undefined ? {} : { 'idempotency-key': key }
  if (sample.raw) return app.request(method, target, { ...sample.raw })
  return app.request(method, target, {
    token,
    headers: named,
    ...(sample.body && { json: sample.body }),
  })
}

/** What a request that is done twice would do twice: items, mails, payments, ledger entries and card tries. */
async function traces(person: SignedInPerson) {
  const { table } = await app.ports()
  const items = await table.list(keys.account(person.accountId), '')
  const profile = items.find(({ sk }) => sk === '#PROFILE')
  const { intents, cards } = await atStripe(app, person)
  return {
    items: items.map(({ sk }) => sk),
    mails: app.stack.mail.messages().length,
    payments: intents.map(({ id }) => id),
    cards,
    counts: [profile?.ledgerSeq, profile?.keyCount, profile?.nextKeySlot, profile?.cardTriesMs],
    sessions: profile?.sessions,
  }
}

/** A client that got no answer waits half a minute before it sends the request again. */
const LATER_MS = 30_000

const answered = (...answers: Answer[]) =>
  writers.map((row) => [rowKey(row), row] as const).filter(([key]) => answers.includes(REPEATS[key]![0]))

const subjectOf = async (row: Placed) => {
  const person = await app.signUp()
  const sample = await sampleOf(app, row, person)
  return { person, sample, token: await tokenOf(app, row, person) }
}

test.each(answered('same', 'named'))(
  '%s: a repeat has the same answer, and nothing is done twice',
  async (name, row) => {
    const { person, sample, token } = await subjectOf(row)
    const key = REPEATS[name]![0] === 'named' ? 'sent-once' : undefined
    const first = await send(row, sample, token, key)
    expect(first.status).toBeLessThan(300)
    const before = await traces(person)
    app.advance(LATER_MS)
    const second = await send(row, sample, token, key)
    expect([second.status, second.body]).toEqual([first.status, first.body])
    expect(await traces(person)).toEqual(before)
  },
)

test.each(answered('fresh', 'named'))(
  '%s: without a name for the request a repeat succeeds too',
  async (_, row) => {
    const { sample, token } = await subjectOf(row)
    const first = await send(row, sample, token)
    app.advance(LATER_MS)
    expect((await send(row, sample, token)).status).toBe(first.status)
  },
)

test.each(answered('named'))(
  '%s: another request with its Idempotency-Key is refused with 422',
  async (_, row) => {
    const { sample, token } = await subjectOf(row)
    await send(row, sample, token, 'sent-once')
    const headers = { 'idempotency-key': 'sent-once' }
    const { status } = await app.request('POST', '/v1/keys', { token, json: { name: 'another' }, headers })
    expect(status).toBe(422)
  },
)

describe('what looks like a repeat, but is none', () => {
  test('a session that was ended without a change of password does not learn that the password was changed', async () => {
    const person = await app.signUp()
    await app.request('POST', '/v1/auth/logout', { token: person.accessToken })
    const json = { password: 'Another1!', oldPassword: person.password }
    const { status, body } = await app.request('PUT', '/v1/user/password', {
      token: person.accessToken,
      json,
    })
    expect([status, body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
  })

  test('an expired token repeats nothing', async () => {
    const { accessToken: token } = await app.signUp()
    await app.request('PUT', '/api/users/current/deactivate', { token })
    app.advance(15 * 60_000)
    const { status } = await app.request('PUT', '/api/users/current/deactivate', { token })
    expect(status).toBe(401)
  })

  test('the code that switched two factors on shows the recovery codes to no later guess', async () => {
    const person = await app.signUp()
    const seed = await enrol(app, person)
    const verify = (code: string) =>
      app.request('POST', '/v1/auth/verify2FA', { token: person.accessToken, json: { code } })
    const code = appCode(seed)
    const { body } = await verify(code)
    const guesses = await Promise.all([0, 1, 2, 3].map((nth) => verify(wrongAppCode(seed, nth))))
    expect(guesses.map(({ status }) => status)).toEqual([409, 409, 409, 409])
    const json = { email: person.email, password: person.password, twofa: body.recoveryCodes[0] }
    await app.request('POST', '/v1/auth/login', { json })
    expect((await verify(code)).status).toBe(409)
  })

  test('a card that was removed or declined since is proved again', async () => {
    const person = await app.signUp()
    const verify = () =>
      app.request('POST', '/api/users/current/verify-payment', {
        token: person.accessToken,
        json: { paymentMethod: 'pm_card_visa' },
      })
    await verify()
    const [first] = (await atStripe(app, person)).cards
    const token = person.accessToken
    await app.request('DELETE', `/api/users/current/payment-method/${first}`, { token })
    expect((await verify()).status).toBe(200)
    expect((await atStripe(app, person)).cards).toHaveLength(1)
    expect((await atStripe(app, person)).intents).toHaveLength(2)
  })
})
