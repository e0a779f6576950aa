import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { resetCode, signInStatus } from '../support/credentials.ts'
import { newPerson, type Person } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const NEW = 'Changed1!'

const ask = (email: string) => app.request('POST', '/v1/user/resetPassword', { json: { email } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.requestPasswordReset, answer, code)
const set = (code: string) => app.request('PUT', '/v1/user/resetPassword', { json: { code, password: NEW } })

const resetMails = ({ email }: Pick<Person, 'email'>) =>
  app.stack.mail.messages(email).filter(({ subject }) => subject === 'Reset your password')

async function expectAsked(email: string): Promise<void> {
  const { status, text } = await ask(email)
  expect([status, text]).toEqual([204, ''])
}

test('204: the job mails a code of 32 hex digits, which sets a password', async () => {
  const person = await app.signUp()
  await expectAsked(person.email)
  expect(resetMails(person)).toEqual([])
  expect(await app.job('send-mail')).toMatchObject({ asked: 1 })
  const [mail, ...more] = resetMails(person)
  expect(more).toEqual([])
  expect(mail?.text).toMatch(/^Hello,\n[\s\S]*\n[0-9a-f]{32}\n/)
  expect((await set(app.mailedCode(person.email))).status).toBe(204)
  expect(await signInStatus(app, person, NEW)).toBe(200)
})

test.each([
  ['in another case', (email: string) => email.toUpperCase()],
  ['in another Unicode form', (email: string) => email.normalize('NFD')],
])('204: the address %s gets its code', async (_, variant) => {
  const { username } = newPerson()
  const person = await app.signUp({ email: `${username}@zoë.example` })
  await expectAsked(variant(person.email))
  await app.job('send-mail')
  expect(resetMails(person).map(({ to }) => to)).toHaveLength(1)
})

test('204: an unconfirmed address gets its code too', async () => {
  const person = newPerson()
  await app.register(person)
  expect((await set(await resetCode(app, person.email))).status).toBe(204)
})

test('204: ten requests before the job runs send one mail', async () => {
  const person = await app.signUp()
  await Promise.all(Array.from({ length: 10 }, () => expectAsked(person.email)))
  await app.job('send-mail')
  await app.job('send-mail')
  expect(resetMails(person)).toHaveLength(1)
})

test('204: three concurrent runs of the job send one mail', async () => {
  const person = await app.signUp()
  await expectAsked(person.email)
  const runs = await Promise.all([app.job('send-mail'), app.job('send-mail'), app.job('send-mail')])
  expect(runs.map(({ asked }) => asked).sort()).toEqual([0, 0, 1])
  expect(resetMails(person)).toHaveLength(1)
})

test('204: the code that is valid is mailed again, for its whole lifetime', async () => {
  const person = await app.signUp()
  const first = await resetCode(app, person.email)
  app.advance(9 * MINUTE_MS)
  expect(await resetCode(app, person.email)).toBe(first)
  app.advance(9 * MINUTE_MS)
  expect((await set(first)).status).toBe(204)
})

test('204: after its code has expired a newer one supersedes it', async () => {
  const person = await app.signUp()
  const older = await resetCode(app, person.email)
  app.advance(10 * MINUTE_MS)
  const newer = await resetCode(app, person.email)
  refusedCode(await set(older))
  expect((await set(newer)).status).toBe(204)
})

function refusedCode(answer: TestAnswer): void {
  expectError(v1.resetPassword, answer, 'invalid_code')
}

test('204: each address gets at most five mails in any hour, in whatever case it is requested', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const asked = async (email: string) => {
    await expectAsked(email)
    await app.job('send-mail')
  }
  for (let count = 0; count < 7; count++) {
    await asked(count % 2 ? person.email.toUpperCase() : person.email)
    app.advance(MINUTE_MS)
  }
  expect(resetMails(person)).toHaveLength(5)
  await asked(other.email)
  expect(resetMails(other)).toHaveLength(1)
  app.advance(HOUR_MS - 7 * MINUTE_MS - 1)
  await asked(person.email)
  expect(resetMails(person)).toHaveLength(5)
  app.advance(1)
  await asked(person.email)
  await asked(person.email)
  expect(resetMails(person)).toHaveLength(6)
})

test('204: mails over the hourly limit are not sent later', async () => {
  const person = await app.signUp()
  for (let count = 0; count < 6; count++) {
    await ask(person.email)
    await app.job('send-mail')
  }
  app.advance(HOUR_MS)
  await app.job('send-mail')
  expect(resetMails(person)).toHaveLength(5)
})

test('204: an account that is suspended gets no mail', async () => {
  const person = await app.signUp()
  const { table } = await app.ports()
  await table.update(keys.profile(person.accountId), expr`SET #status = ${'suspended'}`)
  await expectAsked(person.email)
  expect(await app.job('send-mail')).toMatchObject({ asked: 0 })
  expect(resetMails(person)).toEqual([])
  app.advance(HOUR_MS)
  expect(await table.due('ASK', Date.now(), 10), 'asks that are still due').toEqual([])
})

test('204: an unknown address gets no mail, nor does the unconfirmed new address of an account', async () => {
  const [person, nobody, waiting] = [await app.signUp(), newPerson(), newPerson()]
  const json = { email: waiting.email }
  await app.request('PUT', `/rest/users/${person.username}`, { token: person.accessToken, json })
  for (const { email } of [nobody, waiting]) await expectAsked(email)
  expect(await app.job('send-mail')).toMatchObject({ asked: 0 })
  expect([resetMails(nobody), resetMails(waiting)]).toEqual([[], []])
})

test('204: a mail that the provider refused is sent a minute later, with a valid code', async () => {
  const person = await app.signUp()
  await ask(person.email)
  app.stack.mail.addFault({ fault: 'error-before', times: 2 })
  await app.job('send-mail')
  expect(resetMails(person)).toEqual([])
  app.advance(MINUTE_MS)
  await app.job('send-mail')
  expect(resetMails(person)).toHaveLength(1)
  expect((await set(app.mailedCode(person.email))).status).toBe(204)
})

test('204: a request does not change the account: password and sessions stay valid', async () => {
  const person = await app.signUp()
  await resetCode(app, person.email)
  expect(await signInStatus(app, person, person.password)).toBe(200)
  expect((await app.request('GET', '/v1/user', { token: person.accessToken })).status).toBe(200)
})

test.each([
  ['no address', {}, 'email', 'is required'],
  ['an invalid address', { email: 'ada' }, 'email', 'must be an e-mail address'],
  ['a list of addresses', { email: ['a@mail.example'] }, 'email', 'must be of type string'],
  [
    'a username in addition',
    { email: 'a@mail.example', username: 'ada' },
    'username',
    'is not a field of this request',
  ],
  [
    'a link for the mail',
    { email: 'a@mail.example', redirectTo: 'https://evil.example' },
    'redirectTo',
    'is not a field of this request',
  ],
])('400: %s', async (_, json, field, message) => {
  const answer = await app.request('POST', '/v1/user/resetPassword', { json })
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
})

test('503: while the database is down, for a known and an unknown address', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before' })
  const answers = [await ask(person.email), await ask(newPerson().email)]
  app.stack.dynamo.clearFaults()
  for (const answer of answers) refused(answer, 'temporarily_unavailable')
})
