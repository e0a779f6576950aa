import { beforeEach, expect, test } from 'vitest'
import { monthlyKey } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import {
  changeTo,
  type Entry,
  expectBooksAgree,
  ledgerOf,
  noticesOf,
  shown,
  signUpFor,
} from '../support/buyers.ts'
import { defaultKey } from '../support/keys.ts'
import { operate } from '../support/operate.ts'
import type { Person, SignedInPerson } from '../support/people.ts'
import { consume } from '../support/quota.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const DAY_MS = 86_400_000
const PLANS = [
  { name: 'MONTHLY', units: 1000, prices: { USD: 99 }, monthlyUnits: 50 },
  { name: 'PLAIN', units: 1000, prices: { USD: 199 } },
]
const grant = () => app.job('grant-monthly')

/** A person who has taken the plan with monthly units, on November 21. */
async function holder(): Promise<SignedInPerson> {
  const catalogue = { trialUnits: 0, plans: PLANS }
  const json = { reason: 'a test', catalogue }
  await app.request('PUT', '/ops/admin/plans', { operator: 'admin', json })
  const person = await app.signUp()
  expect((await signUpFor(app, person, 'MONTHLY', 'pm_card_visa')).status).toBe(204)
  return person
}

/** Lets time pass, and signs the person in again. */
async function later<P extends Person>(owner: P, ms: number): Promise<P & SignedInPerson> {
  app.advance(ms)
  return { ...owner, ...(await app.login(owner)) }
}

/** What notices say of units that were given, the newest first. */
const toldOfGrants = async (owner: SignedInPerson): Promise<string[]> =>
  (await shown(app, owner, '/api/users/current/notifications'))
    .filter(({ messageType }: { messageType: string }) => messageType === 'units_granted')
    .map(({ message }: { message: string }) => message)

const grantsOf = async (owner: SignedInPerson): Promise<(Entry & { expiresAt?: string })[]> =>
  (await ledgerOf(app, owner)).filter(({ kind }) => kind === 'grant')

test('the units of the month come with the sale, and then each month on its day, when those before expire', async () => {
  let owner = await holder()
  expect(await grantsOf(owner)).toMatchObject([{ units: 50, expiresAt: '2026-12-21T00:00:00.000Z' }])
  expect(await grant()).toEqual({ done: 0, failed: 0 })
  expect(await toldOfGrants(owner)).toEqual([
    'Your MONTHLY bundle gives you 50 units this month. Use them before 2026-12-21 00:00 UTC.',
  ])
  await consume(app, await defaultKey(app, owner), { units: 20 })
  owner = await later(owner, 29 * DAY_MS)
  expect(await grant()).toEqual({ done: 0, failed: 0 })
  owner = await later(owner, DAY_MS)
  await app.job('expire-lots')
  expect(await grant()).toEqual({ done: 1, failed: 0 })
  expect(await grant()).toEqual({ done: 0, failed: 0 })
  expect((await ledgerOf(app, owner)).slice(-2)).toMatchObject([
    { kind: 'expiry', units: -30 },
    { kind: 'grant', units: 50, expiresAt: '2027-01-21T00:00:00.000Z' },
  ])
  expect(await noticesOf(app, owner)).not.toContain('units_expiring')
  await expectBooksAgree(app, owner)
})

test('an account that was deactivated gets none of the units that it has missed, and those of this month once it is back', async () => {
  let owner = await holder()
  await app.request('PUT', '/api/users/current/deactivate', { token: owner.accessToken })
  app.advance(75 * DAY_MS)
  expect(await grant()).toEqual({ done: 0, failed: 0 })
  const { email, password } = owner
  await app.request('POST', '/api/users/restore', { json: { email, password } })
  expect(await grant()).toEqual({ done: 1, failed: 0 })
  owner = await later(owner, 0)
  expect((await grantsOf(owner)).map(({ expiresAt }) => expiresAt)).toEqual([
    '2026-12-21T00:00:00.000Z',
    '2027-02-21T00:00:00.000Z',
  ])
})

test('a suspended account gets none until the suspension ends', async () => {
  let owner = await holder()
  await operate(app, owner, 'suspend', {})
  app.advance(40 * DAY_MS)
  expect(await grant()).toEqual({ done: 0, failed: 0 })
  await operate(app, owner, 'resume', {})
  expect(await grant()).toEqual({ done: 1, failed: 0 })
  owner = await later(owner, 0)
  expect(await grantsOf(owner)).toHaveLength(2)
})

test('after a change to a plan without monthly units no more come, and nothing is due', async () => {
  let owner = await holder()
  app.advance(11_000)
  expect((await changeTo(app, owner, 'PLAIN')).status).toBe(204)
  owner = await later(owner, 31 * DAY_MS)
  expect(await grant()).toEqual({ done: 0, failed: 0 })
  expect(await grantsOf(owner)).toHaveLength(1)
  expect(await (await app.ports()).table.get(monthlyKey(owner.accountId))).toBeUndefined()
})

test('an erased account gets none, and nothing is due', async () => {
  const owner = await holder()
  const json = { reason: 'a test', confirm: owner.accountId }
  const path = `/ops/admin/accounts/${owner.accountId}/erase`
  expect((await app.request('POST', path, { operator: 'admin', json })).status).toBe(200)
  app.advance(40 * DAY_MS)
  expect(await grant()).toEqual({ done: 0, failed: 0 })
  expect(await (await app.ports()).table.get(monthlyKey(owner.accountId))).toBeUndefined()
})

test('units that the account owes are taken out of those of the month', async () => {
  let owner = await holder()
  await operate(app, owner, 'take', { units: 1_170, owe: true })
  owner = await later(owner, 30 * DAY_MS)
  await grant()
  expect((await ledgerOf(app, owner)).slice(-2)).toMatchObject([
    { kind: 'grant', units: 50 },
    { kind: 'take', units: -20 },
  ])
  const [notice] = await shown(app, owner, '/api/users/current/notifications')
  expect(notice.message).toMatch(
    /^Your MONTHLY bundle gives you 50 units this month. We kept 20 units of them/,
  )
  await expectBooksAgree(app, owner)
})
