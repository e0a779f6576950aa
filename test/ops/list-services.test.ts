import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newService, revoke } from '../support/services.ts'

const app = await startApp()

test('200 with no service, and later with all by name, those that were revoked too', async () => {
  const list = () => app.request('GET', '/ops/read/services', { operator: 'read' })
  expect((await list()).body).toEqual({ services: [] })
  const [first, second] = [await newService(app), await newService(app)]
  await revoke(app, first)
  const { status, body } = await list()
  expect([status, body.services]).toEqual([
    200,
    [
      expect.objectContaining({ name: first.name, revokedAt: new Date().toISOString() }),
      expect.objectContaining({ name: second.name, revokedAt: null }),
    ],
  ])
  expect(JSON.stringify(body)).not.toMatch(/bss_|hash/)
})
