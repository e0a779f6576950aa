import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { auditOf, endpoints, HOOK_URL, listedEndpoints } from '../support/event-endpoints.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const add = (json: object, operator?: 'support') => endpoints(app, 'POST', '', json, operator)

test('201 with a secret of 256 random bits, which neither the table nor the log has, and an entry in the audit log', async () => {
  const { status, body } = await add({ url: HOOK_URL, types: ['account.erased'] })
  const { id, ...endpoint } = body.endpoint
  expect([status, endpoint]).toEqual([
    201,
    {
      url: HOOK_URL,
      types: ['account.erased'],
      enabled: true,
      createdAt: expect.stringMatching(/Z$/),
      failingSince: null,
      disabledAt: null,
    },
  ])
  expect(Buffer.from(body.secret.replace('whsec_', ''), 'base64')).toHaveLength(32)
  const { table } = await app.ports()
  const stored = JSON.stringify(await table.list('ENDPOINTS', ''))
  expect(stored).toContain(id)
  expect(stored + app.logs.join()).not.toContain(body.secret.slice(6))
  expect(await auditOf(app, 'admin')).toMatchObject([
    {
      action: 'operator.endpoint_added',
      by: 'operator',
      name: 'local-admin',
      reason: 'our billing system',
      after: { endpoint: id, url: HOOK_URL },
    },
  ])
  expect((await add({ url: HOOK_URL })).body.secret).not.toBe(body.secret)
})

test('201 with empty types for all types, as a form sends them', async () => {
  expect((await add({ url: HOOK_URL, types: '' })).body.endpoint.types).toEqual([])
})

test.each([
  'http://hooks.example/',
  'https://user:secret@hooks.example/',
  'https://10.1.2.3/events',
  'https://169.254.169.254/latest/meta-data',
  'hooks.example/events',
  `https://hooks.example/${'a'.repeat(500)}`,
])('400 for %s, and nothing is made', async (url) => {
  const { status, body } = await add({ url })
  expect([status, body.errors[0].field]).toEqual([400, 'url'])
  expect(await listedEndpoints(app)).toEqual([])
  expect(await auditOf(app, 'admin')).toEqual([])
})

test('409 for the twenty-first endpoint: each event goes to all of them', async () => {
  for (let n = 0; n < 20; n++) expect((await add({ url: HOOK_URL })).status).toBe(201)
  expect((await add({ url: HOOK_URL })).status).toBe(409)
  expect(await listedEndpoints(app)).toHaveLength(20)
})
