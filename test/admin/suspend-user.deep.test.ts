import { beforeEach, expect, test } from 'vitest'
import { parseAudit } from '../../core/audit/entry.ts'
import { askAs, entriesOf, newAdminKey, newUser, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'support')
})

const suspend = (id: string, json?: unknown) => askAs(app, key, 'PUT', `/users/${id}/suspend`, json)

test('200 shows the user as suspended, and the very next requests with its token and key are refused', async () => {
  const person = await newUser(app)
  const { status, body } = await suspend(person.accountId)
  expect([status, body]).toEqual([200, expect.objectContaining({ _id: person.accountId, status: 1 })])
  const { body: refused } = await app.request('GET', '/api/users/current', { token: person.accessToken })
  expect(refused.type).toBe('urn:bursar:problem:account_suspended')
  const spent = await app.request('POST', '/v1/usage', { token: person.key, json: { units: 1 } })
  expect(spent.body.type).toBe('urn:bursar:problem:account_suspended')
})

test('the audit log names the key and its reason, or the route if it gives none', async () => {
  const [one, other] = [await app.signUp(), await app.signUp()]
  await suspend(one.accountId, { reason: 'abuse' })
  app.advance(1000)
  await suspend(other.accountId)
  expect((await entriesOf(app, key)).map(parseAudit)).toMatchObject([
    { action: 'operator.suspended', accountId: one.accountId, name: key.name, reason: 'abuse' },
    { accountId: other.accountId, name: key.name, reason: 'PUT /admin/api/users/{id}/suspend' },
  ])
})

test('a repeat is answered alike and leaves no second entry', async () => {
  const { accountId } = await app.signUp()
  const first = await suspend(accountId)
  expect((await suspend(accountId)).body).toEqual(first.body)
  expect(await entriesOf(app, key)).toHaveLength(1)
})

test('404 for an unknown account, 400 for what is no id', async () => {
  expect((await suspend('0'.repeat(24))).status).toBe(404)
  expect((await suspend('ada')).status).toBe(400)
  expect(await entriesOf(app, key)).toEqual([])
})

test('the errors are problem details, as in the dialect of EMCP for customers', async () => {
  const { body, headers } = await suspend('0'.repeat(24))
  expect(headers.get('content-type')).toBe('application/problem+json')
  expect(body).toMatchObject({ type: 'urn:bursar:problem:not_found', status: 404 })
})
