import { URI } from 'otpauth'
import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { stationBefore } from '../conformance/outage.ts'
import { startApp } from '../support/app.ts'
import { appCode, enrol, signInStatus, withTwoFactor } from '../support/credentials.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
const kms = stationBefore('AWS_ENDPOINT_URL_KMS')

const begin = (token: string) => app.request('POST', '/v1/auth/2FA', { token })
const verify = (token: string, code: string) =>
  app.request('POST', '/v1/auth/verify2FA', { token, json: { code } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.enrolTwoFactor, answer, code)

test('200: a seed, its otpauth URI and a QR code as SVG', async () => {
  const { accessToken, email } = await app.signUp()
  const { status, body } = await begin(accessToken)
  expect(status).toBe(200)
  expect(body).toEqual({
    seed: expect.stringMatching(/^[A-Z2-7]{32}$/),
    uri: expect.stringMatching(/^otpauth:\/\/totp\/Bursar:/),
    qr: expect.stringMatching(/^<svg .*<\/svg>$/s),
  })
  expect(URI.parse(body.uri)).toMatchObject({ issuer: 'Bursar', label: email, secret: { base32: body.seed } })
})

test('200: no code is required before the first code has proved the seed', async () => {
  const person = await app.signUp()
  await enrol(app, person)
  expect(await signInStatus(app, person, person.password)).toBe(200)
  const { body } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(body.twofa).toBe(false)
})

test('200: a second enrolment an hour later gives another seed, and only the newest counts', async () => {
  const person = await app.signUp()
  const first = await enrol(app, person)
  app.advance(3_600_000)
  const { refreshToken } = person
  person.accessToken = (
    await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })
  ).body.accessToken
  const json = { password: person.password }
  await app.request('POST', '/v1/auth/confirm', { token: person.accessToken, json })
  const second = await enrol(app, person)
  expect(second).not.toBe(first)
  const stale = await verify(person.accessToken, appCode(first))
  expectError(v1.verifyTwoFactor, stale, 'two_factor_invalid')
  expect((await verify(person.accessToken, appCode(second))).status).toBe(200)
})

test('200: two accounts have different seeds', async () => {
  const [ada, eve] = [await app.signUp(), await app.signUp()]
  expect(await enrol(app, ada)).not.toBe(await enrol(app, eve))
})

test('200: the seed is stored encrypted for its account, and nowhere in the clear', async () => {
  const [ada, eve] = [await app.signUp(), await app.signUp()]
  const ports = await app.ports()
  const seed = await enrol(app, ada)
  const profile = await ports.table.get(keys.profile(ada.accountId))
  expect(JSON.stringify(profile)).not.toContain(seed)
  const [{ seed: stored = '' } = {}] = Object.values(profile?.totpPending as Record<string, { seed: string }>)
  expect(await ports.secrets.decrypt(ada.accountId, stored)).toBe(seed)
  await expect(ports.secrets.decrypt(eve.accountId, stored)).rejects.toThrow()
})

test('409: if two factors are on already, their seed stays', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  refused(await begin(person.accessToken), 'two_factor_enabled')
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
})

test('503: if the key service does not answer, nothing is enrolled', async () => {
  const person = await app.signUp()
  kms.answer('cut')
  refused(await begin(person.accessToken), 'temporarily_unavailable')
  kms.answer()
  const early = await verify(person.accessToken, '123456')
  expectError(v1.verifyTwoFactor, early, 'two_factor_not_enrolled')
})
