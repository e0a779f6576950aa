import { beforeEach, expect, test } from 'vitest'
import { askAs, newAdminKey, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { shown, signUpFor } from '../support/buyers.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'read')
})

const list = (id: string, query = '') => askAs(app, key, 'GET', `/users/${id}/invoices${query}`)

/** Somebody who has paid a bundle and a refill, a minute later. */
async function newPayer() {
  const person = await app.signUp()
  await signUpFor(app, person, 'STARTER', 'pm_card_visa')
  app.advance(60_000)
  await app.request('POST', '/v1/user/buy', { token: person.accessToken })
  return person
}

test('200 with the invoices that the owner sees, newest first, and with none of another account', async () => {
  const person = await newPayer()
  await newPayer()
  const { status, body } = await list(person.accountId)
  const own = await shown(app, person, '/v1/invoice/list')
  expect([status, body.map(({ _id }: { _id: string }) => _id)]).toEqual([
    200,
    own.map(({ id }: { id: string }) => id),
  ])
  expect(body).toHaveLength(2)
  expect(body[1]).toEqual({
    ...{ _id: own[1].id, user: person.accountId, amount: 0.99, currency: 'USD', status: 'paid' },
    createdAt: expect.stringMatching(new RegExp(`^${own[1].paidOn}T`)),
  })
})

test('pages have each invoice once, and Link leads to the next one', async () => {
  const { accountId } = await newPayer()
  const [first, second, third] = [
    await list(accountId, '?limit=1'),
    await list(accountId, '?page=2&limit=1'),
    await list(accountId, '?page=3&limit=1'),
  ]
  expect(first.headers.get('link')).toBe(
    `</admin/api/users/${accountId}/invoices?page=2&limit=1>; rel="next"`,
  )
  expect(second.headers.get('link')).toBeNull()
  const { body: both } = await list(accountId)
  expect([[...first.body, ...second.body], third.body]).toEqual([both, []])
})

test('404 for an unknown account, and 200 with nothing for one that has paid nothing', async () => {
  expect((await list('0'.repeat(24))).status).toBe(404)
  const { accountId } = await app.signUp()
  const { status, body } = await list(accountId)
  expect([status, body]).toEqual([200, []])
})
