import { describe, expect, test } from 'vitest'
import type { ZodMiniObject } from 'zod/mini'
import { ROLES } from '../../core/operators/operator.ts'
import { keys } from '../../core/table/keys.ts'
import type { Placed } from '../../functions/http/route.ts'
import { startApp } from '../support/app.ts'
import { appCode, enrol, wrongAppCode } from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'
import { type Sample, sampleOf, tokenOf } from '../support/samples.ts'
import type { TestAnswer } from '../support/send.ts'
import { atStripe } from '../support/stripe.ts'
import { expectContract } from './contract.ts'
import { REPEATS, type RepeatAnswer, sendSample, writers } from './repeats.ts'

const app = await startApp()

test('every row that writes says how its repeat is answered', () => {
  expect(Object.keys(REPEATS).sort()).toEqual(writers.map(([name]) => name).sort())
})

/** What a request that is done twice would do twice: items, mails, payments, ledger entries and card tries. */
async function traces(person: SignedInPerson) {
  const { table } = await app.ports()
  const items = await table.list(keys.account(person.accountId), '')
  const profile = items.find(({ sk }) => sk === '#PROFILE')
  const { intents, cards } = await atStripe(app, person)
  const audited = await Promise.all(ROLES.map((role) => table.list(`OPERATOR#local-${role}`, 'AUDIT#')))
  return {
    items: items.map(({ sk }) => sk),
    audited: audited.map((entries) => entries.length),
    mails: app.stack.mail.messages().length,
    payments: intents.map(({ id }) => id),
    cards,
    counts: [profile?.ledgerSeq, profile?.keyCount, profile?.nextKeySlot, profile?.cardTriesMs],
    sessions: profile?.sessions,
  }
}

/** A client that got no answer waits half a minute before it sends the request again. */
const LATER_MS = 30_000

const answered = (...answers: RepeatAnswer[]) =>
  writers.filter(([key]) => answers.some((answer) => answer === REPEATS[key]?.[0]))

/** A person with input by which the row succeeds. */
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
    const first = await sendSample(app, row, sample, token, key)
    expect(first.status).toBeLessThan(300)
    const before = await traces(person)
    app.advance(LATER_MS)
    const second = await sendSample(app, row, sample, token, key)
    expect([second.status, withoutReplays(second.body)]).toEqual([first.status, first.body])
    expect(await traces(person)).toEqual(before)
  },
)

/** A body without the members that tell a repeat from its first request. */
const withoutReplays = (body: unknown) =>
  JSON.parse(JSON.stringify(body ?? null), (name, value) => (name === 'replayed' ? undefined : value)) ??
  undefined

/** The rows that take a name for the request: those that move money or units, or make a key. */
const naming = writers.filter(
  ([, { headers }]) => headers && 'idempotency-key' in (headers as ZodMiniObject).shape,
)

test.each(naming)('%s: the answer of a named request says whether it is a repeat', async (_, row) => {
  const { sample, token } = await subjectOf(row)
  const [first, second] = [
    await sendSample(app, row, sample, token, ...namesOf(sample)),
    await sendSample(app, row, sample, token, ...namesOf(sample)),
  ]
  expect(second.status).toBe(first.status)
  const headers = [first, second].map((answer) => answer.headers.get('idempotent-replayed'))
  // A batch whose second request is refused twice is not a repeat as a whole.
  expect(headers).toEqual([null, row.name === 'consumeBatch' ? null : 'true'])
  for (const answer of [first, second]) expectContract(row, answer)
  if (second.text === '') return
  expect(first.text).not.toContain('replayed')
  expect((second.body.answers?.[0] ?? second.body).replayed).toBe(true)
})

/** The Idempotency-Key for a sample, unless the sample names its request in the body. */
const namesOf = ({ body = {} }: Sample): [string?] => ('requestId' in body ? [] : ['sent-once'])

test('a repeat of a card that was declined says so too', async () => {
  const { accessToken: token } = await app.signUp()
  const ask = () =>
    app.request('POST', '/api/users/current/verify-payment', {
      token,
      json: { paymentMethod: 'pm_card_chargeDeclined' },
      headers: { 'idempotency-key': 'sent-once' },
    })
  const [first, second] = [await ask(), await ask()]
  const told = ({ status, headers, body }: TestAnswer) => [
    status,
    headers.get('idempotent-replayed'),
    body.replayed,
  ]
  expect([told(first), told(second)]).toEqual([
    [402, null, undefined],
    [402, 'true', true],
  ])
})

test.each(answered('fresh', 'named'))(
  '%s: without a name for the request a repeat succeeds too',
  async (_, row) => {
    const { sample, token } = await subjectOf(row)
    const first = await sendSample(app, row, sample, token)
    app.advance(LATER_MS)
    expect((await sendSample(app, row, sample, token)).status).toBe(first.status)
  },
)

test.each(answered('refused'))('%s: a repeat is refused, and nothing is done', async (_, row) => {
  const { person, sample, token } = await subjectOf(row)
  expect((await sendSample(app, row, sample, token)).status).toBeLessThan(300)
  const before = await traces(person)
  expect((await sendSample(app, row, sample, token)).status).toBe(row.auth === 'operator' ? 409 : 401)
  expect(await traces(person)).toEqual(before)
})

test.each(answered('named'))(
  '%s: another request with its Idempotency-Key is refused with 422',
  async (_, row) => {
    const { sample, token } = await subjectOf(row)
    await sendSample(app, row, sample, token, 'sent-once')
    const headers = { 'idempotency-key': 'sent-once' }
    // Operators' keys have a space of their own.
    const status =
      row.auth === 'operator'
        ? (await sendSample(app, row, otherReason(sample), token, 'sent-once')).status
        : (await app.request('POST', '/v1/keys', { token, json: { name: 'another' }, headers })).status
    expect(status).toBe(422)
  },
)

const otherReason = ({ body, ...sample }: Sample): Sample => ({
  ...sample,
  body: { ...body, reason: 'another ticket' },
})

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
    const { status, body } = await app.request('PUT', '/api/users/current/deactivate', { token })
    expect([status, body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
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
