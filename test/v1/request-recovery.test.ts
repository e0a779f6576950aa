import { beforeEach, expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { loseFactors } from '../support/credentials.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const HOUR_MS = 3_600_000

const ask = async (email: string) => {
  const { status, text } = await app.request('POST', '/v1/auth/recovery/code', { json: { email } })
  expect([status, text]).toEqual([204, ''])
  await app.job('send-mail')
}
/** The subjects of the mails about recoveries to an address. */
const mails = (email: string) =>
  app.stack.mail
    .messages(email)
    .map(({ subject }) => subject)
    .filter((subject) => /recover/i.test(subject))

async function locked(beganAtMs?: number) {
  const person = await app.signUp()
  await loseFactors(app, person, beganAtMs)
  return person
}

test('204: mails a code that begins a recovery, to a deactivated account too', async () => {
  const { email, accessToken: token } = await locked()
  await ask(email)
  expect(mails(email)).toEqual(['Recover your account'])
  await app.request('PUT', '/api/users/current/deactivate', { token })
  await ask(email)
  expect(mails(email)).toEqual(['Recover your account', 'Recover your account'])
})

test('204: during the 72 hours the mail has no code and says when it will; afterwards a code finishes it', async () => {
  const { email } = await locked(Date.now() - 71 * HOUR_MS)
  await ask(email)
  expect(mails(email)).toEqual(['Your account is being recovered'])
  expect(app.stack.mail.messages(email).at(-1)?.text).toContain('from 2026-11-21 13:00 UTC on')
  app.advance(HOUR_MS - 1)
  await ask(email)
  expect(mails(email).at(-1)).toBe('Your account is being recovered')
  app.advance(1)
  await ask(email)
  expect(mails(email).at(-1)).toBe('Finish the recovery of your account')
})

test('204: nobody gets a mail who needs none: unknown, unconfirmed, suspended, without two factors', async () => {
  const [unconfirmed, plain, suspended] = [newPerson(), await app.signUp(), await locked()]
  await app.register(unconfirmed)
  const { accountId } = suspended
  const { table } = await app.ports()
  await table.update(keys.profile(accountId), expr`SET #status = ${'suspended'}`)
  for (const { email } of [newPerson(), unconfirmed, plain, suspended]) {
    const before = mails(email)
    await ask(email)
    expect(mails(email)).toEqual(before)
  }
})

test('204: at most five mails an hour go to an address', async () => {
  const { email } = await locked()
  for (let count = 0; count < 7; count++) await ask(email)
  expect(mails(email)).toHaveLength(5)
})
