import { beforeEach, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { expr } from '../../core/table/expression.ts'
import { addressMoveKey, keys } from '../../core/table/keys.ts'
import { HOUR_MS } from '../../core/time.ts'
import { ops } from '../../functions/ops/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { resetCode, signInStatus } from '../support/credentials.ts'
import { noticeTypes, operate, recordedOf } from '../support/operated.ts'
import { newPerson } from '../support/people.ts'
import { accountIdOf } from '../support/state.ts'

const app = await startApp()
const ports = await app.ports()
// The job works on every change that waits.
beforeEach(app.startAfresh)

const change = (accountId: string, email: string, json: object = {}) =>
  operate(app, accountId, 'change-email', { email, ...json })
const account = async ({ accountId }: { accountId: string }) => (await readAccount(ports, accountId))!
const confirm = (email: string) =>
  app.request('POST', '/v1/auth/activate', { json: { code: app.mailedCode(email) } })
async function mailsAt(email: string) {
  await app.job('send-mail')
  const subjects = app.stack.mail.messages(email).map(({ subject }) => subject)
  return subjects.filter((subject) => subject !== 'Confirm your e-mail address')
}
const ASKED = 'We were asked to change your e-mail address'

test('200: after 72 hours, of which the old address is told each day, the new one gets a code and is confirmed', async () => {
  const person = await app.signUp()
  const { email } = newPerson()
  const finishesAt = new Date(Date.now() + 1 + 72 * HOUR_MS).toISOString()
  const waiting = { state: 'waiting', finishesAt }
  expect((await change(person.accountId, email)).body).toEqual(waiting)
  for (const hours of [24, 24, 23]) {
    app.advance(hours * HOUR_MS)
    await app.job('send-mail')
  }
  expect((await change(person.accountId, email)).body).toEqual(waiting)
  expect([await mailsAt(person.email), await mailsAt(email)]).toEqual([[ASKED, ASKED, ASKED], []])
  app.advance(HOUR_MS)
  expect(await mailsAt(email)).toEqual(['Confirm your new e-mail address'])
  expect(await account(person)).toMatchObject({ email: person.email, pendingEmail: email })
  expect((await change(person.accountId, email)).body).toEqual({ state: 'confirming', finishesAt: null })
  expect((await confirm(email)).status).toBe(200)
  expect(await account(person)).toMatchObject({ email, emailVerified: true })
  expect((await change(person.accountId, email)).body).toEqual({ state: 'unchanged', finishesAt: null })
  expect((await mailsAt(person.email)).at(-1)).toBe('Your e-mail address was changed')
  expect(await ports.table.get(addressMoveKey(person.accountId))).toBeUndefined()
  const { audit } = await recordedOf(app, person)
  expect(audit).toMatchObject([
    { action: 'operator.address_change_begun', before: { email: person.email }, after: { email } },
    { action: 'operator.address_change_mailed', by: 'system', after: { email } },
  ])
})

test('200: with another proof of identity the code leaves at once, and the old address is told', async () => {
  const person = await app.signUp()
  const { email } = newPerson()
  const { body } = await change(person.accountId, email, { proof: 'Passport in a video call' })
  expect(body).toEqual({ state: 'confirming', finishesAt: null })
  expect(await mailsAt(email)).toEqual(['Confirm your new e-mail address'])
  expect(await mailsAt(person.email)).toEqual(['We were asked to change your e-mail address'])
  expect(await noticeTypes(app, person)).toEqual(['address-requested'])
  expect((await confirm(email)).status).toBe(200)
  expect((await account(person)).email).toBe(email)
  expect((await recordedOf(app, person)).audit).toMatchObject([
    { reason: 'Ticket 4711 (proof of identity: Passport in a video call)' },
  ])
})

test('the old address stops it by the mailed link, once and for all its repeats', async () => {
  const person = await app.signUp()
  const { email } = newPerson()
  await change(person.accountId, email)
  await app.job('send-mail')
  const [text = ''] = app.stack.mail
    .messages(person.email)
    .slice(-1)
    .map((mail) => mail.text)
  const code = /\/recovery\/stop\/([\w-]+)/.exec(text)?.[1]
  const stop = () => app.request('POST', '/v1/auth/recovery/stop', { json: { code } })
  expect([(await stop()).status, (await stop()).status]).toEqual([200, 200])
  app.advance(80 * HOUR_MS)
  expect([await mailsAt(person.email), await mailsAt(email)]).toEqual([
    [ASKED, 'Your e-mail address stays as it is'],
    [],
  ])
  expect((await account(person)).addressMove).toBeUndefined()
})

test('a change of the password stops it, and its owner is told within the hour', async () => {
  const person = await app.signUp()
  await change(person.accountId, newPerson().email)
  const json = { password: 'Changed1!', oldPassword: person.password }
  await app.request('PUT', '/v1/user/password', { token: person.accessToken, json })
  app.advance(HOUR_MS)
  expect((await mailsAt(person.email)).at(-1)).toBe('Your e-mail address stays as it is')
})

test('200: an account that has confirmed no address gets the new one at once, to be confirmed', async () => {
  const person = newPerson()
  await app.register(person)
  const accountId = await accountIdOf(app, person.username)
  const { email } = newPerson()
  expect((await change(accountId, email)).body).toEqual({ state: 'confirming', finishesAt: null })
  await app.job('send-mail')
  expect((await confirm(email)).status).toBe(200)
  expect(await account({ accountId })).toMatchObject({ email, emailVerified: true })
})

test('200: of a mistyped address whose mailbox has set a password nothing stays: its owner sets one by mail', async () => {
  const person = newPerson()
  await app.register(person)
  const accountId = await accountIdOf(app, person.username)
  const password = 'Stranger1!'
  const set = { code: await resetCode(app, person.email), password }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json: set })).status).toBe(204)
  app.advance(31_000)
  const { email } = newPerson()
  expect((await change(accountId, email)).status).toBe(200)
  await app.job('send-mail')
  expect((await confirm(email)).status).toBe(200)
  for (const each of [password, person.password])
    expect(await signInStatus(app, { ...person, email }, each)).toBe(401)
  const own = { code: await resetCode(app, email), password: 'Own-password1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json: own })).status).toBe(204)
  expect(await signInStatus(app, { ...person, email }, own.password)).toBe(200)
})

test('409: an address that another account has proved; an account that is not active; mail that does not arrive', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const { accountId } = person
  expectError(ops.changeEmail, await change(accountId, other.email), 'email_taken')
  const undeliverable = { [person.email]: { reason: 'bounced', atMs: Date.now() } }
  await ports.table.update(keys.profile(accountId), expr`SET #undeliverable = ${undeliverable}`)
  expectError(ops.changeEmail, await change(accountId, newPerson().email), 'conflict')
  await operate(app, other.accountId, 'suspend')
  expectError(ops.changeEmail, await change(other.accountId, newPerson().email), 'conflict')
})
