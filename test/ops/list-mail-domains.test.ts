import { beforeEach, expect, test } from 'vitest'
import { ruleDomain } from '../../core/account/mail-domains.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const list = async (query = '') =>
  (await app.request('GET', `/ops/read/mail-domains${query}`, { operator: 'read' })).body

test('200 lists each domain with its rule by name, page by page', async () => {
  expect(await list()).toEqual({ domains: [], next: null })
  const ports = await app.ports()
  const names = Array.from({ length: 101 }, (_, at) => `d${String(at).padStart(3, '0')}.example`)
  for (const name of names) await ruleDomain(ports, name, 'block', 'tested')
  const first = await list()
  const second = await list(`?cursor=${first.next}`)
  expect([first.domains.length, second.next]).toEqual([100, null])
  const all: { domain: string }[] = [...first.domains, ...second.domains]
  expect(all.map(({ domain }) => domain)).toEqual(names)
  expect(all[0]).toEqual({ domain: names[0], rule: 'block', at: new Date().toISOString() })
})
