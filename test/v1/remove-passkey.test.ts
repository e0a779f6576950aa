import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { sessionStatuses } from '../support/credentials.ts'
import { answerOf, signInWith, withPasskey } from '../support/passkeys.ts'

const app = await startApp()

const remove = (token: string, id: string) => app.request('DELETE', `/v1/auth/passkeys/${id}`, { token })

test('204: the passkey signs in no more, other sessions end, and the owner is told', async () => {
  const person = await withPasskey(app, await app.signUp())
  const answer = await answerOf(app, person)
  const other = await app.login(person)
  expect((await remove(person.accessToken, person.passkeyId)).status).toBe(204)
  expectError(v1.passkeyLogin, await signInWith(app, answer), 'passkey_refused')
  expect(await sessionStatuses(app, person)).toEqual([200, 200])
  expect(await sessionStatuses(app, other)).toEqual([401, 401])
  await app.job('send-mail')
  const subjects = app.stack.mail.messages(person.email).map(({ subject }) => subject)
  expect(subjects).toContain('A passkey was removed from your account')
})

test('204: one of two, and the other one still signs in', async () => {
  const first = await withPasskey(app, await app.signUp())
  const second = await withPasskey(app, first)
  expect((await remove(first.accessToken, first.passkeyId)).status).toBe(204)
  expect((await signInWith(app, await answerOf(app, first))).status).toBe(401)
  expect((await signInWith(app, await answerOf(app, second))).status).toBe(200)
})

test('204: a repeat, and two at once, of which the owner is told once', async () => {
  const person = await withPasskey(app, await app.signUp())
  const answers = await Promise.all([1, 2].map(() => remove(person.accessToken, person.passkeyId)))
  expect(answers.map(({ status }) => status)).toEqual([204, 204])
  expect((await remove(person.accessToken, person.passkeyId)).status).toBe(204)
  await app.job('send-mail')
  const told = app.stack.mail.messages(person.email).filter(({ subject }) => subject.includes('removed'))
  expect(told).toHaveLength(1)
})

test('404: an unknown passkey, and that of another account, which keeps it', async () => {
  const [person, other] = [await app.signUp(), await withPasskey(app, await app.signUp())]
  for (const id of [other.passkeyId, 'x', '__proto__', 'toString', '#PROFILE']) {
    const answer = await remove(person.accessToken, encodeURIComponent(id))
    expectError(v1.removePasskey, answer, 'not_found')
  }
  expect((await signInWith(app, await answerOf(app, other))).status).toBe(200)
})
