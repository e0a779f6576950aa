import { beforeEach, expect, test } from 'vitest'
import { announceRecoveries } from '../../core/credentials/announce-recoveries.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { startApp } from '../support/app.ts'
import { noticesOf } from '../support/buyers.ts'
import { appCode, recoveryCode, signInStatus, withTwoFactor, wrongHalf } from '../support/credentials.ts'
import { answerOf, signInWith, withPasskey } from '../support/passkeys.ts'
import type { Person } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
const ports = await app.ports()
// The job announces every recovery that is open.
beforeEach(app.startAfresh)

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const begin = (code: string) => app.request('POST', '/v1/auth/recovery', { json: { code } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.beginRecovery, answer, code)
/** The subjects of the mails about recoveries to an address. */
const about = ({ email }: Pick<Person, 'email'>) =>
  app.stack.mail
    .messages(email)
    .map(({ subject }) => subject)
    .filter((subject) => /recover/i.test(subject) && subject !== 'A recovery code was used')

const protectedPerson = async () => withTwoFactor(app, await app.signUp())
type Protected = Awaited<ReturnType<typeof protectedPerson>>

async function begun(): Promise<Protected> {
  const person = await protectedPerson()
  expect((await begin(await recoveryCode(app, person.email))).status).toBe(200)
  await app.job('send-mail')
  return person
}

/** Lets days pass, in which the job looks at recoveries four times a day, and one look more. */
async function pass(days: number): Promise<void> {
  for (let look = 0; look < days * 4; look++) {
    app.advance(6 * HOUR_MS)
    await announceRecoveries(ports, WHOLE_RUN)
  }
  await app.job('send-mail')
}

test('200: nothing changes yet, and the owner is told at once by mail and notice', async () => {
  const person = await begun()
  expect(about(person)).toEqual(['Recover your account', 'Someone has begun to recover your account'])
  expect((await noticesOf(app, person)).at(-1)).toBe('recovery')
  const shown = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(shown.body).toMatchObject({ twofa: true, recovery: { finishesAt: '2026-11-24T12:00:30.000Z' } })
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
})

test('200: it is announced every day, and ends by itself after seven days', async () => {
  const person = await begun()
  await pass(6)
  const daily = Array(2).fill('Your account is being recovered')
  const ready = Array(4).fill('The recovery of your account can be finished now')
  expect(about(person).slice(2)).toEqual([...daily, ...ready])
  await pass(1)
  expect(about(person).at(-1)).toBe('The recovery of your account has stopped')
  await pass(2)
  expect(about(person)).toHaveLength(9)
  expect(await (await app.ports()).table.due('RECOVERY', Date.now() + DAY_MS, 9)).toEqual([])
})

test('200: a repeat, another code and the clock do not restart or shorten the 72 hours', async () => {
  const person = await protectedPerson()
  const code = await recoveryCode(app, person.email)
  const answers = await Promise.all([begin(code), begin(code), begin(code)])
  app.advance(9 * 60_000)
  for (const answer of [...answers, await begin(code)]) expect(answer.status).toBe(200)
  const { body } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(body.recovery).toEqual({ finishesAt: '2026-11-24T12:00:30.000Z' })
  await app.job('send-mail')
  expect(about(person)).toEqual(['Recover your account', 'Someone has begun to recover your account'])
})

test('401: whoever signs in without a code learns of it', async () => {
  const { email, password } = await begun()
  const { status, body } = await app.request('POST', '/v1/auth/login', { json: { email, password } })
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:two_factor_required'])
  expect(body.detail).toContain('recovering this account')
})

test.each([
  ['signing in with a code of the app', ({ seed }: Protected) => appCode(seed)],
  ['signing in with a recovery code', ({ recoveryCodes: [code = ''] }: Protected) => code],
])('%s stops it, and the owner is told', async (_, codeOf) => {
  const person = await begun()
  expect(await signInStatus(app, person, person.password, codeOf(person))).toBe(200)
  await pass(4)
  expect(about(person).slice(2)).toEqual(['The recovery of your account has stopped'])
  expect(await recoveryCode(app, person.email)).toMatch(/./)
  expect(about(person).at(-1)).toBe('Recover your account')
})

test('a right passkey stops it, and the owner is told', async () => {
  type Way = (answer: object, person: Protected) => Promise<TestAnswer>
  const ways: Way[] = [
    (passkey) => signInWith(app, passkey),
    (passkey, { email, password }) =>
      app.request('POST', '/v1/auth/login', { json: { email, password, passkey } }),
    (passkey, { accessToken: token }) =>
      app.request('POST', '/v1/auth/confirm', { token, json: { passkey } }),
  ]
  for (const way of ways) {
    const person = await withPasskey(app, await protectedPerson())
    expect((await begin(await recoveryCode(app, person.email))).status).toBe(200)
    await app.job('send-mail')
    expect((await way(await answerOf(app, person), person)).status).toBeLessThan(300)
    await pass(1)
    expect(about(person).slice(2)).toEqual(['The recovery of your account has stopped'])
  }
})

test('200: an address whose mail came back is trusted again, so that the announcements reach it', async () => {
  const person = await protectedPerson()
  const { table } = await app.ports()
  const marks = { [person.email.toLowerCase()]: { reason: 'bounced', atMs: Date.now() - DAY_MS } }
  await table.update(keys.profile(person.accountId), expr`SET #undeliverable = ${marks}`)
  expect((await begin(await recoveryCode(app, person.email))).status).toBe(200)
  await app.job('send-mail')
  expect(about(person)).toEqual(['Recover your account', 'Someone has begun to recover your account'])
})

test('a mail about a recovery that was stopped meanwhile is not sent', async () => {
  const person = await protectedPerson()
  expect((await begin(await recoveryCode(app, person.email))).status).toBe(200)
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
  await app.job('send-mail')
  expect(about(person)).toEqual(['Recover your account', 'The recovery of your account has stopped'])
})

test.each([
  ['a proof of the session', 'POST', '/v1/auth/confirm', (twofa: string) => ({ twofa })],
  ['a password change', 'PUT', '/v1/user/password', (twofa: string) => ({ password: 'Changed1!', twofa })],
  ['a logout everywhere', 'POST', '/v1/auth/logout', () => ({ everywhere: true })],
])('%s stops it, and the owner is told', async (_, method, path, make) => {
  const person = await begun()
  const json = make(appCode(person.seed))
  expect((await app.request(method, path, { token: person.accessToken, json })).status).toBe(204)
  await pass(1)
  expect(about(person).slice(2)).toEqual(['The recovery of your account has stopped'])
})

test('429: three recoveries may begin in a week, however they end', async () => {
  const person = await protectedPerson()
  const [first, second, third, fourth] = person.recoveryCodes
  for (const code of [first, second, third]) {
    expect((await begin(await recoveryCode(app, person.email))).status).toBe(200)
    expect(await signInStatus(app, person, person.password, code)).toBe(200)
  }
  const limited = await begin(await recoveryCode(app, person.email))
  expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, String(7 * 24 * 3600)])
  app.advance(7 * DAY_MS)
  expect((await begin(await recoveryCode(app, person.email))).status).toBe(200)
  expect(await signInStatus(app, person, person.password, fourth)).toBe(200)
})

test('400: a wrong half, a code that finishes, a code of another purpose, and a code voided by a sign-in', async () => {
  const person = await protectedPerson()
  const code = await recoveryCode(app, person.email)
  refused(await begin(wrongHalf(code)), 'invalid_code')
  const reset = { code, password: 'Changed1!' }
  expect((await app.request('PUT', '/v1/user/resetPassword', { json: reset })).status).toBe(400)
  expect((await app.request('PUT', '/v1/auth/recovery', { json: reset })).status).toBe(400)
  expect(await signInStatus(app, person, person.password, appCode(person.seed))).toBe(200)
  refused(await begin(code), 'invalid_code')
})
