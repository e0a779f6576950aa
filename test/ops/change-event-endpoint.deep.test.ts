import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { addedEndpoint, auditOf, endpoints, HOOK_URL, listedEndpoints } from '../support/event-endpoints.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const change = (id: string, json: object) => endpoints(app, 'PUT', `/${id}`, json)

test('200: what is sent changes, what is left out or empty stays, and the audit log has before and after', async () => {
  const { id } = await addedEndpoint(app, { types: ['account.erased'] })
  app.advance(1)
  const moved = await change(id, { url: 'https://hooks.example/moved' })
  expect([moved.status, moved.body.endpoint]).toMatchObject([
    200,
    { id, url: 'https://hooks.example/moved', types: ['account.erased'], enabled: true },
  ])
  app.advance(1)
  const off = await change(id, { url: '', types: '', enabled: false })
  expect(off.body.endpoint).toEqual({ ...moved.body.endpoint, enabled: false })
  expect(await listedEndpoints(app)).toEqual([off.body.endpoint])
  expect((await auditOf(app, 'admin')).slice(1)).toMatchObject([
    {
      action: 'operator.endpoint_changed',
      reason: 'our billing system',
      before: { endpoint: id, url: HOOK_URL, enabled: true },
      after: { endpoint: id, url: 'https://hooks.example/moved', enabled: true },
    },
    { before: { enabled: true }, after: { enabled: false } },
  ])
})

test('200: to enable an endpoint forgets that nothing got to it', async () => {
  const { id } = await addedEndpoint(app)
  const { table } = await app.ports()
  const [stored = {}] = await table.list('ENDPOINTS', '')
  const { pk, sk } = stored
  await table.put({
    ...{ ...stored, pk: String(pk), sk: String(sk), enabled: false, failingSinceMs: 1, disabledAtMs: 2 },
  })
  expect((await change(id, { types: [] })).body.endpoint).toMatchObject({
    failingSince: '1970-01-01T00:00:00.001Z',
    disabledAt: '1970-01-01T00:00:00.002Z',
  })
  const { endpoint } = (await change(id, { enabled: true })).body
  expect(endpoint.enabled).toBe(true)
  expect(endpoint).toMatchObject({ failingSince: null, disabledAt: null })
  expect(Object.keys(endpoint)).not.toEqual(expect.arrayContaining(['disabledAtMs']))
})

test('of two changes at once none undoes the other: each is whole, or is answered 409', async () => {
  const { id } = await addedEndpoint(app)
  const both = await Promise.all([
    change(id, { url: 'https://hooks.example/moved' }),
    change(id, { types: ['account.erased'] }),
  ])
  const [moved, narrowed] = both.map(({ status }) => status === 200)
  expect(both.every(({ status }) => status === 200 || status === 409)).toBe(true)
  expect(await listedEndpoints(app)).toMatchObject([
    { url: moved ? 'https://hooks.example/moved' : HOOK_URL, types: narrowed ? ['account.erased'] : [] },
  ])
})

test('400 for an address that gets no events, and the endpoint stays as it is', async () => {
  const { id } = await addedEndpoint(app)
  expect((await change(id, { url: 'http://hooks.example/' })).status).toBe(400)
  expect(await listedEndpoints(app)).toMatchObject([{ url: HOOK_URL }])
})

test('404 without such an endpoint, and nothing is recorded', async () => {
  expect((await change('f'.repeat(24), { enabled: true })).status).toBe(404)
  expect(await auditOf(app, 'admin')).toEqual([])
})
