import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { stationBefore } from '../conformance/outage.ts'
import { claims, startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'
import {
  appCode,
  resetCode,
  sessionStatuses,
  signInStatus,
  withTwoFactor,
  wrongAppCode,
  wrongHalf,
} from '../support/credentials.ts'
import { defaultKey } from '../support/keys.ts'
import { newPerson, type SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'

const app = await startApp()

/** A password by the rule, which the vault refuses all the same. */
const REFUSED = 'Refused123!'
app.stack.cognito.refusePassword(REFUSED)
const vault = stationBefore('AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER')

const MINUTE_MS = 60_000
const NEW = 'Changed1!'
const PATH = '/v1/user/resetPassword'

const put = (json: object) => app.request('PUT', PATH, { json: { password: NEW, ...json } })

/** Sends GreenCloud's GET with a body, which `fetch` refuses. */
const get = (json: object) =>
  sendRaw(app.url, 'GET', PATH, [['content-type', 'application/json']], JSON.stringify(json))

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.resetPassword, answer, code)
const invalidCode = (answer: TestAnswer) => refused(answer, 'invalid_code')

/** Signs up a person and requests a reset code. */
async function withCode() {
  const person = await app.signUp()
  return { ...person, code: await resetCode(app, person.email) }
}

test.each([
  ['GreenCloud’s GET with a body', get],
  ['PUT', put],
])('204: %s sets the password and ends every session', async (_, send) => {
  const person = await withCode()
  const other = await app.login(person)
  const { status, text } = await send({ code: person.code, password: NEW })
  expect([status, text]).toEqual([204, ''])
  expect(await signInStatus(app, person, person.password)).toBe(401)
  for (const session of [person, other]) expect(await sessionStatuses(app, session)).toEqual([401, 401])
  const later = await app.login({ ...person, password: NEW })
  expect(claims(later.accessToken).auth_time).toBe(claims(person.accessToken).auth_time)
  expect(await sessionStatuses(app, later)).toEqual([200, 200])
})

test('204: the code in upper case', async () => {
  const { code } = await withCode()
  expect((await put({ code: code.toUpperCase() })).status).toBe(204)
})

test('204: one millisecond before the code is 10 minutes old', async () => {
  const { code } = await withCode()
  app.advance(10 * MINUTE_MS - 1)
  expect((await put({ code })).status).toBe(204)
})

test('204: the right code after four wrong ones', async () => {
  const { code } = await withCode()
  for (const nth of [0, 1, 2, 3]) invalidCode(await put({ code: wrongHalf(code, nth) }))
  expect((await put({ code })).status).toBe(204)
})

test('204: an unconfirmed account stays unconfirmed, and its new password counts once it is confirmed', async () => {
  const person = newPerson()
  await app.register(person)
  const users = app.stack.cognito.users().length
  expect((await put({ code: await resetCode(app, person.email) })).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(403)
  expect(app.stack.cognito.users()).toHaveLength(users)
  const code = confirmCode(person.email)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
  expect(await signInStatus(app, person, person.password)).toBe(401)
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

test('204: the vault has lost the user, as in another region: the reset makes it again', async () => {
  const { accountId, code, ...person } = await withCode()
  const { identity } = await app.ports()
  await identity.remove(accountId)
  expect((await put({ code })).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

/** The code in the first mail to an address: that of the registration. */
const confirmCode = (email: string) => app.stack.mail.messages(email)[0]?.text.match(/\b[0-9a-f]{32}\b/)?.[0]

test('204: an access token is neither required nor checked', async () => {
  const [person, other] = [await withCode(), await app.signUp()]
  const json = { code: person.code, password: NEW }
  expect((await app.request('PUT', PATH, { json, token: other.accessToken })).status).toBe(204)
  expect(await sessionStatuses(app, other)).toEqual([200, 200])
  expect(await signInStatus(app, other, other.password)).toBe(200)
})

test('204: a pending e-mail change is dropped, so that an intruder who began it does not get the account', async () => {
  const person = await withCode()
  const thief = newPerson()
  const json = { email: thief.email }
  await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json })
  expect((await put({ code: person.code })).status).toBe(204)
  const late = await app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(thief.email) } })
  expectError(v1.activate, late, 'invalid_code')
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

test('204: with two factors on a code of the app is required and used up', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const code = await resetCode(app, person.email)
  const twofa = appCode(person.seed)
  expect((await put({ code, twofa })).status).toBe(204)
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  expect(await signInStatus(app, person, NEW, twofa)).toBe(401)
  expect(await signInStatus(app, person, NEW, appCode(person.seed, 1))).toBe(200)
})

test('204: with two factors on a recovery code works and is used up, and two factors stay on', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const [first] = person.recoveryCodes
  expect((await put({ code: await resetCode(app, person.email), twofa: first })).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(401)
  expect(await signInStatus(app, person, NEW, first)).toBe(401)
  expect(await signInStatus(app, person, NEW, appCode(person.seed))).toBe(200)
})

test('401: with two factors on the mailed code without a right second code does nothing and is not used up', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const code = await resetCode(app, person.email)
  refused(await put({ code }), 'two_factor_required')
  refused(await put({ code, twofa: wrongAppCode(person.seed) }), 'two_factor_invalid')
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
  expect((await put({ code, twofa: appCode(person.seed) })).status).toBe(204)
})

test('401: a code of the app that was used to sign in does not reset the password', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const code = await resetCode(app, person.email)
  const twofa = appCode(person.seed)
  expect(await signInStatus(app, person, person.password, twofa)).toBe(200)
  refused(await put({ code, twofa }), 'two_factor_invalid')
})

test('429: after five wrong two-factor codes right ones are refused, and the mailed code does not bypass the lock', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const code = await resetCode(app, person.email)
  for (const nth of [0, 1, 2, 3, 4]) {
    refused(await put({ code, twofa: wrongAppCode(person.seed, nth) }), 'two_factor_invalid')
  }
  for (const twofa of [appCode(person.seed), person.recoveryCodes[0]]) {
    const locked = await put({ code, twofa })
    refused(locked, 'two_factor_locked')
    expect(locked.headers.get('retry-after')).toBe(String(15 * 60))
  }
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
})

