import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { api } from '../../functions/api/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { expectBooksAgree, newBuyer, spendTo } from '../support/buyers.ts'
import {
  appCode,
  sessionStatuses,
  signInStatus,
  withTwoFactor,
  wrongAppCode,
} from '../support/credentials.ts'
import { createKey, defaultKey, liveKeys } from '../support/keys.ts'
import { answerOf, signInWith, withPasskey } from '../support/passkeys.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import { counterOf } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const MINUTE_MS = 60_000

const restore = (json: unknown) => app.request('POST', '/api/users/restore', { json })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(api.restore, answer, code)

async function deactivated<P extends SignedInPerson>(person: P): Promise<P> {
  const { status } = await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  expect(status).toBe(200)
  return person
}

async function statusOf({ accountId }: SignedInPerson) {
  return (await (await app.ports()).table.get(keys.profile(accountId)))?.status
}

test.each<[string, (person: SignedInPerson) => object]>([
  ['e-mail address', ({ email }) => ({ email })],
  ['e-mail address in another case', ({ email }) => ({ email: email.toUpperCase() })],
  ['username', ({ username }) => ({ username })],
])('200: with %s and password the account is as before', async (_, name) => {
  const person = await app.signUp()
  const key = await createKey(app, person)
  const before = await app.request('GET', '/v1/user', { token: person.accessToken })
  await deactivated(person)
  const { status, body } = await restore({ ...name(person), password: person.password })
  expect({ status, body }).toEqual({ status: 200, body: { message: 'Account is restored' } })
  const again = await app.login(person)
  expect((await app.request('GET', '/v1/user', { token: again.accessToken })).body).toEqual(before.body)
  const texts = [await defaultKey(app, again), key.key]
  expect(await liveKeys(app, again, texts)).toEqual(texts)
})

test('200: tokens from before the deactivation stay revoked, and a later sign-in works', async () => {
  const mine = await app.signUp()
  const other = await app.login(mine)
  await deactivated(mine)
  await restore({ email: mine.email, password: mine.password })
  for (const session of [mine, other]) expect(await sessionStatuses(app, session)).toEqual([401, 401])
  expect(await sessionStatuses(app, await app.login(mine))).toEqual([200, 200])
})

test('200: a restore does not sign in: the answer has no tokens, and those of the vault are revoked', async () => {
  const person = await deactivated(await app.signUp())
  app.resetCalls()
  const { body } = await restore({ email: person.email, password: person.password })
  expect(Object.keys(body)).toEqual(['message'])
  expect(app.calls().cognito).toEqual({ AdminInitiateAuth: 1, RevokeToken: 1 })
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  expect(profile?.sessions).toEqual({})
})

test('200: an active account stays active, with its sessions', async () => {
  const person = await app.signUp()
  expect((await restore({ email: person.email, password: person.password })).status).toBe(200)
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
})

test('200: a bundle that ran out meanwhile renews after the restore, and not before', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 5)
  await deactivated(person)
  expect(await app.job('check-quotas')).toMatchObject({ renewed: 0, tried: 0, failed: 0 })
  expect((await counterOf(app, person)).due).toBeUndefined()
  await restore({ email: person.email, password: person.password })
  expect(await app.job('check-quotas')).toMatchObject({ renewed: 1 })
  await expectBooksAgree(app, { ...person, ...(await app.login(person)) })
})

test('200: ten concurrent restores all succeed', async () => {
  const { email, password, ...person } = await deactivated(await app.signUp())
  const answers = await Promise.all(Array.from({ length: 10 }, () => restore({ email, password })))
  expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
  expect(await statusOf({ email, password, ...person })).toBe('active')
})

test('200: with two factors on a code of the app or a recovery code restores, and is used up', async () => {
  for (const kind of ['app', 'recovery']) {
    const person = await deactivated(await withTwoFactor(app, await app.signUp()))
    const twofa = kind === 'app' ? appCode(person.seed) : person.recoveryCodes[0]
    const { email, password } = person
    expect((await restore({ email, password, twofa })).status).toBe(200)
    expect(await statusOf(person)).toBe('active')
    expect(await signInStatus(app, person, password, twofa)).toBe(401)
  }
})

