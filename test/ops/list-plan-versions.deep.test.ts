import { expect, test } from 'vitest'
import { defaultCatalogue } from '../../core/purchases/catalogue.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200 with the versions, newest first, page by page', async () => {
  for (const trialUnits of [1, 2, 3]) {
    const json = { catalogue: { ...defaultCatalogue, trialUnits }, reason: `trial ${trialUnits}` }
    await app.request('PUT', '/ops/admin/plans', { operator: 'admin', json })
  }
  const list = async (query: string) =>
    (await app.request('GET', `/ops/read/plans/versions${query}`, { operator: 'read' })).body.versions
  const shown = (await list('?limit=2')).map(({ version, reason }: { version: number; reason: string }) => [
    version,
    reason,
  ])
  expect(shown).toEqual([
    [3, 'trial 3'],
    [2, 'trial 2'],
  ])
  expect((await list('?limit=2&cursor=2')).map(({ version }: { version: number }) => version)).toEqual([1])
})
