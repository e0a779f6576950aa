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

const remove = (token: string, code: unknown) =>
  app.request('DELETE', '/v1/auth/2FA', { token, json: { code } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.removeTwoFactor, answer, code)

const protectedPerson = async () => withTwoFactor(app, await app.signUp())

async function isOn(token: string): Promise<boolean> {
  return (await app.request('GET', '/v1/user', { token })).body.twofa
}

test.each([
  ['a code of the app', ({ seed }: { seed: string }) => appCode(seed)],
  ['a recovery code', ({ recoveryCodes }: { recoveryCodes: string[] }) => recoveryCodes[4]],
])('204: with %s, and a sign-in no longer requires a code', async (_, codeOf) => {
  const person = await protectedPerson()
  const { status, text } = await remove(person.accessToken, codeOf(person))
  expect([status, text]).toEqual([204, ''])
  expect(await isOn(person.accessToken)).toBe(false)
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
})

test('204: seed and recovery codes are deleted, and neither works after a new enrolment', async () => {
  const person = await protectedPerson()
  await remove(person.accessToken, appCode(person.seed))
  const profile = await (await app.ports()).table.get(keys.profile(person.accountId))
  expect([profile?.totp, profile?.totpPending]).toEqual([undefined, undefined])
  const again = await withTwoFactor(app, person)
  for (const twofa of [person.recoveryCodes[0], appCode(person.seed)]) {
    expect(await signInStatus(app, person, person.password, twofa)).toBe(401)
  }
  expect(await signInStatus(app, person, person.password, again.recoveryCodes[0])).toBe(200)
})

test('204: ten concurrent requests switch two factors off, or are too many', async () => {
  const person = await protectedPerson()
  const code = appCode(person.seed)
  const answers = await Promise.all(Array.from({ length: 10 }, () => remove(person.accessToken, code)))
  expect(answers.map(({ status }) => status)).toContain(204)
  // A code counts as a try until it has proved to be right.
  for (const loser of answers.filter(({ status }) => status !== 204)) refused(loser, 'two_factor_locked')
  expect(await isOn(person.accessToken)).toBe(false)
})

test('401: a wrong code, another account’s code, and a code or recovery code used to sign in', async () => {
  const [person, other] = [await protectedPerson(), await protectedPerson()]
  const [used] = person.recoveryCodes
  expect(await signInStatus(app, person, person.password, used)).toBe(200)
  const code = appCode(person.seed)
  expect(await signInStatus(app, person, person.password, code)).toBe(200)
  for (const wrong of [wrongAppCode(person.seed), other.recoveryCodes[0], code, used]) {
    refused(await remove(person.accessToken, wrong), 'two_factor_invalid')
  }
  expect(await isOn(person.accessToken)).toBe(true)
})

test('409: two factors are off, or only enrolled', async () => {
  const person = await app.signUp()
  refused(await remove(person.accessToken, '123456'), 'two_factor_not_enrolled')
  const seed = await enrol(app, person)
  refused(await remove(person.accessToken, appCode(seed)), 'two_factor_not_enrolled')
})

test('429: after five wrong codes the right one and every recovery code are refused for 15 minutes', async () => {
  const person = await protectedPerson()
  for (const nth of [0, 1, 2, 3]) {
    refused(await remove(person.accessToken, wrongAppCode(person.seed, nth)), 'two_factor_invalid')
  }
  refused(await remove(person.accessToken, '00000-00000'), 'two_factor_invalid')
  for (const code of [appCode(person.seed), person.recoveryCodes[0]]) {
    const locked = await remove(person.accessToken, code)
    refused(locked, 'two_factor_locked')
    expect(locked.headers.get('retry-after')).toBe('900')
  }
  app.advance(15 * MINUTE_MS)
  const { refreshToken } = person
  const { body } = await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
  expect((await remove(body.accessToken, appCode(person.seed))).status).toBe(204)
})

test.each([
  ['no code', undefined, 'is required, or passkey in its place'],
  ['five digits', '12345', 'must be a 6-digit code or a recovery code'],
  ['a number', 123456, 'must be of type string'],
])('400: %s, and two factors stay on', async (_, code, message) => {
  const person = await protectedPerson()
  const answer = await remove(person.accessToken, code)
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field: 'code', message }])
  expect(await isOn(person.accessToken)).toBe(true)
})
