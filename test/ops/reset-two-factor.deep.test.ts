import { beforeEach, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { expr } from '../../core/table/expression.ts'
import { keys, recoveryKey } from '../../core/table/keys.ts'
import { HOUR_MS } from '../../core/time.ts'
import { ops } from '../../functions/ops/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { appCode, loseFactors, withTwoFactor } from '../support/credentials.ts'
import { newsTo, noticeTypes, operate, recordedOf } from '../support/operated.ts'
import type { Person } from '../support/people.ts'

const app = await startApp()
const ports = await app.ports()
// The job works on every recovery that is open.
beforeEach(app.startAfresh)

const reset = (accountId: string, json: object = {}) => operate(app, accountId, 'reset-2fa', json)
const signIn = async ({ email, password }: Person, twofa?: string) =>
  (await app.request('POST', '/v1/auth/login', { json: { email, password, twofa } })).status
const account = async ({ accountId }: { accountId: string }) => (await readAccount(ports, accountId))!
const WAITING = 'Two-factor authentication will be switched off'

test('200: after 72 hours, of which the owner is told each day, the password alone signs in; keys stay', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const { defaultKey } = await account(person)
  const finishesAt = new Date(Date.now() + 1 + 72 * HOUR_MS).toISOString()
  const waiting = { state: 'waiting', by: 'operator', finishesAt }
  expect((await reset(person.accountId)).body).toEqual(waiting)
  for (const hours of [24, 24, 23]) {
    app.advance(hours * HOUR_MS)
    await app.job('send-mail')
  }
  expect((await reset(person.accountId)).body).toEqual(waiting)
  expect(await signIn(person)).toBe(401)
  app.advance(HOUR_MS)
  await app.job('send-mail')
  const told = (await newsTo(app, person)).slice(1)
  expect(told).toEqual([WAITING, WAITING, WAITING, 'Two-factor authentication was switched off'])
  expect(await signIn(person)).toBe(200)
  const now = await account(person)
  expect([now.totp, now.passkeys, now.recovery, now.defaultKey]).toEqual([
    ...[undefined, undefined, undefined],
    defaultKey,
  ])
  expect(await ports.table.get(recoveryKey(person.accountId))).toBeUndefined()
  const { audit } = await recordedOf(app, person)
  expect(audit.map(({ action, by }) => [action, by])).toEqual([
    ['operator.two_factor_reset_begun', 'operator'],
    ['operator.two_factor_reset', 'system'],
  ])
  expect((await reset(person.accountId)).body).toEqual({ state: 'off', by: null, finishesAt: null })
})

test('200: with another proof of identity at once; the audit log has the proof, and the owner is told', async () => {
  const person = await withTwoFactor(app, await app.signUp())
  const off = { state: 'off', by: null, finishesAt: null }
  expect((await reset(person.accountId, { proof: 'Passport in a video call' })).body).toEqual(off)
  expect(await signIn(person)).toBe(200)
  expect((await app.request('GET', '/v1/user', { token: person.accessToken })).status).toBe(401)
  expect((await newsTo(app, person)).slice(1)).toEqual(['Two-factor authentication was switched off'])
  expect(await noticeTypes(app, person)).toEqual(['two-factor-on', 'factors-off'])
  expect((await recordedOf(app, person)).audit).toMatchObject([
    {
      action: 'operator.two_factor_reset',
      reason: 'Ticket 4711 (proof of identity: Passport in a video call)',
      after: { twofa: false },
    },
  ])
})

test('the owner stops it by the mailed link, or by signing in with a code, and is told', async () => {
  const byLink = await withTwoFactor(app, await app.signUp())
  const byCode = await withTwoFactor(app, await app.signUp())
  for (const { accountId } of [byLink, byCode]) await reset(accountId)
  await app.job('send-mail')
  const [text = ''] = app.stack.mail
    .messages(byLink.email)
    .slice(-1)
    .map((mail) => mail.text)
  const code = /\/recovery\/stop\/([\w-]+)/.exec(text)?.[1]
  const stop = () => app.request('POST', '/v1/auth/recovery/stop', { json: { code } })
  expect([(await stop()).status, (await stop()).status]).toEqual([200, 200])
  expect(await signIn(byCode, appCode(byCode.seed))).toBe(200)
  app.advance(73 * HOUR_MS)
  for (const person of [byLink, byCode]) {
    expect(
      (await newsTo(app, person)).filter((each) => each === 'Two-factor authentication stays on'),
    ).toHaveLength(1)
    expect((await account(person)).totp).toBeDefined()
  }
})

test('200: a recovery that the owner has begun stays the owner’s', async () => {
  const person = await app.signUp()
  await loseFactors(app, person, Date.now())
  expect((await reset(person.accountId)).body).toMatchObject({ state: 'waiting', by: 'owner' })
  app.advance(73 * HOUR_MS)
  await app.job('send-mail')
  expect((await account(person)).totp).toBeDefined()
})

test('409: without a proof if mail to the account does not arrive', async () => {
  const person = await app.signUp()
  await loseFactors(app, person)
  const undeliverable = { [person.email]: { reason: 'bounced', atMs: Date.now() } }
  await ports.table.update(keys.profile(person.accountId), expr`SET #undeliverable = ${undeliverable}`)
  expectError(ops.resetTwoFactor, await reset(person.accountId), 'conflict')
  expect((await reset(person.accountId, { proof: 'A passport' })).status).toBe(200)
})
