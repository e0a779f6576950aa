import { beforeEach, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { loseFactors, recoveryCode } from '../support/credentials.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const HOUR_MS = 3_600_000

const stop = (code: string) => app.request('POST', '/v1/auth/recovery/stop', { json: { code } })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.stopRecoveryByLink, answer, code)

/** A recovery that is announced, and the codes of the links that were mailed. */
async function announced(beganAtMs: number) {
  const person = await app.signUp()
  await loseFactors(app, person, beganAtMs)
  await app.request('POST', '/v1/auth/recovery/code', { json: { email: person.email } })
  await app.job('send-mail')
  const link = /https:\/\/app\.bursar\.example\/recovery\/stop\/([\w-]+)/
  const links = app.stack.mail.messages(person.email).flatMap(({ text }) => link.exec(text)?.[1] ?? [])
  return { ...person, link: links.at(-1) ?? '' }
}

test('200: the mailed link stops the recovery without a sign-in, once and for all its repeats', async () => {
  const person = await announced(Date.now() - HOUR_MS)
  const answers = [...(await Promise.all([stop(person.link), stop(person.link)])), await stop(person.link)]
  for (const { status, body } of answers)
    expect([status, body]).toEqual([200, { message: 'The recovery is stopped' }])
  await app.job('send-mail')
  const told = app.stack.mail.messages(person.email).map(({ subject }) => subject)
  expect(told.slice(1)).toEqual([
    'Your account is being recovered',
    'The recovery of your account has stopped',
  ])
})

test('200: the link of an earlier recovery leaves a later one alone', async () => {
  const person = await announced(Date.now() - HOUR_MS)
  await stop(person.link)
  await loseFactors(app, person, Date.now())
  expect((await stop(person.link)).status).toBe(200)
  const { body } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(body.recovery).toBeDefined()
})

test('400: a link with another letter, of another account, or of a recovery that was finished', async () => {
  const [person, other] = [await announced(Date.now() - HOUR_MS), await announced(Date.now() - HOUR_MS)]
  const other24 = other.link.slice(0, 24) + person.link.slice(24)
  refused(await stop(other24), 'invalid_code')
  refused(await stop(person.link.replace(/.$/, (last) => (last === 'A' ? 'Q' : 'A'))), 'invalid_code')
  app.advance(71 * HOUR_MS)
  const json = { code: await recoveryCode(app, person.email), password: 'Changed1!' }
  expect((await app.request('PUT', '/v1/auth/recovery', { json })).status).toBe(204)
  refused(await stop(person.link), 'invalid_code')
})
