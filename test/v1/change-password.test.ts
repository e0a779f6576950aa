import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { stationBefore } from '../conformance/outage.ts'
import { claims, startApp } from '../support/app.ts'
import {
  appCode,
  resetCode,
  sessionStatuses,
  signInStatus,
  withTwoFactor,
  wrongAppCode,
} from '../support/credentials.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

/** A password by the rule, which the vault refuses all the same. */
const REFUSED = 'Refused123!'
app.stack.cognito.refusePassword(REFUSED)
const vault = stationBefore('AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER')

const MINUTE_MS = 60_000
const NEW = 'Changed1!'

const change = (token: string, json: unknown) => app.request('PUT', '/v1/user/password', { token, json })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.changePassword, answer, code)

async function expectChanged(person: SignedInPerson, { status, text }: TestAnswer): Promise<void> {
  expect([status, text]).toEqual([204, ''])
  expect([await signInStatus(app, person, person.password), await signInStatus(app, person, NEW)]).toEqual([
    401, 200,
  ])
}

/** Asserts that the old password works and that the caller's session is still live. */
async function expectUnchanged(person: SignedInPerson): Promise<void> {
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
  expect([await signInStatus(app, person, person.password), await signInStatus(app, person, NEW)]).toEqual([
    200, 401,
  ])
}

test('204: GreenCloud’s form works with a sign-in that is at most 10 minutes old', async () => {
  const person = await app.signUp()
  app.advance(10 * MINUTE_MS)
  await expectChanged(person, await change(person.accessToken, { password: NEW }))
})

test('204: with the old password, however old the sign-in', async () => {
  const person = await app.signUp()
  app.advance(14 * MINUTE_MS)
  await expectChanged(
    person,
    await change(person.accessToken, { password: NEW, oldPassword: person.password }),
  )
})

test('204: with a two-factor code, however old the sign-in', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  app.advance(14 * MINUTE_MS)
  const twofa = appCode(person.seed)
  expect((await change(person.accessToken, { password: NEW, twofa })).status).toBe(204)
  app.advance(30_000)
  expect(await signInStatus(app, person, NEW, appCode(person.seed))).toBe(200)
})

test('204: with a recovery code, which is used up', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const [first, second] = person.recoveryCodes
  expect((await change(person.accessToken, { password: NEW, twofa: first })).status).toBe(204)
  expect(await signInStatus(app, person, NEW, first)).toBe(401)
  expect(await signInStatus(app, person, NEW, second)).toBe(200)
})

test('204: every session is refused from the next request on, and a sign-in in the same second works', async () => {
  const mine = await app.signUp()
  const [other, stranger] = [await app.login(mine), await app.signUp()]
  const { refreshToken } = mine
  const refreshed = (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).body
  for (const session of [mine, other, refreshed])
    expect(await sessionStatuses(app, session)).toEqual([200, 200])
  expect((await change(mine.accessToken, { password: NEW })).status).toBe(204)
  const later = await app.login({ ...mine, password: NEW })
  for (const session of [mine, other, refreshed])
    expect(await sessionStatuses(app, session)).toEqual([401, 401])
  expect(claims(later.accessToken).auth_time).toBe(claims(mine.accessToken).auth_time)
  expect(await sessionStatuses(app, later)).toEqual([200, 200])
  expect(await sessionStatuses(app, stranger)).toEqual([200, 200])
})

