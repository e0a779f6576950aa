import { expect, test } from 'vitest'
import { MINUTE_MS } from '../../core/time.ts'
import { startApp } from '../support/app.ts'
import { appCode, withTwoFactor } from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()
const STALE_MS = 11 * MINUTE_MS

const confirm = (token: string, json: unknown) => app.request('POST', '/v1/auth/confirm', { token, json })
const createKey = ({ accessToken: token }: SignedInPerson, headers: Record<string, string> = {}) =>
  app.request('POST', '/v1/keys', { token, headers, json: { name: 'laptop' } })

test('204: the password makes the session recent again for ten minutes', async () => {
  const person = await app.signUp()
  app.advance(STALE_MS)
  expect((await createKey(person)).status).toBe(403)
  expect((await confirm(person.accessToken, { password: person.password })).status).toBe(204)
  expect((await createKey(person)).status).toBe(201)
})

test('204: with two-factor authentication a code alone is the proof, which only its own session may repeat', async () => {
  const person = await app.signUp()
  const { seed, recoveryCodes } = await withTwoFactor(app, person)
  app.advance(STALE_MS)
  const code = appCode(seed)
  expect((await confirm(person.accessToken, { twofa: code })).status).toBe(204)
  expect((await createKey(person)).status).toBe(201)
  expect((await confirm(person.accessToken, { twofa: code })).status).toBe(204)
  const json = { email: person.email, password: person.password, twofa: recoveryCodes[0] }
  const other = (await app.request('POST', '/v1/auth/login', { json })).body.accessToken
  const again = await confirm(other, { twofa: code })
  expect([again.status, again.body.type]).toEqual([401, 'urn:bursar:problem:two_factor_invalid'])
})

test('401: with two-factor authentication the password alone is no proof', async () => {
  const person = await app.signUp()
  await withTwoFactor(app, person)
  app.advance(STALE_MS)
  const refused = await confirm(person.accessToken, { password: person.password })
  expect([refused.status, refused.body.type]).toEqual([401, 'urn:bursar:problem:two_factor_required'])
  const guarded = await createKey(person)
  expect([guarded.status, guarded.body.detail]).toEqual([403, expect.stringContaining('X-Proof-Code')])
})

test('403: a wrong password, and a code without two-factor authentication, prove nothing', async () => {
  const person = await app.signUp()
  app.advance(STALE_MS)
  expect((await confirm(person.accessToken, { password: 'Wrong123!' })).status).toBe(403)
  expect((await confirm(person.accessToken, { twofa: '123456' })).status).toBe(403)
  expect((await createKey(person)).status).toBe(403)
})

test('400: a confirmation without a proof is refused', async () => {
  const person = await app.signUp()
  expect((await confirm(person.accessToken, {})).status).toBe(400)
})
