import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200 with the coupons by code, page by page', async () => {
  for (const code of ['CCCC', 'AAAA', 'BBBB'])
    await app.request('POST', '/ops/admin/coupons', {
      operator: 'admin',
      json: { code, units: 5, reason: 'a test' },
    })
  const list = async (query: string) =>
    (await app.request('GET', `/ops/read/coupons${query}`, { operator: 'read' })).body.coupons.map(
      ({ code }: { code: string }) => code,
    )
  expect(await list('?limit=2')).toEqual(['AAAA', 'BBBB'])
  expect(await list('?limit=2&cursor=BBBB')).toEqual(['CCCC'])
})
