import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200 with the name at the end of the ARN and the role of the path', async () => {
  const { status, body } = await app.request('GET', '/ops/read/whoami', { operator: 'read' })
  expect([status, body]).toEqual([200, { name: 'local-read', role: 'read' }])
})

test('200 for an operator of a higher role', async () => {
  const { status, body } = await app.request('GET', '/ops/read/whoami', { operator: 'admin' })
  expect([status, body]).toEqual([200, { name: 'local-admin', role: 'read' }])
})

test('the log line names the operator', async () => {
  app.logs.length = 0
  await app.request('GET', '/ops/read/whoami', { operator: 'support' })
  expect(JSON.parse(app.logs[0] ?? '')).toMatchObject({ route: 'ops/whoami', operator: 'local-support' })
})
