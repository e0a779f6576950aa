import { expect, test } from 'vitest'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
const show = (query = '') => app.request('GET', `/ops/read/plans${query}`, { operator: 'read' })

test('200 with the deployed file until plans are applied, and later as version 0', async () => {
  const file = { version: 0, at: null, by: null, reason: null, catalogue: defaultCatalogue }
  expect((await show()).body).toEqual(file)
  const catalogue = { ...defaultCatalogue, trialUnits: 5 }
  const json = { catalogue, reason: 'a test' }
  expect((await app.request('PUT', '/ops/admin/plans', { operator: 'admin', json })).status).toBe(200)
  expect((await show()).body).toMatchObject({ version: 1, by: 'local-admin', reason: 'a test', catalogue })
  expect((await show('?version=0')).body).toEqual(file)
})

test('404 for a version that was never applied', async () => {
  expect((await show('?version=77')).status).toBe(404)
})
