import { beforeEach, describe, expect, test } from 'vitest'
import { mark } from '../../core/account/listed.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, paymentsOf, refund, spendTo } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { deliver, newEvent } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const list = (filter: Record<string, string> = {}) =>
  app.request('GET', `/ops/read/accounts?${new URLSearchParams(filter)}`, { operator: 'read' })

async function listed(filter: Record<string, string> = {}) {
  const { status, body } = await list(filter)
  expect(status).toBe(200)
  return body
}

const idsOf = async (filter: Record<string, string> = {}): Promise<string[]> =>
  (await listed(filter)).accounts.map(({ id }: { id: string }) => id)

/** Every page of a list. */
async function allIds(filter: Record<string, string>): Promise<{ ids: string[]; pages: number[] }> {
  const ids: string[] = []
  const pages: number[] = []
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await listed({ ...filter, ...(cursor && { cursor }) })
    pages.push(page.accounts.length)
    ids.push(...page.accounts.map(({ id }: { id: string }) => id))
    cursor = page.next
  }
  return { ids, pages }
}

let planted = 0

/** Stores copies of an account, registered a second apart, the newest first. @returns their ids in this order. */
async function plant(count: number, more: Item = {}): Promise<string[]> {
  const { table } = await app.ports()
  const { accountId } = await app.signUp()
  const [profile, quota] = await Promise.all([
    table.get(keys.profile(accountId)),
    table.get(keys.quota(accountId)),
  ])
  const atSec = Math.floor(Date.now() / 1000)
  const ids = Array.from(
    { length: count },
    (_, at) => (atSec - at).toString(16).padStart(8, '0') + (++planted).toString(16).padStart(16, '0'),
  )
  await app.fixtures.put(
    ids.flatMap((id, at) => [
      { ...profile, ...keys.profile(id), id, createdAtMs: (atSec - at) * 1000, ...more },
      { ...quota, ...keys.quota(id) },
    ]),
  )
  await table.remove(keys.profile(accountId))
  return ids
}

/** Refunds the person's payment in Stripe, whose event arrives. */
async function refundAll(person: SignedInPerson): Promise<void> {
  const [payment] = await paymentsOf(app, person)
  const made = await refund(app, payment ?? { id: '' })
  expect((await deliver(app, newEvent('refund.created', made))).status).toBe(200)
}