test('400: a code that is 10 minutes old', async () => {
  const person = await withCode()
  app.advance(10 * MINUTE_MS)
  invalidCode(await put({ code: person.code }))
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

test('a used code is 204 again for the same request, which does nothing more, and 400 for another password', async () => {
  const person = await withCode()
  const { code } = person
  expect((await put({ code })).status).toBe(204)
  const session = await app.login({ ...person, password: NEW })
  expect((await put({ code })).status).toBe(204)
  expect(await sessionStatuses(app, session)).toEqual([200, 200])
  invalidCode(await put({ code, password: 'Another1!' }))
})

test.each([
  [
    'one after another',
    async (tries: (() => Promise<unknown>)[]) => {
      for (const attempt of tries) await attempt()
    },
  ],
  ['at once', (tries: (() => Promise<unknown>)[]) => Promise.all(tries.map((attempt) => attempt()))],
])('400: the right code after five wrong ones, %s', async (_, run) => {
  const person = await withCode()
  const wrong = [0, 1, 2, 3, 4].map((nth) => wrongHalf(person.code, nth))
  await run(wrong.map((code) => async () => invalidCode(await put({ code }))))
  invalidCode(await put({ code: person.code }))
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

test('400: a code that was never sent', async () => {
  invalidCode(await put({ code: '0123456789abcdef0123456789abcdef' }))
})

test('400: a confirmation code does not reset a password, and a reset code does not confirm an address', async () => {
  const person = newPerson()
  await app.register(person)
  const confirm = app.mailedCode(person.email)
  const reset = await resetCode(app, person.email)
  invalidCode(await put({ code: confirm }))
  const crossed = await app.request('POST', '/v1/auth/activate', { json: { code: reset } })
  expectError(v1.activate, crossed, 'invalid_code')
  expect((await put({ code: reset })).status).toBe(204)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code: confirm } })).status).toBe(200)
})

test('400: halves of codes of two accounts do not work together, and a code changes only its own account', async () => {
  const [ada, eve] = [await withCode(), await withCode()]
  invalidCode(await put({ code: ada.code.slice(0, 16) + eve.code.slice(16) }))
  expect((await put({ code: eve.code })).status).toBe(204)
  expect(await signInStatus(app, ada, ada.password)).toBe(200)
  expect(await sessionStatuses(app, ada)).toEqual([200, 200])
  expect((await put({ code: ada.code })).status).toBe(204)
})

test('400: a code in the query of a GET is ignored', async () => {
  const person = await withCode()
  const query = new URLSearchParams({ code: person.code, password: NEW })
  refused(await app.request('GET', `${PATH}?${query}`), 'invalid_request')
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect((await put({ code: person.code })).status).toBe(204)
})

