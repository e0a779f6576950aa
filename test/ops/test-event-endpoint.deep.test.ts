import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { addedEndpoint, auditOf, endpoints } from '../support/event-endpoints.ts'

const app = await startApp()
beforeEach(app.startAfresh)

test('200 with what came of it, and the audit log has it', async () => {
  const { id } = await addedEndpoint(app, { url: 'http://127.0.0.1:9/' })
  const { status, body } = await endpoints(app, 'POST', `/${id}/test`, {}, 'support')
  expect([status, body]).toEqual([200, { delivered: false, result: 'ECONNREFUSED' }])
  expect(await auditOf(app, 'support')).toMatchObject([
    { action: 'operator.endpoint_tested', after: { endpoint: id, result: body.result } },
  ])
})

test('404 without such an endpoint', async () => {
  expect((await endpoints(app, 'POST', `/${'f'.repeat(24)}/test`, {}, 'support')).status).toBe(404)
})
