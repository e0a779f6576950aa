import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { claims, startApp } from '../support/app.ts'
import { appCode, withTwoFactor, wrongAppCode } from '../support/credentials.ts'
import { newPerson, type Person } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { accountIdOf } from '../support/state.ts'

const app = await startApp()

const MINUTE_MS = 60_000

const login = (json: unknown) => app.request('POST', '/v1/auth/login', { json })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.login, answer, code)
const protectedPerson = async () => withTwoFactor(app, await app.signUp())

const accountStatus = async (token: string) =>
  (await app.request('GET', '/api/users/current', { token })).status

async function setStatus(accountId: string, status: string): Promise<void> {
  await (await app.ports()).table.update(keys.profile(accountId), expr`SET #status = ${status}`)
}

async function lastLogin({ username }: Person, token: string): Promise<string> {
  return (await app.request('GET', `/rest/users/${username}`, { token })).body.content.lastlogin
}

test('200: by e-mail address', async () => {
  const { email, password, accountId } = await app.signUp()
  const { status, body } = await login({ email, password })
  expect(status).toBe(200)
  expect(body).toEqual({
    accessToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
    refreshToken: expect.stringMatching(/^[\w.-]+$/),
    expiresIn: 900,
  })
  expect(claims(body.accessToken).username).toBe(accountId)
  expect(await accountStatus(body.accessToken)).toBe(200)
})

test.each([
  ['by e-mail address in another case', ({ email }: Person) => ({ email: email.toUpperCase() })],
  ['by username', ({ username }: Person) => ({ username })],
  ['by username in another case', ({ username }: Person) => ({ username: username.toUpperCase() })],
])('200: %s', async (_, name) => {
  const person = await app.signUp()
  const { status, body } = await login({ ...name(person), password: person.password })
  expect([status, claims(body.accessToken).username]).toEqual([200, person.accountId])
})

test('200: by e-mail address in another Unicode form', async () => {
  const { email, password } = await app.signUp({ email: 'ada@zoë.example' })
  expect((await login({ email: email.normalize('NFD'), password })).status).toBe(200)
})

test('200: lastlogin is the time of the newest sign-in; nothing else changes it', async () => {
  const registering = newPerson()
  expect((await app.register(registering)).body.content.lastlogin).toBe(null)
  const person = await app.signUp()
  app.advance(1_000)
  const signedInMs = Date.now()
  const { accessToken, refreshToken } = await app.login(person)
  app.advance(1_000)
  await login({ email: person.email, password: 'wrong' })
  await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
  expect(await lastLogin(person, accessToken)).toBe(new Date(signedInMs).toISOString())
})

test('200: an account can have twenty sessions, and one more ends the oldest', async () => {
  const person = await app.signUp()
  const sessions = [person]
  for (let count = 1; count < 20; count++) {
    app.advance(1_000)
    sessions.push(await app.login(person))
  }
  const [oldest, second] = sessions
  expect(await accountStatus(oldest!.accessToken)).toBe(200)
  app.advance(1_000)
  const newest = await app.login(person)
  expect(await accountStatus(oldest!.accessToken)).toBe(401)
  expect(await accountStatus(second!.accessToken)).toBe(200)
  expect(await accountStatus(newest.accessToken)).toBe(200)
  const { refreshToken } = oldest!
  expect((await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).status).toBe(401)
})

test('200: twenty concurrent sign-ins make twenty sessions', async () => {
  const person = await app.signUp()
  const sessions = await Promise.all(Array.from({ length: 20 }, () => app.login(person)))
  const answers = await Promise.all(sessions.map(({ accessToken }) => accountStatus(accessToken)))
  expect(answers).toEqual(Array(20).fill(200))
})

test('200: sessions older than 30 days are dropped from the account', async () => {
  const person = await app.signUp()
  app.advance(30 * 24 * 3_600_000)
  await app.login(person)
  const { sessions } = (await (await app.ports()).table.get(keys.profile(person.accountId))) ?? {}
  expect(Object.keys(sessions as object)).toHaveLength(1)
})

test('401: a wrong password and an unknown name have the same answer and cost the same calls', async () => {
  const { email, password } = await app.signUp()
  const tryLogin = async (json: unknown) => {
    app.resetCalls()
    const { status, body } = await login(json)
    const { requestId, ...problem } = body
    return { status, problem, calls: app.calls() }
  }
  const wrong = await tryLogin({ email, password: `${password}x` })
  const unknown = await tryLogin({ email: newPerson().email, password })
  expect(unknown).toEqual(wrong)
  expect(wrong).toMatchObject({ status: 401, problem: { type: 'urn:bursar:problem:invalid_credentials' } })
  expect(wrong.calls.cognito).toEqual({ AdminInitiateAuth: 1 })
})

