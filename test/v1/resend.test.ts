import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newPerson, type Person } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const HOUR_MS = 3_600_000

const resend = (email: string) => app.request('POST', '/v1/auth/resend', { json: { email } })
const activate = (code: string) => app.request('POST', '/v1/auth/activate', { json: { code } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.resend, answer, code)
const mails = ({ email }: Person) => app.stack.mail.messages(email).length

async function registered(): Promise<Person> {
  const person = newPerson()
  await app.register(person)
  return person
}

/** Requests a new code and runs the job. @returns the code in the newest mail. */
async function resent({ email }: Person): Promise<string> {
  const { status, text } = await resend(email)
  expect([status, text]).toEqual([204, ''])
  await app.job('send-mail')
  return app.mailedCode(email)
}

test('204: the job mails the code that is valid again, for its whole lifetime', async () => {
  const person = await registered()
  const first = app.mailedCode(person.email)
  app.advance(20 * HOUR_MS)
  expect(await resent(person)).toBe(first)
  expect(app.stack.mail.messages(person.email).at(-1)).toMatchObject({
    subject: 'Confirm your e-mail address',
  })
  app.advance(20 * HOUR_MS)
  expect((await activate(first)).status).toBe(200)
})

test('204: a new code works after the first one has expired, and supersedes it', async () => {
  const person = await registered()
  const first = app.mailedCode(person.email)
  app.advance(24 * HOUR_MS)
  expectError(v1.activate, await activate(first), 'invalid_code')
  const second = await resent(person)
  expectError(v1.activate, await activate(first), 'invalid_code')
  expect((await activate(second)).status).toBe(200)
})

test('204: a new code works after five wrong tries revoked the first one', async () => {
  const person = await registered()
  const burnt = app.mailedCode(person.email)
  for (const digit of '01234') await activate(burnt.slice(0, 16) + digit.repeat(16))
  expectError(v1.activate, await activate(burnt), 'invalid_code')
  expect((await activate(await resent(person))).status).toBe(200)
})

test('204: the address in another case gets a code', async () => {
  const person = await registered()
  await resent({ ...person, email: person.email.toUpperCase() })
  expect(mails(person)).toBe(2)
})

test('204: an address gets at most five mails in any hour', async () => {
  const person = await registered()
  for (let count = 0; count < 7; count++) await resent(person)
  expect(mails(person)).toBe(1 + 5)
  app.advance(HOUR_MS)
  await resent(person)
  expect(mails(person)).toBe(1 + 6)
})

test('204: a confirmed or unknown address gets no mail', async () => {
  const [confirmed, nobody] = [await app.signUp(), newPerson()]
  for (const { email } of [confirmed, nobody]) {
    const { status, text } = await resend(email)
    expect([status, text]).toEqual([204, ''])
  }
  expect(await app.job('send-mail')).toMatchObject({ asked: 0 })
  expect([mails(confirmed), mails(nobody)]).toEqual([1, 0])
})

test('204: no new code is sent if the address is confirmed before the job runs', async () => {
  const person = await registered()
  await resend(person.email)
  expect((await activate(app.mailedCode(person.email))).status).toBe(200)
  expect(await app.job('send-mail')).toMatchObject({ asked: 0 })
  expect(mails(person)).toBe(1)
})

test('204: confirmation mails do not count towards the limit of reset mails', async () => {
  const person = await registered()
  for (let count = 0; count < 5; count++) await resent(person)
  await app.request('POST', '/v1/user/resetPassword', { json: { email: person.email } })
  expect(await app.job('send-mail')).toMatchObject({ asked: 1 })
})

test.each([
  ['no address', {}, 'email', 'is required'],
  ['an invalid address', { email: 'ada' }, 'email', 'must be an e-mail address'],
  ['another field', { email: 'a@mail.example', code: 'x' }, 'code', 'is not a field of this request'],
])('400: %s', async (_, json, field, message) => {
  const answer = await app.request('POST', '/v1/auth/resend', { json })
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
})

test('503: while the database is down, for a known and an unknown address', async () => {
  const person = await registered()
  app.stack.dynamo.addFault({ fault: 'error-before' })
  const answers = [await resend(person.email), await resend(newPerson().email)]
  app.stack.dynamo.clearFaults()
  for (const answer of answers) refused(answer, 'temporarily_unavailable')
})
