import { expect, test } from 'vitest'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
const compare = (catalogue: object) =>
  app.request('POST', '/ops/read/plans/compare', { operator: 'read', json: { catalogue } })

test('200 with each difference, and nothing is applied', async () => {
  const [starter, developer] = defaultCatalogue.plans
  const plans = [
    developer,
    { ...starter, prices: { USD: 199 } },
    { name: 'NEW', units: 5, prices: { USD: 60 } },
  ]
  const { status, body } = await compare({ trialUnits: 0, plans })
  expect([status, body.replaces]).toEqual([200, 0])
  expect(body.changes).toEqual([
    { change: 'changed', field: 'trialUnits', before: 100, after: 0 },
    { plan: 'ENTERPRISE', change: 'removed', before: expect.objectContaining({ units: 1_000_000 }) },
    { plan: 'STARTER', change: 'changed', field: 'prices', before: { USD: 99 }, after: { USD: 199 } },
    { plan: 'NEW', change: 'added', after: { units: 5, prices: { USD: 60 } } },
    { change: 'changed', field: 'plans', before: expect.any(Array), after: ['DEVELOPER', 'STARTER', 'NEW'] },
  ])
  expect((await compare(defaultCatalogue)).body).toEqual({ replaces: 0, changes: [] })
})

test('400 for plans with a mistake', async () => {
  expect((await compare({ trialUnits: 0, plans: [] })).status).toBe(400)
})
