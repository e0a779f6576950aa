import { beforeEach, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { appCode, loseFactors, withTwoFactor, wrongAppCode } from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const stop = ({ accessToken: token }: SignedInPerson, json?: object) =>
  app.request('DELETE', '/v1/auth/recovery', { token, ...(json && { json }) })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.stopRecovery, answer, code)

const isOpen = async ({ accessToken: token }: SignedInPerson) =>
  (await app.request('GET', '/v1/user', { token })).body.recovery !== undefined

/** A session of 11 minutes, and a recovery. */
async function recovering() {
  const person = await withTwoFactor(app, await app.signUp())
  const { table } = await app.ports()
  const recovery = { beganAtMs: Date.now() }
  await table.update(keys.profile(person.accountId), expr`SET #recovery = ${recovery}`)
  app.advance(11 * 60_000)
  return person
}
type Recovering = Awaited<ReturnType<typeof recovering>>

test('204: a recent session stops it, and the owner is told once', async () => {
  const person = await app.signUp()
  await loseFactors(app, person, Date.now())
  expect((await stop(person)).status).toBe(204)
  expect((await stop(person)).status).toBe(204)
  expect(await isOpen(person)).toBe(false)
  await app.job('send-mail')
  expect(
    app.stack.mail
      .messages(person.email)
      .map(({ subject }) => subject)
      .slice(1),
  ).toEqual(['The recovery of your account has stopped'])
})

test('204: an old session stops it with the password alone, or with a code', async () => {
  const proofs = [
    ({ password }: Recovering) => ({ password }),
    ({ seed }: Recovering) => ({ twofa: appCode(seed) }),
  ]
  for (const proofOf of proofs) {
    const person = await recovering()
    expect((await stop(person, proofOf(person))).status).toBe(204)
    expect(await isOpen(person)).toBe(false)
  }
})

test('an old session without a right proof is refused, and the recovery goes on', async () => {
  const person = await recovering()
  refused(await stop(person), 'reauthentication_required')
  refused(await stop(person, { password: 'Wrong123!' }), 'wrong_password')
  refused(await stop(person, { twofa: wrongAppCode(person.seed) }), 'two_factor_invalid')
  expect(await isOpen(person)).toBe(true)
})
