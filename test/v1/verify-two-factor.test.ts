import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  appCode,
  enrol,
  sessionStatuses,
  signInStatus,
  withTwoFactor,
  wrongAppCode,
} from '../support/credentials.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const MINUTE_MS = 60_000

const verify = (token: string, code: unknown) =>
  app.request('POST', '/v1/auth/verify2FA', { token, json: { code } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.verifyTwoFactor, answer, code)

async function enrolled() {
  const person = await app.signUp()
  return { ...person, seed: await enrol(app, person) }
}

async function isOn(token: string): Promise<boolean> {
  return (await app.request('GET', '/v1/user', { token })).body.twofa
}

test('200: the answer has ten recovery codes, and from now on a sign-in requires a code', async () => {
  const person = await enrolled()
  const { status, body } = await verify(person.accessToken, appCode(person.seed))
  expect(status).toBe(200)
  expect(body).toEqual({
    recoveryCodes: Array(10).fill(expect.stringMatching(/^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$/)),
  })
  expect(new Set(body.recoveryCodes).size).toBe(10)
  expect(await isOn(person.accessToken)).toBe(true)
  expect(await signInStatus(app, person, person.password)).toBe(401)
  expect(await signInStatus(app, person, person.password, body.recoveryCodes[9])).toBe(200)
})

test('200: the session that switches it on stays live, and all others end', async () => {
  const person = await enrolled()
  const other = await app.login(person)
  await verify(person.accessToken, appCode(person.seed))
  expect([await sessionStatuses(app, person), await sessionStatuses(app, other)]).toEqual([
    [200, 200],
    [401, 401],
  ])
})

test('200: the first code cannot be used to sign in afterwards, but the next one can', async () => {
  const person = await enrolled()
  const first = appCode(person.seed)
  await verify(person.accessToken, first)
  expect(await signInStatus(app, person, person.password, first)).toBe(401)
  app.advance(30_000)
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
})

test.each([-1, 0, 1])('200: a code that is %i time steps from now', async (steps) => {
  const person = await enrolled()
  expect((await verify(person.accessToken, appCode(person.seed, steps))).status).toBe(200)
})

test('200: the recovery codes are stored nowhere in the clear, nor is the seed', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const profile = JSON.stringify(await (await app.ports()).table.get(keys.profile(person.accountId)))
  for (const secret of [person.seed, ...person.recoveryCodes]) {
    expect(profile).not.toContain(secret)
    expect(profile).not.toContain(secret.replace('-', ''))
  }
})

test('200: ten concurrent requests get the same recovery codes or are too many, and these codes work', async () => {
  const person = await enrolled()
  const code = appCode(person.seed)
  const answers = await Promise.all(Array.from({ length: 10 }, () => verify(person.accessToken, code)))
  const [winner, ...more] = answers.filter(({ status }) => status === 200)
  for (const { body } of more) expect(body).toEqual(winner?.body)
  // A code counts as a try until it has proved to be right.
  for (const loser of answers.filter(({ status }) => status !== 200)) refused(loser, 'two_factor_locked')
  app.advance(15 * MINUTE_MS)
  expect(await signInStatus(app, person, person.password, winner?.body.recoveryCodes[0])).toBe(200)
})

test.each([-2, 2])('401: a code that is %i time steps from now', async (steps) => {
  const person = await enrolled()
  refused(await verify(person.accessToken, appCode(person.seed, steps)), 'two_factor_invalid')
  expect(await isOn(person.accessToken)).toBe(false)
})

test('401: a wrong code and another account’s code; the enrolment stays open', async () => {
  const [person, other] = [await enrolled(), await enrolled()]
  for (const code of [wrongAppCode(person.seed), appCode(other.seed)]) {
    refused(await verify(person.accessToken, code), 'two_factor_invalid')
  }
  expect((await verify(person.accessToken, appCode(person.seed))).status).toBe(200)
})

test('409: nothing was enrolled', async () => {
  const { accessToken } = await app.signUp()
  refused(await verify(accessToken, '123456'), 'two_factor_not_enrolled')
})

test('409: if two factors are on already, no second set of recovery codes is made', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  refused(await verify(person.accessToken, appCode(person.seed)), 'two_factor_enabled')
  expect(await signInStatus(app, person, person.password, person.recoveryCodes[0])).toBe(200)
})

test('429: after five wrong codes the right one is refused for 15 minutes; Retry-After counts down', async () => {
  const person = await enrolled()
  for (const nth of [0, 1, 2, 3, 4]) {
    refused(await verify(person.accessToken, wrongAppCode(person.seed, nth)), 'two_factor_invalid')
  }
  const locked = await verify(person.accessToken, appCode(person.seed))
  refused(locked, 'two_factor_locked')
  expect(locked.headers.get('retry-after')).toBe('900')
  app.advance(14 * MINUTE_MS + 59_999)
  const { accessToken } = await app.login(person)
  const later = await verify(accessToken, appCode(person.seed))
  refused(later, 'two_factor_locked')
  expect(later.headers.get('retry-after')).toBe('1')
})

test('429: a new enrolment does not lift the lock; only 15 minutes do', async () => {
  const person = await enrolled()
  for (const nth of [0, 1, 2, 3, 4]) await verify(person.accessToken, wrongAppCode(person.seed, nth))
  const seed = await enrol(app, person)
  refused(await verify(person.accessToken, appCode(seed)), 'two_factor_locked')
  app.advance(15 * MINUTE_MS)
  const { accessToken } = await app.login(person)
  expect((await verify(accessToken, appCode(seed))).status).toBe(200)
})

test.each([
  ['no code', undefined, 'is required'],
  ['five digits', '12345', 'must be the 6 digits that the app shows'],
  ['a number', 123456, 'must be of type string'],
  ['a recovery code', 'abcde-fghjk', 'must be the 6 digits that the app shows'],
  ['five digits of another script', '١٢٣٤٥', 'must be the 6 digits that the app shows'],
])('400: %s, which does not count as a try', async (_, code, message) => {
  const person = await enrolled()
  for (let count = 0; count < 6; count++) {
    const answer = await verify(person.accessToken, code)
    refused(answer, 'invalid_request')
    expect(answer.body.errors).toEqual([{ field: 'code', message }])
  }
  expect((await verify(person.accessToken, appCode(person.seed))).status).toBe(200)
})