test('401: another account’s password', async () => {
  const ada = await app.signUp({ password: 'Ada-1234!' })
  const eve = await app.signUp({ password: 'Eve-1234!' })
  expect((await login({ email: ada.email, password: eve.password })).status).toBe(401)
})

test('401: a password in another case', async () => {
  const { email, password } = await app.signUp()
  expect((await login({ email, password: password.toUpperCase() })).status).toBe(401)
})

test('403 email_unconfirmed: before the address is confirmed, and only the right password is told so', async () => {
  const person = newPerson()
  await app.register(person)
  const { email, username, password } = person
  expectError(v1.login, await login({ email, password: 'Wrong1234!' }), 'invalid_credentials')
  for (const name of [{ email }, { username }])
    expectError(v1.login, await login({ ...name, password }), 'email_unconfirmed')
  expect(app.stack.cognito.users()).not.toContain(await accountIdOf(app, username))
  await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(email) } })
  expect((await login({ email, password })).status).toBe(200)
})

test('wrong passwords of an account that nobody has confirmed lock as those of every other name', async () => {
  const person = newPerson()
  await app.register(person)
  const { email, password } = person
  const answers = []
  for (let nth = 0; nth < 5; nth++) answers.push(await login({ email, password: `Wrong${nth}!` }))
  answers.push(await login({ email, password }))
  expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401, 429])
})

test.each(['deactivated', 'suspended'])(
  '403: an account that is %s; only the right password reveals the status',
  async (state) => {
    const { accountId, email, password } = await app.signUp()
    await setStatus(accountId, state)
    const wrong = await login({ email, password: 'wrong' })
    const right = await login({ email, password })
    expect([wrong.status, wrong.body.type]).toEqual([401, 'urn:bursar:problem:invalid_credentials'])
    expect([right.status, right.body.type]).toEqual([403, `urn:bursar:problem:account_${state}`])
  },
)

test('403: the vault’s tokens of a refused sign-in are revoked, and its session is not stored', async () => {
  const { accountId, email, password } = await app.signUp()
  await setStatus(accountId, 'deactivated')
  const { table } = await app.ports()
  const before = await table.get(keys.profile(accountId))
  app.resetCalls()
  await login({ email, password })
  expect(app.calls().cognito).toEqual({ AdminInitiateAuth: 1, RevokeToken: 1 })
  expect(await table.get(keys.profile(accountId))).toEqual(before)
})

test.each([
  ['neither an e-mail address nor a username', {}, 'email', 'send either email or username'],
  ['both', { email: 'ada@mail.example', username: 'ada' }, 'email', 'send either email or username'],
  ['an invalid address', { email: 'ada' }, 'email', 'must be an e-mail address'],
  ['a username with a key’s prefix', { username: 'USERNAME#ada' }, 'username', /^must be 3 to 32/],
  ['no password', { username: 'ada', password: undefined }, 'password', 'is required'],
  [
    'a field that is none of these',
    { username: 'ada', otp: '123456' },
    'otp',
    'is not a field of this request',
  ],
])('400: %s', async (_, change, field, message) => {
  const { status, body } = await login({ password: 'Hello123!', ...change })
  expect([status, body.type]).toEqual([400, 'urn:bursar:problem:invalid_request'])
  expect(body.errors).toEqual([{ field, message: expect.stringMatching(message) }])
})

test('503: while the database is down no session is stored and no token released', async () => {
  const { email, password } = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  app.resetCalls()
  const { status, body } = await login({ email, password })
  app.stack.dynamo.clearFaults()
  expect([status, body.type]).toEqual([503, 'urn:bursar:problem:temporarily_unavailable'])
  expect(app.calls().cognito).toEqual({ AdminInitiateAuth: 1, RevokeToken: 1 })
})

test('200: with two factors on the password needs a code of the app, of this or a neighbouring time step', async () => {
  for (const steps of [0, 1]) {
    const { email, password, accountId, seed } = await protectedPerson()
    const { status, body } = await login({ email, password, twofa: appCode(seed, steps) })
    expect([status, claims(body.accessToken).username]).toEqual([200, accountId])
    expect(await accountStatus(body.accessToken)).toBe(200)
  }
})

test('200: a code of the previous time step is accepted if it is newer than the last used code', async () => {
  const { email, password, seed } = await protectedPerson()
  const twofa = appCode(seed)
  app.advance(30_000)
  expect((await login({ email, password, twofa })).status).toBe(200)
})