test('204: a change to the same password ends every session too', async () => {
  const person = await app.signUp()
  expect((await change(person.accessToken, { password: person.password })).status).toBe(204)
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

test('204: a pending e-mail change is dropped, so that an intruder who began it does not get the account', async () => {
  const person = await app.signUp()
  const thief = newPerson()
  const json = { email: thief.email }
  const asked = await app.request('PUT', `/rest/users/${person.username}`, {
    token: person.accessToken,
    json,
  })
  expect(asked.status).toBe(200)
  await change(person.accessToken, { password: NEW })
  const code = app.mailedCode(thief.email)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(400)
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

test('204: a reset code that was mailed before is revoked', async () => {
  const person = await app.signUp()
  const code = await resetCode(app, person.email)
  await change(person.accessToken, { password: NEW })
  const json = { code, password: 'Another1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json })).status).toBe(400)
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

test('403: without a password or code if the sign-in is over 10 minutes old, even after a refresh', async () => {
  const person = await app.signUp()
  app.advance(10 * MINUTE_MS + 1)
  const { refreshToken } = person
  const { accessToken } = (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).body
  refused(await change(person.accessToken, { password: NEW }), 'reauthentication_required')
  refused(await change(accessToken, { password: NEW }), 'reauthentication_required')
  await expectUnchanged(person)
  await expectChanged(person, await change((await app.login(person)).accessToken, { password: NEW }))
})

test('403: without a password or code in an old session, even if another session is new', async () => {
  const person = await app.signUp()
  app.advance(10 * MINUTE_MS + 1)
  await app.login(person)
  refused(await change(person.accessToken, { password: NEW }), 'reauthentication_required')
  await expectUnchanged(person)
})

test('403: with a wrong old password, even if the sign-in is recent', async () => {
  const [person, other] = [await app.signUp({ password: 'Mine123!' }), await app.signUp()]
  for (const oldPassword of ['mine123!', ' Mine123!', other.password]) {
    refused(await change(person.accessToken, { password: NEW, oldPassword }), 'wrong_password')
  }
  await expectUnchanged(person)
})

test('401: with two factors on neither the old password nor a new sign-in is enough', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  for (const proof of [{}, { oldPassword: person.password }]) {
    refused(await change(person.accessToken, { password: NEW, ...proof }), 'two_factor_required')
  }
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
})

test('401: a two-factor code that is wrong, of another account, or was used to sign in', async () => {
  const [person, other] = [
    await withTwoFactor(app, await app.signUp()),
    await withTwoFactor(app, await app.signUp()),
  ]
  const used = appCode(person.seed)
  expect(await signInStatus(app, person, person.password, used)).toBe(200)
  const [recovery] = other.recoveryCodes
  for (const twofa of [wrongAppCode(person.seed), appCode(other.seed, 1), recovery, used]) {
    refused(await change(person.accessToken, { password: NEW, twofa }), 'two_factor_invalid')
  }
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
})

test('403: with a wrong old password a right two-factor code is neither enough nor used up', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const twofa = appCode(person.seed)
  const oldPassword = 'Wrong123!'
  refused(await change(person.accessToken, { password: NEW, oldPassword, twofa }), 'wrong_password')
  expect((await change(person.accessToken, { password: NEW, twofa })).status).toBe(204)
})

test('429: after five wrong two-factor codes a right one is refused for 15 minutes, as Retry-After says', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  for (const nth of [0, 1, 2, 3, 4]) {
    const twofa = wrongAppCode(person.seed, nth)
    refused(await change(person.accessToken, { password: NEW, twofa }), 'two_factor_invalid')
  }
  app.advance(MINUTE_MS)
  const locked = await change(person.accessToken, { password: NEW, twofa: appCode(person.seed) })
  refused(locked, 'two_factor_locked')
  expect(locked.headers.get('retry-after')).toBe(String(14 * 60))
  app.advance(14 * MINUTE_MS)
  const { refreshToken } = person
  const { accessToken } = (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).body
  expect((await change(accessToken, { password: NEW, twofa: appCode(person.seed) })).status).toBe(204)
})

test('400: a password that only the vault refuses leaves the old one, and another may be tried immediately', async () => {
  const person = await app.signUp()
  refused(await change(person.accessToken, { password: REFUSED }), 'password_refused')
  const again = await app.login(person)
  await expectChanged(person, await change(again.accessToken, { password: NEW }))
})

test('an empty old password or code, as a form sends it, is no proof', async () => {
  const person = await app.signUp()
  app.advance(11 * MINUTE_MS)
  const answer = await change(person.accessToken, { password: NEW, oldPassword: '', twofa: '' })
  refused(answer, 'reauthentication_required')
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

/** One person is shared by all refused requests, because these change nothing. */
let shared: Promise<SignedInPerson> | undefined
const bystander = () => (shared ??= app.signUp())

test.each([
  ['no password', { password: undefined }, 'password', 'is required'],
  ['seven characters', { password: 'Hello1!' }, 'password', 'must have at least 8 characters'],
  ['129 characters', { password: '!'.repeat(129) }, 'password', 'must have at most 128 characters'],
  ['no symbol', { password: 'Hello1234=' }, 'password', 'must have one of ! @ # $ % & *'],
  ['a code of five digits', { twofa: '12345' }, 'twofa', 'must be a 6-digit code or a recovery code'],
  ['EMCP’s field', { newPassword: NEW }, 'newPassword', 'is not a field of this request'],
])('400: %s, and nothing changes', async (_, wrong, field, message) => {
  const person = await bystander()
  const answer = await change(person.accessToken, { password: NEW, ...wrong })
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

test('of ten concurrent changes one wins, and only its password works', async () => {
  const person = await app.signUp()
  const passwords = Array.from({ length: 10 }, (_, n) => `Parallel${n}!`)
  const answers = await Promise.all(passwords.map((password) => change(person.accessToken, { password })))
  const winners = passwords.filter((_, n) => answers[n]?.status === 204)
  expect(winners).toHaveLength(1)
  const losers = answers.filter(({ status }) => status !== 204)
  // The winner has ended the session of the others, or its change is still at the vault, which counts the old password
  // of those who come later as wrong.
  const codes: Record<number, ErrorCode> = { 401: 'session_ended', 429: 'password_locked' }
  for (const loser of losers) refused(loser, codes[loser.status] ?? 'temporarily_unavailable')
  for (const password of passwords) {
    // The vault counts wrong passwords, and after five it refuses the right one too.
    app.advance(15 * 60_000)
    expect(await signInStatus(app, person, password)).toBe(password === winners[0] ? 200 : 401)
  }
})

test('503: if the vault does not answer, sessions end, the old password works, and a retry is possible', async () => {
  const person = await app.signUp()
  vault.answer('cut')
  const answer = await change(person.accessToken, { password: NEW })
  vault.answer()
  refused(answer, 'temporarily_unavailable')
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  expect(await signInStatus(app, person, person.password)).toBe(401)
  app.advance(30_000)
  const again = await app.login(person)
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  await expectChanged(person, await change(again.accessToken, { password: NEW }))
})

test('503: if the vault cannot check the old password, nothing changes', async () => {
  const person = await app.signUp()
  vault.answer('cut')
  const answer = await change(person.accessToken, { password: NEW, oldPassword: person.password })
  vault.answer()
  refused(answer, 'temporarily_unavailable')
  await expectUnchanged(person)
})
