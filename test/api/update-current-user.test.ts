import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { api } from '../../functions/api/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { stationBefore } from '../conformance/outage.ts'
import { startApp } from '../support/app.ts'
import {
  appCode,
  sessionStatuses,
  signInStatus,
  withTwoFactor,
  wrongAppCode,
} from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

/** A password by the rule, which the vault refuses all the same. */
const REFUSED = 'Refused123!'
app.stack.cognito.refusePassword(REFUSED)
const vault = stationBefore('AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER')

const MINUTE_MS = 60_000
const NEW = 'Changed1!'

const update = (token: string, json: unknown) => app.request('PUT', '/api/users/current', { token, json })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(api.updateCurrentUser, answer, code)
const nameOf = async (token: string) => (await app.request('GET', '/api/users/current', { token })).body.name

test('200: a new name, answered in EMCP’s four fields and shown by every dialect', async () => {
  const { accountId, username, email, accessToken: token } = await app.signUp()
  app.advance(1_000)
  const { status, body } = await update(token, { name: 'John von Doe' })
  expect({ status, body }).toEqual({
    status: 200,
    body: { email, name: 'John von Doe', createdAt: '2026-11-21T12:00:00.000Z', _id: accountId },
  })
  expect(await nameOf(token)).toBe('John von Doe')
  const greencloud = await app.request('GET', '/v1/user', { token })
  expect(greencloud.body).toMatchObject({ name: 'John von', surname: 'Doe' })
  const skylink = await app.request('GET', `/rest/users/${username}`, { token })
  expect(skylink.body.content.update).toBe(new Date().toISOString())
})

test.each(['x', 'Zoë 山田 ☂', 'O’Hara-Smith, Jr.', 'x'.repeat(100)])('200: the name %j', async (name) => {
  const { accessToken } = await app.signUp()
  expect((await update(accessToken, { name })).body.name).toBe(name)
  expect(await nameOf(accessToken)).toBe(name)
})

test('200: an empty object changes nothing and answers the account', async () => {
  const { username, accessToken } = await app.signUp()
  const { status, body } = await update(accessToken, {})
  expect([status, body.name]).toEqual([200, username])
})

test('200: the old password allows a new one, however old the sign-in, and ends every session', async () => {
  const person = await app.signUp()
  app.advance(14 * MINUTE_MS)
  const other = await app.login(person)
  const json = { oldPassword: person.password, newPassword: NEW }
  const { status, body } = await update(person.accessToken, json)
  expect([status, Object.keys(body).sort()]).toEqual([200, ['_id', 'createdAt', 'email', 'name']])
  for (const session of [person, other]) expect(await sessionStatuses(app, session)).toEqual([401, 401])
  expect(await signInStatus(app, person, person.password)).toBe(401)
  expect(await sessionStatuses(app, await app.login({ ...person, password: NEW }))).toEqual([200, 200])
})

test('200: name and password together', async () => {
  const person = await app.signUp()
  const json = { name: 'Ada Love', oldPassword: person.password, newPassword: NEW }
  expect((await update(person.accessToken, json)).body.name).toBe('Ada Love')
  expect(await nameOf((await app.login({ ...person, password: NEW })).accessToken)).toBe('Ada Love')
})

test('200: with two factors on a new password needs the old one and a code, and a name needs neither', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  expect((await update(person.accessToken, { name: 'Ada Love' })).status).toBe(200)
  const json = { oldPassword: person.password, newPassword: NEW, twofa: appCode(person.seed) }
  expect((await update(person.accessToken, json)).status).toBe(200)
  expect(await signInStatus(app, person, NEW, appCode(person.seed, 1))).toBe(200)
})

test('401: with two factors on neither name nor password changes without a code or with a wrong one', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const json = { name: 'Ada Love', oldPassword: person.password, newPassword: NEW }
  refused(await update(person.accessToken, json), 'two_factor_required')
  refused(
    await update(person.accessToken, { ...json, twofa: wrongAppCode(person.seed) }),
    'two_factor_invalid',
  )
  expect(await nameOf(person.accessToken)).toBe(person.username)
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
})

