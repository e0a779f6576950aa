import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { startApp } from '../support/app.ts'
import { buy, expectBooksAgree, newBuyer, paymentsOf, refund, unitsLeft } from '../support/buyers.ts'
import { wholeTable } from '../support/erasure.ts'
import type { Person } from '../support/people.ts'
import { consume } from '../support/quota.ts'
import { stripeOf } from '../support/stripe.ts'

/** Purchases that a restored table lacks are made again from their payments at Stripe, once. */

const app = await startApp()
beforeEach(app.startAfresh)
afterEach(() => vi.unstubAllEnvs())
const { dashboard } = stripeOf(app)

const MINUTE_MS = 60_000

type Items = Record<string, unknown>[]

/** Brings the table back to what it was: what was added goes, what was changed is as before. */
async function restore(backup: Items): Promise<void> {
  const { table } = await app.ports()
  const keyOf = ({ pk, sk }: Record<string, unknown>) => `${pk} ${sk}`
  const kept = new Set(backup.map(keyOf))
  for (const item of await wholeTable(app))
    if (!kept.has(keyOf(item))) await table.remove({ pk: String(item.pk), sk: String(item.sk) })
  for (const item of backup) await table.put(item as never)
  vi.stubEnv('SESSIONS_SINCE', new Date(Date.now()).toISOString())
}

/** The alarms of the sweeps of an hour. */
async function sweepForAnHour(): Promise<string[]> {
  const alarms: string[] = []
  for (let sweeps = 0; sweeps < 6; sweeps++) {
    app.advance(10 * MINUTE_MS)
    alarms.push(...(await app.job('sweep')).alarms)
  }
  return alarms
}

/** A buyer with 1,100 units at the backup who has bought 1,000 more since. */
async function withPurchaseSince() {
  const person = await newBuyer(app)
  app.advance(20 * MINUTE_MS)
  await app.job('sweep')
  const backup = await wholeTable(app)
  app.advance(MINUTE_MS)
  const signedIn = await app.login(person)
  expect((await buy(app, signedIn)).status).toBe(201)
  const payment = (await paymentsOf(app, person)).at(-1)
  if (!payment) throw new Error('no payment')
  return { person, backup, payment }
}

const left = async (person: Person) => unitsLeft(app, await app.login(person))

describe('a purchase that a restore has lost', () => {
  test('is credited once, also by sweeps at once, and its books agree', async () => {
    const { person, backup } = await withPurchaseSince()
    await restore(backup)
    app.advance(20 * MINUTE_MS)
    await Promise.all([app.job('sweep'), app.job('sweep')])
    expect(await sweepForAnHour()).toEqual([])
    expect(await left(person)).toBe(2100)
    await expectBooksAgree(app, await app.login(person))
  })

  test('is taken back by its refund since', async () => {
    const { person, backup, payment } = await withPurchaseSince()
    await refund(app, payment)
    await restore(backup)
    expect(await sweepForAnHour()).toEqual([])
    expect(await left(person)).toBe(1100)
  })

  test.each<[string, string]>([
    ['says what was sold no more', ''],
    ['says it in a form that nobody writes', '{"kind":"buy","bundle":"STARTER","units":-1}'],
  ])('whose payment %s raises an alarm and gives nothing', async (_, sold) => {
    const { person, backup, payment } = await withPurchaseSince()
    await dashboard.paymentIntents.update(payment.id, { metadata: { sold } })
    await restore(backup)
    expect(await sweepForAnHour()).toEqual([expect.stringContaining('no purchase is recorded; refund it')])
    expect(await left(person)).toBe(1100)
  })
})

test('without a restore a payment without a purchase raises an alarm and gives nothing', async () => {
  const { person, backup } = await withPurchaseSince()
  await restore(backup)
  vi.unstubAllEnvs()
  expect(await sweepForAnHour()).toEqual([expect.stringContaining('no purchase is recorded; refund it')])
  expect(await left(person)).toBe(1100)
})

test('no bundle renews before the payments from before the restore are compared', async () => {
  const { person, backup } = await withPurchaseSince()
  await restore(backup)
  expect((await consume(app, person.key, { units: 1095 })).status).toBe(200)
  const payments = async () => (await paymentsOf(app, person)).length
  await app.job('check-quotas')
  await app.startedRenewals()
  expect(await payments()).toBe(2)
  expect(await sweepForAnHour()).toEqual([])
  await app.job('check-quotas')
  expect(await payments()).toBe(2)
  expect(await left(person)).toBe(1005)
})
