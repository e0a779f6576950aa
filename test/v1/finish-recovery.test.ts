import { beforeEach, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { stationBefore } from '../conformance/outage.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, noticesOf } from '../support/buyers.ts'
import { loseFactors, recoveryCode, sessionStatuses, signInStatus } from '../support/credentials.ts'
import { createKey, defaultKey } from '../support/keys.ts'
import { answerOf, signInWith, withPasskey } from '../support/passkeys.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

/** A password by the rule, which the vault refuses all the same. */
const REFUSED = 'Refused123!'
app.stack.cognito.refusePassword(REFUSED)
const vault = stationBefore('AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER')
beforeEach(app.startAfresh)

const HOUR_MS = 3_600_000
const NEW = 'Changed1!'

const finish = (code: string, password = NEW) =>
  app.request('PUT', '/v1/auth/recovery', { json: { code, password } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.finishRecovery, answer, code)

/** A recovery that is 72 hours old, and a code that finishes it. */
async function ready<P extends SignedInPerson>(person: P) {
  await loseFactors(app, person, Date.now() - 72 * HOUR_MS)
  return { ...person, code: await recoveryCode(app, person.email) }
}

test('204: sets the password, switches two factors off, ends every session, replaces every key, and tells', async () => {
  const buyer = await newBuyer(app)
  const read = [(await createKey(app, buyer)).key, await defaultKey(app, buyer)]
  const person = await ready(buyer)
  const answer = await finish(person.code)
  expect([answer.status, answer.text]).toEqual([204, ''])
  expect(await sessionStatuses(app, person)).toEqual([401, 401])
  expect(await signInStatus(app, person, person.password)).toBe(401)
  const again = await app.login({ ...person, password: NEW })
  const { body } = await app.request('GET', '/v1/user', { token: again.accessToken })
  expect([body.twofa, body.recovery]).toEqual([false, undefined])
  for (const token of read)
    expect((await app.request('POST', '/v1/usage', { token, json: { units: 1 } })).status).toBe(401)
  const spent = await app.request('POST', '/v1/usage', { token: body.apiKey, json: { units: 1 } })
  expect(spent.status).toBe(200)
  expect(await noticesOf(app, { ...person, ...again })).toContain('recovered')
  await app.job('send-mail')
  const told = app.stack.mail.messages(person.email).map(({ subject }) => subject)
  expect(told).toContain('Your account was recovered')
})

test('204: makes a deactivated account active again', async () => {
  const person = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  const { code } = await ready(person)
  expect((await finish(code)).status).toBe(204)
  const { accessToken: token } = await app.login({ ...person, password: NEW })
  const { apiKey } = (await app.request('GET', '/v1/user', { token })).body
  expect((await app.request('POST', '/v1/usage', { token: apiKey, json: { units: 1 } })).status).toBe(200)
})

test('204: removes every passkey, because a lost device may have it', async () => {
  const owner = await withPasskey(app, await app.signUp())
  const person = await ready(owner)
  const answer = await answerOf(app, owner)
  expect((await finish(person.code)).status).toBe(204)
  expect((await signInWith(app, answer)).status).toBe(401)
  const { accessToken } = await app.login({ ...person, password: NEW })
  expect((await app.request('GET', '/v1/auth/passkeys', { token: accessToken })).body).toEqual([])
})

test('204: undoes the deletion of the account, and the owner is told once', async () => {
  const person = await app.signUp()
  expect((await app.request('DELETE', '/v1/user', { token: person.accessToken })).status).toBe(202)
  const { code } = await ready(person)
  expect((await finish(code)).status).toBe(204)
  expect((await finish(code)).status).toBe(204)
  await app.job('send-mail')
  const told = app.stack.mail.messages(person.email).map(({ subject }) => subject)
  expect(told.filter((subject) => /will not be deleted|active again/.test(subject))).toEqual([
    'Your account will not be deleted',
  ])
  app.advance(30 * 24 * HOUR_MS)
  await app.job('sweep')
  expect(await signInStatus(app, person, NEW)).toBe(200)
  const { table } = await app.ports()
  expect(await table.get(keys.profile(person.accountId))).not.toHaveProperty('eraseAtMs')
})

test('204: the same request again does nothing more, and another password is refused', async () => {
  const person = await ready(await app.signUp())
  const answers = await Promise.all([finish(person.code), finish(person.code)])
  for (const { status } of answers) expect([204, 503]).toContain(status)
  app.advance(30_000)
  expect((await finish(person.code)).status).toBe(204)
  const session = await app.login({ ...person, password: NEW })
  expect((await finish(person.code)).status).toBe(204)
  expect(await sessionStatuses(app, session)).toEqual([200, 200])
  refused(await finish(person.code, 'Another1!'), 'invalid_code')
  await app.job('send-mail')
  const told = app.stack.mail.messages(person.email).map(({ subject }) => subject)
  expect(told.filter((subject) => subject === 'Your account was recovered')).toHaveLength(1)
  expect(told).not.toContain('The recovery of your account has stopped')
})

test('400: the code of a recovery that was stopped, or ended, after the code was mailed', async () => {
  const [stopped, ended] = [await ready(await app.signUp()), await app.signUp()]
  const { table } = await app.ports()
  await table.update(keys.profile(stopped.accountId), expr`REMOVE #recovery`)
  refused(await finish(stopped.code), 'invalid_code')
  await loseFactors(app, ended, Date.now() - 7 * 24 * HOUR_MS + 60_000)
  const code = await recoveryCode(app, ended.email)
  app.advance(60_000)
  refused(await finish(code), 'invalid_code')
  expect(await signInStatus(app, stopped, NEW)).toBe(401)
})

test('400: a password that the vault refuses costs no other 72 hours', async () => {
  const person = await ready(await app.signUp())
  refused(await finish(person.code, REFUSED), 'password_refused')
  expect((await finish(person.code)).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

test('403: a suspended account stays suspended', async () => {
  const person = await ready(await app.signUp())
  const { table } = await app.ports()
  await table.update(keys.profile(person.accountId), expr`SET #status = ${'suspended'}`)
  refused(await finish(person.code), 'account_suspended')
})

test('503: if the vault does not answer, the same request or a new code finishes it later', async () => {
  const person = await ready(await app.signUp())
  vault.answer('cut')
  refused(await finish(person.code), 'temporarily_unavailable')
  vault.answer()
  app.advance(30_000)
  const code = await recoveryCode(app, person.email)
  expect((await finish(code, 'Another1!')).status).toBe(204)
  refused(await finish(person.code), 'invalid_code')
  expect(await signInStatus(app, person, 'Another1!')).toBe(200)
})