describe('200', () => {
  test('pages of 25, the newest first, have each account once', async () => {
    const planted = await plant(60)
    expect(await allIds({})).toEqual({ ids: planted, pages: [25, 25, 10] })
  })

  test('a status is in the list from the write on that makes it true', async () => {
    const person = await newBuyer(app)
    const { table } = await app.ports()
    expect(await idsOf({ standing: 'active' })).toEqual([person.accountId])
    await table.update(keys.profile(person.accountId), expr`SET #status = ${'suspended'}`)
    expect(await idsOf({ standing: 'active' })).toEqual([])
    expect(await idsOf({ standing: 'suspended' })).toEqual([person.accountId])
    expect(await idsOf()).toEqual([person.accountId])
  })

  test('standings that share a status are told apart', async () => {
    const [confirmed, unconfirmed, closing, deactivated] = [
      await newBuyer(app),
      (await plant(1, { emailVerified: false }))[0],
      (await plant(1, { status: 'deactivated', eraseAtMs: Date.now() + 1 }))[0],
      (await plant(1, { status: 'deactivated' }))[0],
    ]
    expect(await idsOf({ standing: 'active' })).toEqual([confirmed.accountId])
    expect(await idsOf({ standing: 'unconfirmed' })).toEqual([unconfirmed])
    expect(await idsOf({ standing: 'closing' })).toEqual([closing])
    expect(await idsOf({ standing: 'deactivated' })).toEqual([deactivated])
  })

  test('who buys is in the lists of the bundle and of those who have paid', async () => {
    const buyer = await newBuyer(app)
    const other = await newBuyer(app, { bundle: 'DEVELOPER' })
    const free = await app.signUp()
    expect(await idsOf({ bundle: 'STARTER' })).toEqual([buyer.accountId])
    expect(await idsOf({ bundle: 'DEVELOPER', paid: 'true' })).toEqual([other.accountId])
    expect((await idsOf({ paid: 'true' })).sort()).toEqual([buyer.accountId, other.accountId].sort())
    expect(await idsOf({ paid: 'false' })).toEqual([free.accountId])
  })

  test('who runs low is in the list until more units are bought', async () => {
    const buyer = await newBuyer(app)
    await spendTo(app, buyer, 50)
    await app.job('check-quotas')
    expect(await listed({ low: 'true' })).toMatchObject({
      ...{ accounts: [{ id: buyer.accountId, left: 50, low: true }], next: null },
    })
    await app.request('POST', '/v1/user/buy', { token: buyer.accessToken })
    expect(await idsOf({ low: 'true' })).toEqual([])
    const { table } = await app.ports()
    expect((await table.list(keys.account(buyer.accountId), 'LISTED#low')).length).toBe(0)
  })

  test('who owes units is in the list until they are paid', async () => {
    const buyer = await newBuyer(app)
    await spendTo(app, buyer, 0)
    await refundAll(buyer)
    expect(await idsOf({ owed: 'true' })).toEqual([buyer.accountId])
    expect((await app.request('POST', '/v1/user/buy', { token: buyer.accessToken })).status).toBe(201)
    expect(await idsOf({ owed: 'true' })).toEqual([])
  })

  test('whose mail comes back is in the list until the address is set again', async () => {
    const { accountId, accessToken: token, email, username } = await app.signUp()
    const { handler } = await import('../../functions/jobs/note-mail-event.ts')
    await handler(app.stack.mail.report(email, 'bounce'))
    expect(await idsOf({ undeliverable: 'true' })).toEqual([accountId])
    const { status } = await app.request('PUT', `/rest/users/${username}`, { token, json: { email } })
    expect(status).toBe(200)
    expect(await idsOf({ undeliverable: 'true' })).toEqual([])
  })

  test('the days of the registration are both included', async () => {
    const { accountId } = await app.signUp()
    const today = new Date().toISOString().slice(0, 10)
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10)
    expect(await idsOf({ from: today, to: today })).toEqual([accountId])
    expect(await idsOf({ from: tomorrow })).toEqual([])
    expect(await idsOf({ from: tomorrow, to: today })).toEqual([])
  })

  test('an entry that is no longer true is left out, and never makes a page end early', async () => {
    const planted = await plant(120)
    const { table } = await app.ports()
    await table.putAll(planted.map((id) => (mark(id, 'low') as { put: Item }).put))
    const { ids, pages } = await allIds({ low: 'true' })
    expect([ids, pages]).toEqual([[], [0, 0, 0, 0, 0]])
  })

  test('with several filters a page looks at no more than a hundred accounts, and no match is lost', async () => {
    await plant(150)
    const buyer = await newBuyer(app)
    app.advance(-200_000)
    app.resetCalls()
    const first = await listed({ standing: 'active', paid: 'true' })
    expect(first).toMatchObject({ accounts: [{ id: buyer.accountId }], next: null })
    app.resetCalls()
    const rest = await listed({ standing: 'active', paid: 'false' })
    expect(rest.accounts).toHaveLength(25)
    expect(app.calls().dynamodb.Query).toBeLessThan(60)
  })
})

describe('requests and units do not depend on how many accounts there are', () => {
  test.each<[string, Record<string, string>]>([
    ['all', {}],
    ['of a standing', { standing: 'active' }],
    ['of two filters', { standing: 'active', paid: 'false' }],
    ['of nobody', { standing: 'suspended' }],
  ])('%s', async (_, filter) => {
    const costs = []
    for (const count of [130, 1000]) {
      await app.startAfresh()
      await plant(count)
      app.resetCalls()
      await listed(filter)
      const { dynamodb, readUnits, writeUnits } = app.calls()
      costs.push({ dynamodb, readUnits, writeUnits })
    }
    expect(costs[1]).toEqual(costs[0])
    expect(costs[0]?.writeUnits).toBe(0)
  })
})

test.each([{ cursor: 'x' }, { standing: 'gone' }, { low: 'false' }, { from: 'yesterday' }, { size: '9' }])(
  '400: %o',
  async (filter) => {
    expect((await list(filter as Record<string, string>)).status).toBe(400)
  },
)