test('400: a password that only the vault refuses leaves the code valid for another password', async () => {
  const person = await withCode()
  refused(await put({ code: person.code, password: REFUSED }), 'password_refused')
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect((await put({ code: person.code })).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

test.each([
  ['no code', { code: undefined }, 'code', 'is required'],
  ['a code of 31 digits', { code: 'a'.repeat(31) }, 'code', 'is not valid'],
  ['no password', { password: undefined }, 'password', 'is required'],
  ['a password of seven characters', { password: 'Hello1!' }, 'password', 'must have at least 8 characters'],
  ['a password without a symbol', { password: 'Hello1234=' }, 'password', 'must have one of ! @ # $ % & *'],
  ['a code of five digits', { twofa: '12345' }, 'twofa', 'must be a 6-digit code or a recovery code'],
  ['an address in addition', { email: 'a@mail.example' }, 'email', 'is not a field of this request'],
])('400: %s, by either method, and the code stays valid', async (_, wrong, field, message) => {
  const { code } = await withCode()
  const json = { code, password: NEW, ...wrong }
  for (const answer of [await put(json), await get(json)]) {
    refused(answer, 'invalid_request')
    expect(answer.body.errors).toEqual([{ field, message }])
  }
  expect((await put({ code })).status).toBe(204)
})

test('403: the right code of an account that was suspended meanwhile; a wrong code does not reveal the status', async () => {
  const person = await withCode()
  const { table } = await app.ports()
  const key = keys.profile(person.accountId)
  await table.update(key, expr`SET #status = ${'suspended'}`)
  invalidCode(await put({ code: wrongHalf(person.code) }))
  refused(await put({ code: person.code }), 'account_suspended')
  await table.update(key, expr`SET #status = ${'active'}`)
  expect(await signInStatus(app, person, person.password)).toBe(200)
})

describe('of a deactivated account', () => {
  const deactivated = async <P extends SignedInPerson>(person: P) => {
    await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
    return person
  }
  const spend = (token: string) => app.request('POST', '/v1/usage', { token, json: { units: 1 } })

  test('204: the code sets the password and makes the account active in one step, with its units', async () => {
    const person = await deactivated(await newBuyer(app))
    await app.job('send-mail')
    const key = await defaultKey(app, person)
    expect((await spend(key)).status).toBe(403)
    const code = await resetCode(app, person.email)
    expect(app.stack.mail.messages(person.email).at(-1)?.text).toContain('makes it active again')
    expect((await put({ code })).status).toBe(204)
    expect(await signInStatus(app, person, NEW)).toBe(200)
    expect((await spend(key)).status).toBe(200)
    expect((await put({ code })).status).toBe(204)
  })

  test('401: with two factors on it stays deactivated without a right code, and is restored with one', async () => {
    const person = await deactivated(await withTwoFactor(app, await app.signUp()))
    const code = await resetCode(app, person.email)
    refused(await put({ code }), 'two_factor_required')
    refused(await put({ code, twofa: wrongAppCode(person.seed) }), 'two_factor_invalid')
    expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(403)
    expect((await put({ code, twofa: appCode(person.seed) })).status).toBe(204)
    expect(await signInStatus(app, person, NEW, appCode(person.seed, 1))).toBe(200)
  })

  test('204: within 30 days of its deletion the code undoes the deletion, and the owner is told once', async () => {
    const person = await app.signUp()
    expect((await app.request('DELETE', '/v1/user', { token: person.accessToken })).status).toBe(202)
    app.advance(29 * 24 * 60 * MINUTE_MS)
    const code = await resetCode(app, person.email)
    expect((await put({ code })).status).toBe(204)
    expect((await put({ code })).status).toBe(204)
    await app.job('send-mail')
    const told = app.stack.mail.messages(person.email).map(({ subject }) => subject)
    expect(told.filter((subject) => /will not be deleted|active again/.test(subject))).toEqual([
      'Your account will not be deleted',
    ])
    app.advance(24 * 60 * MINUTE_MS)
    await app.job('sweep')
    expect(await signInStatus(app, person, NEW)).toBe(200)
    const { table } = await app.ports()
    expect(await table.get(keys.profile(person.accountId))).not.toHaveProperty('eraseAtMs')
  })

  test('400: a code that was mailed before the account was erased opens nothing', async () => {
    const person = await app.signUp()
    await app.request('DELETE', '/v1/user', { token: person.accessToken })
    const code = await resetCode(app, person.email)
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #status = ${'erased'}`)
    invalidCode(await put({ code }))
    expect((await table.get(keys.profile(person.accountId)))?.status).toBe('erased')
  })

  test('403: with `restore` false nothing changes', async () => {
    const person = await deactivated(await app.signUp())
    const code = await resetCode(app, person.email)
    refused(await put({ code, restore: false }), 'account_deactivated')
    expect(await signInStatus(app, person, person.password)).toBe(403)
  })

  test('400: a password that the vault refuses leaves it deactivated, and the code valid', async () => {
    const person = await deactivated(await app.signUp())
    const code = await resetCode(app, person.email)
    refused(await put({ code, password: REFUSED }), 'password_refused')
    expect(await signInStatus(app, person, person.password)).toBe(403)
    expect((await put({ code })).status).toBe(204)
    expect(await signInStatus(app, person, NEW)).toBe(200)
  })
})

test('503: if the vault does not answer, sessions end, and only the same request succeeds later', async () => {
  const person = await withCode()
  const { code } = person
  vault.answer('cut')
  refused(await put({ code }), 'temporarily_unavailable')
  vault.answer()
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  expect(await signInStatus(app, person, person.password)).toBe(401)
  const soon = await put({ code })
  refused(soon, 'temporarily_unavailable')
  expect(soon.headers.get('retry-after')).toBe('30')
  app.advance(30_000)
  invalidCode(await put({ code, password: 'Another1!' }))
  expect((await put({ code })).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(200)
  expect((await put({ code })).status).toBe(204)
})

test('503: with two factors on the same request succeeds later with its original two-factor code', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const json = { code: await resetCode(app, person.email), twofa: person.recoveryCodes[0] }
  vault.answer('cut')
  refused(await put(json), 'temporarily_unavailable')
  vault.answer()
  app.advance(30_000)
  expect((await put(json)).status).toBe(204)
  expect(await signInStatus(app, person, NEW, json.twofa)).toBe(401)
})