test('403: with a wrong old password neither name nor password changes, even after a recent sign-in', async () => {
  const person = await app.signUp()
  const json = { name: 'Ada Love', oldPassword: 'Wrong123!', newPassword: NEW }
  refused(await update(person.accessToken, json), 'wrong_password')
  expect(await nameOf(person.accessToken)).toBe(person.username)
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

test('429: after five wrong two-factor codes even a right code is refused', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const json = { oldPassword: person.password, newPassword: NEW }
  for (const nth of [0, 1, 2, 3, 4]) {
    const twofa = wrongAppCode(person.seed, nth)
    refused(await update(person.accessToken, { ...json, twofa }), 'two_factor_invalid')
  }
  const locked = await update(person.accessToken, { ...json, twofa: appCode(person.seed) })
  refused(locked, 'two_factor_locked')
  expect(locked.headers.get('retry-after')).toBe('900')
})

const NAME_RULE = 'must have 1 to 100 characters and no control characters'
const BOTH = 'goes with oldPassword, both or neither'

/** One person is shared by all refused requests, because these change nothing. */
let shared: Promise<SignedInPerson> | undefined
const bystander = () => (shared ??= app.signUp())

test.each([
  ['a new password alone', { newPassword: NEW }, 'newPassword', BOTH],
  ['an old password alone', { oldPassword: 'Hello123!' }, 'newPassword', BOTH],
  ['an old password and a name', { oldPassword: 'Hello123!', name: 'Ada' }, 'newPassword', BOTH],
  [
    'a new password without a symbol',
    { oldPassword: 'Hello123!', newPassword: 'Hello1234' },
    'newPassword',
    'must have one of ! @ # $ % & *',
  ],
  [
    'a new password of seven characters',
    { oldPassword: 'Hello123!', newPassword: 'Hello1!' },
    'newPassword',
    'must have at least 8 characters',
  ],
  ['a name of spaces', { name: '   ' }, 'name', NAME_RULE],
  ['a name of 101 characters', { name: 'x'.repeat(101) }, 'name', 'must have at most 100 characters'],
  ['a newline in the name', { name: 'Ada\nLove' }, 'name', NAME_RULE],
  ['a zero width space in the name', { name: 'Ada\u200bLove' }, 'name', NAME_RULE],
  ['a name that is null', { name: null }, 'name', 'must be of type string'],
  ['an e-mail address', { email: 'a@mail.example' }, 'email', 'is not a field of this request'],
  ['a balance', { name: 'Ada', balance: 100 }, 'balance', 'is not a field of this request'],
])('400: %s, and nothing changes', async (_, json, field, message) => {
  const person = await bystander()
  const answer = await update(person.accessToken, json)
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
  expect(await nameOf(person.accessToken)).toBe(person.username)
  expect(await signInStatus(app, person, 'Hello123!')).toBe(200)
})

test('an empty name, as a form sends it, keeps the name', async () => {
  const person = await bystander()
  const { status, body } = await update(person.accessToken, { name: '', oldPassword: '', newPassword: '' })
  expect([status, body.name]).toEqual([200, person.username])
})

test('400: a password that only the vault refuses leaves the old password', async () => {
  const person = await app.signUp()
  const json = { oldPassword: person.password, newPassword: REFUSED }
  refused(await update(person.accessToken, json), 'password_refused')
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

test('409: of ten concurrent changes one wins, with its name and its password', async () => {
  const person = await app.signUp()
  const wanted = Array.from({ length: 10 }, (_, n) => ({ name: `Name ${n}`, newPassword: `Parallel${n}!` }))
  const answers = await Promise.all(
    wanted.map((each) => update(person.accessToken, { ...each, oldPassword: person.password })),
  )
  const [winner, ...more] = wanted.filter((_, n) => answers[n]?.status === 200)
  expect(more).toEqual([])
  for (const loser of answers.filter(({ status }) => status !== 200)) {
    // A loser is refused by authentication, by the vault's new password or by the write, depending on its
    // timing.
    const code = loser.body.type.split(':').at(-1)
    expect([
      'session_ended',
      'wrong_password',
      'password_locked',
      'conflict',
      'temporarily_unavailable',
    ]).toContain(code)
    refused(loser, code)
  }
  // As many wrong passwords as there were losers lock this network for seconds.
  app.advance(60_000)
  const later = await app.login({ ...person, password: winner?.newPassword ?? '' })
  expect(await nameOf(later.accessToken)).toBe(winner?.name)
})

test('503: while the vault is down name and password stay as they are', async () => {
  const person = await app.signUp()
  vault.answer('cut')
  const json = { name: 'Ada Love', oldPassword: person.password, newPassword: NEW }
  const answer = await update(person.accessToken, json)
  vault.answer()
  refused(answer, 'temporarily_unavailable')
  expect(await nameOf(person.accessToken)).toBe(person.username)
  expect(await signInStatus(app, person, person.password)).toBe(200)
})
