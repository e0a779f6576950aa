import { expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { shown } from '../support/buyers.ts'
import { newPerson } from '../support/people.ts'

const app = await startApp()

const body = () => {
  const { email, password } = newPerson()
  return { name: 'Richard', surname: 'Hill', email, password }
}
const register = (json: object) => app.request('POST', '/v1/auth/register', { json })

test('201 without a body: the account has both names, and works once its address is confirmed', async () => {
  const json = body()
  const answer = await register(json)
  expect([answer.status, answer.text]).toEqual([201, ''])
  expectContract(v1.register, answer)
  const code = app.mailedCode(json.email)
  expect((await app.request('POST', '/v1/auth/activate', { json: { code } })).status).toBe(200)
  const person = { ...newPerson(), ...json, username: '' }
  const { status, body: tokens } = await app.request('POST', '/v1/auth/login', {
    json: { email: json.email, password: json.password },
  })
  expect(status).toBe(200)
  const account = await shown(app, { ...person, accessToken: tokens.accessToken, accountId: '' } as never)
  expect(account).toMatchObject({ name: 'Richard', surname: 'Hill', email: json.email })
})

test('201 again for a repeat, which makes and mails nothing; 409 for another request with the address', async () => {
  const json = body()
  expect((await register(json)).status).toBe(201)
  app.resetCalls()
  expect((await register(json)).status).toBe(201)
  expect(app.calls().mail).toEqual({})
  expectError(v1.register, await register({ ...json, password: 'Another1!' }), 'email_taken')
  app.advance(2 * 3_600_000)
  expectError(v1.register, await register(json), 'email_taken')
})

test('409 for an address that an account with a username has', async () => {
  const { email } = await app.signUp()
  expectError(v1.register, await register({ ...body(), email }), 'email_taken')
})

test('201 for an address whose first account has another one by now', async () => {
  const json = body()
  expect((await register(json)).status).toBe(201)
  await app.confirm(json)
  const login = await app.request('POST', '/v1/auth/login', {
    json: { email: json.email, password: json.password },
  })
  const { table } = await app.ports()
  const guards = await table.get(keys.emailGuard(json.email))
  const profile = await table.get(keys.profile(String(guards?.accountId)))
  expect(profile?.username).toMatch(/^user-[0-9a-f]{16}$/)
  const { email } = newPerson()
  const moved = await app.request('PUT', `/rest/users/${profile?.username}`, {
    token: login.body.accessToken,
    json: { email },
  })
  expect(moved.status).toBe(200)
  await app.confirm({ email })
  expect((await register(json)).status).toBe(201)
  expect((await register(json)).status).toBe(201)
  const second = await table.get(
    keys.profile(String((await table.get(keys.emailGuard(json.email)))?.accountId)),
  )
  expect(second?.id).not.toBe(profile?.id)
})

test.each([
  ['name', ''],
  ['surname', 'x'.repeat(50)],
  ['email', 'nobody'],
  ['password', 'short'],
  ['username', 'ada'],
])('400 for %s %j', async (field, value) => {
  const answer = await register({ ...body(), [field]: value })
  expectError(v1.register, answer, 'invalid_request')
  expect(JSON.stringify(answer.body.errors)).toContain(field)
})
