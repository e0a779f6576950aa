import { beforeEach, expect, test } from 'vitest'
import { askAs, newAdminKey, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { signUpFor } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'read')
})

const list = (query = '') => askAs(app, key, 'GET', `/invoices${query}`)

async function newPayer() {
  app.advance(1000)
  const person = await app.signUp()
  await signUpFor(app, person, 'STARTER', 'pm_card_visa')
  return person
}

test('200 with the invoices of all accounts, newest first, as they stand now', async () => {
  const [ada, bob] = [await newPayer(), await newPayer()]
  const { body: before } = await list()
  expect(before.map(({ user, status }: { user: string; status: string }) => [user, status])).toEqual([
    [bob.accountId, 'paid'],
    [ada.accountId, 'paid'],
  ])
  await operate(app, ada, `purchases/${before[1]._id}/refund`, { what: 'all' })
  expect((await list()).body[1]).toEqual({ ...before[1], status: 'refunded' })
})

test('pages cost one Query of the index, and one read for each invoice that is shown', async () => {
  const payers = [await newPayer(), await newPayer(), await newPayer()].reverse()
  await list()
  app.resetCalls()
  const first = await list('?limit=2')
  expect(app.calls().dynamodb).toEqual({ Query: 1, GetItem: 2 })
  const second = await list('?page=2&limit=2')
  expect(first.headers.get('link')).toBe('</admin/api/invoices?page=2&limit=2>; rel="next"')
  expect(second.headers.get('link')).toBeNull()
  expect([...first.body, ...second.body].map(({ user }) => user)).toEqual(
    payers.map(({ accountId }) => accountId),
  )
})
