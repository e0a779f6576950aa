import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { expectBooksAgree, ledgerOf, newBuyer, noticesOf, shown } from '../support/buyers.ts'
import type { Person } from '../support/people.ts'
import { consume, creditUnits } from '../support/quota.ts'
import { giveBack, reserve, unitsOf } from '../support/reservations.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const DAY_MS = 86_400_000
const expire = () => app.job('expire-lots')
const balanceOf = async (key: string) => (await app.request('GET', '/v1/usage/balance', { token: key })).body

/** A person with units that never expire. */
async function person() {
  const buyer = await newBuyer(app)
  return { ...buyer, key: (await shown(app, buyer)).apiKey as string }
}

/** Lets time pass, and signs the person in again. */
async function later<P extends Person>(owner: P, ms: number): Promise<P> {
  app.advance(ms)
  return { ...owner, ...(await app.login(owner)) }
}

test('units that expire are spent first, and what is left of them expires with a ledger entry, once', async () => {
  let owner = await person()
  const before = (await balanceOf(owner.key)).left
  await creditUnits(app, owner, 50, 10)
  expect((await consume(app, owner.key, { units: 20 })).body.left).toBe(before + 30)
  owner = await later(owner, 11 * DAY_MS)
  // The balance is exact before the job comes, and so is a consume.
  expect(await balanceOf(owner.key)).toMatchObject({ left: before, used: 20 })
  expect((await consume(app, owner.key, { units: before + 1 })).status).toBe(402)
  expect((await consume(app, owner.key, { units: 1 })).body.left).toBe(before - 1)
  await expire()
  await expire()
  const entries = await ledgerOf(app, owner)
  expect(entries.filter(({ kind }) => kind === 'expiry')).toMatchObject([{ units: -30, amount: 0 }])
  await expectBooksAgree(app, owner)
})

test('units of an account that nobody uses expire by the job alone, also while it is deactivated', async () => {
  const owner = await person()
  const before = (await balanceOf(owner.key)).left
  await creditUnits(app, owner, 50, 10)
  await app.request('PUT', '/api/users/current/deactivate', { token: owner.accessToken })
  app.advance(11 * DAY_MS)
  expect(await expire()).toMatchObject({ done: 1, failed: 0 })
  const { email, password } = owner
  await app.request('POST', '/api/users/restore', { json: { email, password } })
  expect(await balanceOf(owner.key)).toMatchObject({ left: before, used: 0 })
})

test('the balance says how many of the units expire when, at the beginning of a day', async () => {
  const { key, ...owner } = await person()
  expect(await balanceOf(key)).not.toHaveProperty('expiring')
  await creditUnits(app, owner, 50, 10)
  await creditUnits(app, owner, 30, 5)
  const { expiring } = await balanceOf(key)
  expect(expiring).toEqual([
    { units: 30, at: expect.stringMatching(/T00:00:00.000Z$/) },
    { units: 50, at: expect.stringMatching(/T00:00:00.000Z$/) },
  ])
  const days = (Date.parse(expiring[0].at) - (await app.ports()).clock.nowMs()) / DAY_MS
  expect(days >= 5 && days < 6).toBe(true)
  expect((await ledgerOf(app, owner)).slice(-2)).toMatchObject([
    { kind: 'grant', units: 50, expiresAt: expiring[1].at },
    { kind: 'grant', units: 30, expiresAt: expiring[0].at },
  ])
})

test('the owner is told once, a week before, of all units of a day; and not of units that are used', async () => {
  let owner = await person()
  await creditUnits(app, owner, 50, 20)
  await creditUnits(app, owner, 30, 20)
  owner = await later(owner, 12 * DAY_MS)
  await expire()
  expect(await noticesOf(app, owner)).not.toContain('units_expiring')
  owner = await later(owner, 2 * DAY_MS)
  await expire()
  await expire()
  const list = await shown(app, owner, '/api/users/current/notifications?limit=100')
  const told = list.filter(({ messageType }: { messageType: string }) => messageType === 'units_expiring')
  expect(told).toMatchObject([{ message: expect.stringMatching(/^80 units of yours will expire/) }])
  await creditUnits(app, owner, 10, 40)
  await consume(app, owner.key, { units: 90 })
  owner = await later(owner, 35 * DAY_MS)
  await expire()
  expect((await noticesOf(app, owner)).filter((type) => type === 'units_expiring')).toHaveLength(1)
})

test('units that a reservation holds when they expire can be used by it, and come back for a day', async () => {
  let { key, ...owner } = await person()
  await consume(app, key, { units: (await balanceOf(key)).left })
  await creditUnits(app, owner, 50, 1)
  const { clock } = await app.ports()
  const [, used = 0] = await unitsOf(app, key)
  // Half an hour before the units expire.
  app.advance(DAY_MS - (clock.nowMs() % DAY_MS) + DAY_MS - 1_800_000)
  const { id } = (await reserve(app, key, { units: 20, ttlSeconds: 3600 })).body
  app.advance(1_900_000)
  await expire()
  expect(await unitsOf(app, key)).toEqual([0, used, 20])
  await giveBack(app, key, id)
  expect((await consume(app, key, { units: 5 })).body.left).toBe(15)
  owner = await later(owner, DAY_MS)
  await expire()
  expect(await unitsOf(app, key)).toEqual([0, used + 5, 0])
  expect((await ledgerOf(app, owner)).filter(({ kind }) => kind === 'expiry')).toMatchObject([
    { units: -30 },
    { units: -15 },
  ])
})
