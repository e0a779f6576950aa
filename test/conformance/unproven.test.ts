import { expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import { resetCode } from '../support/credentials.ts'
import { newPerson } from '../support/people.ts'
import { rowKey, sampleOf } from '../support/samples.ts'
import { expectError, targetOf } from './contract.ts'

const app = await startApp()

/** Somebody who registered an address that may be another person's, and never proved it. */
async function squatter() {
  const person = newPerson()
  expect((await app.register(person)).status).toBe(201)
  return person
}

const forAccounts = rows.filter(({ auth }) => auth === 'account').map((row) => [rowKey(row), row] as const)

/** An earlier version let people sign in first, and their sessions may be there still. */
test.each(forAccounts)(
  '%s: no session of an address that nobody has proved opens it',
  async (_, row: Placed) => {
    const person = await app.signUp()
    const { path, body } = await sampleOf(app, row, person)
    const [method, target] = targetOf(row.routes[0], path)
    const { table } = await app.ports()
    await table.update(keys.profile(person.accountId), expr`SET #emailVerified = ${false}`)
    const answer = await app.request(method, target, {
      token: person.accessToken,
      ...(body && { json: body }),
    })
    expectError(row, answer, 'session_ended')
  },
)

test('a mailed reset gives the account to the owner of its address, and nothing is left of the squatter', async () => {
  const person = await squatter()
  const { status } = await app.request('PUT', '/v1/user/resetPassword', {
    json: { code: await resetCode(app, person.email), password: 'Owners123!' },
  })
  expect(status).toBe(204)
  const [{ text = '' } = {}] = app.stack.mail.messages(person.email)
  await app.request('POST', '/v1/auth/activate', { json: { code: text.match(/\b[0-9a-f]{32}\b/)?.[0] } })
  const signIn = (password: string) =>
    app.request('POST', '/v1/auth/login', { json: { email: person.email, password } })
  expect((await signIn(person.password)).status).toBe(401)
  expect((await signIn('Owners123!')).status).toBe(200)
})

test('a code mailed to an address takes it from an account that never proved it, whose names are then free', async () => {
  const person = await squatter()
  const owner = await app.signUp()
  const change = await app.request('PUT', `/rest/users/${owner.username}`, {
    token: owner.accessToken,
    json: { email: person.email },
  })
  expect(change.status).toBe(200)
  const code = app.mailedCode(person.email)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
  expect((await app.login({ ...owner, email: person.email })).accountId).toBe(owner.accountId)
  await app.job('sweep')
  expect((await app.register(newPerson({ username: person.username }))).status).toBe(201)
})

test('an address that somebody has proved is taken by nobody', async () => {
  const [owner, other] = [await app.signUp(), await app.signUp()]
  await app.request('PUT', `/rest/users/${other.username}`, {
    token: other.accessToken,
    json: { email: owner.email },
  })
  const json = { code: app.mailedCode(owner.email) }
  expectError(v1.activate, await app.request('POST', '/v1/auth/activate', { json }), 'email_taken')
  expect((await app.login(owner)).accountId).toBe(owner.accountId)
})