test('401: with two factors on the account stays deactivated for the password alone, a wrong or a used code', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const { email, password } = person
  const used = appCode(person.seed)
  expect(await signInStatus(app, person, password, used)).toBe(200)
  await deactivated(person)
  refused(await restore({ email, password }), 'two_factor_required')
  for (const twofa of [wrongAppCode(person.seed), used]) {
    refused(await restore({ email, password, twofa }), 'two_factor_invalid')
  }
  expect(await statusOf(person)).toBe('deactivated')
})

test('401: a wrong password and an unknown name have the same answer and cost the same calls', async () => {
  const person = await deactivated(await app.signUp())
  const ask = async (email: string) => {
    app.resetCalls()
    const answer = await restore({ email, password: 'Wrong123!' })
    refused(answer, 'invalid_credentials')
    return app.calls()
  }
  expect(await ask(newPerson().email)).toEqual(await ask(person.email))
  expect(await statusOf(person)).toBe('deactivated')
})

test('401: another account’s password', async () => {
  const person = await deactivated(await app.signUp({ password: 'Mine123!' }))
  const other = await app.signUp()
  refused(await restore({ email: person.email, password: other.password }), 'invalid_credentials')
  expect(await statusOf(person)).toBe('deactivated')
})

test('403: the owner cannot restore a suspended account', async () => {
  const person = await app.signUp()
  const { table } = await app.ports()
  await table.update(keys.profile(person.accountId), expr`SET #status = ${'suspended'}`)
  refused(await restore({ email: person.email, password: person.password }), 'account_suspended')
  refused(await restore({ email: person.email, password: 'Wrong123!' }), 'invalid_credentials')
  expect(await statusOf(person)).toBe('suspended')
})

test('429: after five wrong two-factor codes even a right code is refused, and the account stays deactivated', async () => {
  const person = await deactivated(await withTwoFactor(app, await app.signUp()))
  const { email, password, seed } = person
  for (const nth of [0, 1, 2, 3, 4]) {
    refused(await restore({ email, password, twofa: wrongAppCode(seed, nth) }), 'two_factor_invalid')
  }
  const locked = await restore({ email, password, twofa: appCode(seed) })
  refused(locked, 'two_factor_locked')
  expect(locked.headers.get('retry-after')).toBe('900')
  expect(await statusOf(person)).toBe('deactivated')
  app.advance(15 * MINUTE_MS)
  expect((await restore({ email, password, twofa: appCode(seed) })).status).toBe(200)
})

test.each([
  ['neither name', {}, 'email', 'send either email or username'],
  ['both names', { email: 'a@mail.example', username: 'ada' }, 'email', 'send either email or username'],
  ['no password', { username: 'ada', password: undefined }, 'password', 'is required'],
  ['a status', { username: 'ada', status: 0 }, 'status', 'is not a field of this request'],
])('400: %s', async (_, json, field, message) => {
  const answer = await restore({ password: 'Hello123!', ...json })
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
})

test('503: while the database is down the account stays deactivated, and the vault’s tokens are revoked', async () => {
  const person = await deactivated(await app.signUp())
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  app.resetCalls()
  const answer = await restore({ email: person.email, password: person.password })
  app.stack.dynamo.clearFaults()
  refused(answer, 'temporarily_unavailable')
  expect(app.calls().cognito).toEqual({ AdminInitiateAuth: 1, RevokeToken: 1 })
  expect(await statusOf(person)).toBe('deactivated')
})

test('200: a passkey takes the place of the code where two-factor authentication is on', async () => {
  const person = await deactivated(await withPasskey(app, await withTwoFactor(app, await app.signUp())))
  const { email, password } = person
  refused(await restore({ email, password }), 'two_factor_required')
  const passkey = await answerOf(app, person)
  expect((await restore({ email, password, passkey })).status).toBe(200)
  expect(await statusOf(person)).toBe('active')
  // A repeat is the same request, and the answer signs nobody in any more.
  expect((await restore({ email, password, passkey })).status).toBe(200)
  expect((await signInWith(app, passkey)).status).toBe(401)
})
