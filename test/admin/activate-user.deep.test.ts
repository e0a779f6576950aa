import { beforeEach, expect, test } from 'vitest'
import { askAs, entriesOf, newAdminKey, newUser, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'support')
})

const ask = (id: string, what: 'suspend' | 'activate') => askAs(app, key, 'PUT', `/users/${id}/${what}`)

test('200 ends a suspension: the key of the account spends again', async () => {
  const person = await newUser(app)
  await ask(person.accountId, 'suspend')
  app.advance(1000)
  const { status, body } = await ask(person.accountId, 'activate')
  expect([status, body.status]).toEqual([200, 0])
  const spent = await app.request('POST', '/v1/usage', { token: person.key, json: { units: 1 } })
  expect(spent.status).toBe(200)
  expect(await entriesOf(app, key)).toMatchObject([
    { action: 'operator.suspended' },
    { action: 'operator.resumed', reason: 'PUT /admin/api/users/{id}/activate' },
  ])
})

test('200 leaves an account that its owner has deactivated as it is, suspended meanwhile or not', async () => {
  const { accountId, accessToken: token } = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token })
  expect((await ask(accountId, 'activate')).body.status).toBe(2)
  await ask(accountId, 'suspend')
  expect((await ask(accountId, 'activate')).body.status).toBe(2)
})

test('404 for an unknown account', async () => {
  expect((await ask('0'.repeat(24), 'activate')).status).toBe(404)
})
