import { beforeEach, expect, test } from 'vitest'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { startApp } from '../support/app.ts'
import { paymentsOf, signUpFor } from '../support/buyers.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const CATALOGUE = { trialUnits: 7, plans: [{ name: 'ONE', units: 10, prices: { USD: 150 } }] }
const apply = (json: object, operator: 'admin' | 'support' = 'admin') =>
  app.request('PUT', '/ops/admin/plans', { operator, json: { reason: 'a test', ...json } })

test('200: the next sign-up takes the plans, the next trial its units, and a repeat makes no version', async () => {
  const { status, body } = await apply({ catalogue: CATALOGUE })
  expect([status, body]).toEqual([200, { version: 1, isNew: true }])
  expect((await apply({ catalogue: CATALOGUE })).body).toEqual({ version: 1, isNew: false })
  const person = await app.signUpOverHttp()
  expect((await signUpFor(app, person, 'STARTER', 'pm_card_visa')).status).toBe(400)
  expect((await signUpFor(app, person, 'ONE', 'pm_card_visa')).status).toBe(204)
  expect((await paymentsOf(app, person)).map(({ amount }) => amount)).toEqual([150])
  const shown = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(shown.body.bundle).toEqual({ name: 'ONE', quota: 17, price: 1.5 })
})

test('200: an older version comes back as a new one', async () => {
  await apply({ catalogue: CATALOGUE })
  expect((await apply({ catalogue: defaultCatalogue })).body).toEqual({ version: 2, isNew: true })
})

test('400 with every mistake, and nothing is applied', async () => {
  const plans = [{ name: 'A B', units: 0, prices: { EUR: 1 } }]
  const { status, body } = await apply({ catalogue: { trialUnits: -1, plans } })
  expect(status).toBe(400)
  expect(JSON.stringify(body)).toMatch(/trial has -1.*no name.*0 units.*no price in USD.*at least 50/)
  expect((await app.request('GET', '/ops/read/plans', { operator: 'read' })).body.version).toBe(0)
})

test('409 if another version was applied since the plans were compared', async () => {
  await apply({ catalogue: CATALOGUE })
  expect((await apply({ catalogue: defaultCatalogue, replaces: 0 })).status).toBe(409)
  expect((await apply({ catalogue: defaultCatalogue, replaces: 1 })).status).toBe(200)
})

test('two at once make one version each, whichever is first', async () => {
  const other = { ...CATALOGUE, trialUnits: 8 }
  const answers = await Promise.all([apply({ catalogue: CATALOGUE }), apply({ catalogue: other })])
  expect(answers.map(({ body }) => body.version).sort()).toEqual([1, 2])
})