test.each([
  ['as shown', (code: string) => code],
  ['in upper case', (code: string) => code.toUpperCase()],
  ['without its hyphen', (code: string) => code.replace('-', '')],
])(
  '200: a recovery code %s works once in any spelling, and the other nine stay valid',
  async (_, spelled) => {
    const { email, password, recoveryCodes } = await protectedPerson()
    const [first = '', ...others] = recoveryCodes
    expect((await login({ email, password, twofa: spelled(first) })).status).toBe(200)
    refused(await login({ email, password, twofa: first }), 'two_factor_invalid')
    for (const twofa of others) expect((await login({ email, password, twofa })).status).toBe(200)
  },
)

test('200: a code is ignored if two factors are off', async () => {
  const { email, password } = await app.signUp()
  expect((await login({ email, password, twofa: '123456' })).status).toBe(200)
})

test('200: a right code before the fifth wrong one resets the count', async () => {
  const { email, password, seed, recoveryCodes } = await protectedPerson()
  const wrong = (nth: number) => login({ email, password, twofa: wrongAppCode(seed, nth) })
  for (const twofa of [recoveryCodes[0], recoveryCodes[1], appCode(seed)]) {
    for (const nth of [0, 1, 2, 3]) refused(await wrong(nth), 'two_factor_invalid')
    expect((await login({ email, password, twofa })).status).toBe(200)
  }
})

test('401: the right password without a code; its tokens are revoked and no session is stored', async () => {
  const { accountId, email, password } = await protectedPerson()
  const { table } = await app.ports()
  const before = await table.get(keys.profile(accountId))
  app.resetCalls()
  const answer = await login({ email, password })
  refused(answer, 'two_factor_required')
  expect(answer.body.accessToken).toBe(undefined)
  expect(app.calls().cognito).toEqual({ AdminInitiateAuth: 1, RevokeToken: 1 })
  expect(await table.get(keys.profile(accountId))).toEqual(before)
})

test('401: with a wrong password a right code is neither confirmed nor used up', async () => {
  const { email, seed, password } = await protectedPerson()
  const twofa = appCode(seed)
  refused(await login({ email, password: 'Wrong123!', twofa }), 'invalid_credentials')
  refused(await login({ email, password: 'Wrong123!', twofa: wrongAppCode(seed) }), 'invalid_credentials')
  refused(await login({ email, password: 'Wrong123!' }), 'invalid_credentials')
  expect((await login({ email, password, twofa })).status).toBe(200)
})

test('401: a wrong code, and a code or recovery code of another account; the tokens are revoked', async () => {
  const [person, other] = [await protectedPerson(), await protectedPerson()]
  const { email, password } = person
  for (const twofa of [wrongAppCode(person.seed), appCode(other.seed), other.recoveryCodes[0]]) {
    app.resetCalls()
    refused(await login({ email, password, twofa }), 'two_factor_invalid')
    expect(app.calls().cognito).toEqual({ AdminInitiateAuth: 1, RevokeToken: 1 })
  }
})

test('401: a used code, and a code of an earlier time step', async () => {
  const { email, password, seed } = await protectedPerson()
  app.advance(30_000)
  const [earlier, twofa] = [appCode(seed, -1), appCode(seed)]
  expect((await login({ email, password, twofa })).status).toBe(200)
  for (const stale of [twofa, earlier]) {
    refused(await login({ email, password, twofa: stale }), 'two_factor_invalid')
  }
})

test.each([-2, 2])('401: a code that is %i time steps from now', async (steps) => {
  const { email, password, seed } = await protectedPerson()
  app.advance(MINUTE_MS)
  refused(await login({ email, password, twofa: appCode(seed, steps) }), 'two_factor_invalid')
})

test('403: only the right password and code reveal that an account is deactivated', async () => {
  const { accountId, email, password, seed } = await protectedPerson()
  await setStatus(accountId, 'deactivated')
  refused(await login({ email, password }), 'two_factor_required')
  refused(await login({ email, password, twofa: wrongAppCode(seed) }), 'two_factor_invalid')
  refused(await login({ email, password, twofa: appCode(seed) }), 'account_deactivated')
})

test('429: after five wrong codes in a row right ones are refused for 15 minutes; open sessions stay live', async () => {
  const { email, password, seed, recoveryCodes, accessToken } = await protectedPerson()
  for (const nth of [0, 1, 2, 3, 4]) {
    refused(await login({ email, password, twofa: wrongAppCode(seed, nth) }), 'two_factor_invalid')
  }
  app.advance(MINUTE_MS)
  for (const twofa of [appCode(seed), recoveryCodes[0]]) {
    const locked = await login({ email, password, twofa })
    refused(locked, 'two_factor_locked')
    expect(locked.headers.get('retry-after')).toBe(String(14 * 60))
  }
  refused(await login({ email, password: 'Wrong123!', twofa: appCode(seed) }), 'invalid_credentials')
  expect(await accountStatus(accessToken)).toBe(200)
  app.advance(14 * MINUTE_MS)
  expect((await login({ email, password, twofa: appCode(seed) })).status).toBe(200)
})
