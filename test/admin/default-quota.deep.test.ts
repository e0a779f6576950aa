import { beforeEach, expect, test } from 'vitest'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { askAs, newAdminKey, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'read')
})

const read = () => askAs(app, key, 'GET', '/quotas/default')

test('200 with the units of the trial and of each plan, and with the thresholds that they have', async () => {
  const { status, body } = await read()
  expect([status, body]).toEqual([
    200,
    {
      trialUnits: 100,
      plans: [
        { name: 'STARTER', units: 1_000, lowPercent: 10, renewalPercent: 1 },
        { name: 'DEVELOPER', units: 100_000, lowPercent: 10, renewalPercent: 1 },
        { name: 'ENTERPRISE', units: 1_000_000, lowPercent: 10, renewalPercent: 1 },
      ],
    },
  ])
})

test('200 follows the plans that an operator puts on sale', async () => {
  const more = { name: 'TINY', units: 10, prices: { USD: 100 }, lowPercent: 20, renewalPercent: 5 }
  const catalogue = { trialUnits: 7, plans: [...defaultCatalogue.plans, more] }
  await app.request('PUT', '/ops/admin/plans', {
    operator: 'admin',
    json: { catalogue, replaces: 0, reason: 'a small one' },
  })
  const { body } = await read()
  expect([body.trialUnits, body.plans.at(-1)]).toEqual([
    7,
    { name: 'TINY', units: 10, lowPercent: 20, renewalPercent: 5 },
  ])
})
