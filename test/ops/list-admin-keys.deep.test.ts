import { expect, test } from 'vitest'
import { newAdminKey, revokeKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

test('200 with no key, and later with all by name, those that were revoked too', async () => {
  const list = () => app.request('GET', '/ops/read/admin-keys', { operator: 'read' })
  expect((await list()).body).toEqual({ adminKeys: [] })
  const [first, second] = [await newAdminKey(app, 'read'), await newAdminKey(app, 'admin')]
  await revokeKey(app, first)
  const { status, body } = await list()
  expect([status, body.adminKeys]).toEqual([
    200,
    [
      expect.objectContaining({ name: first.name, role: 'read', revokedAt: new Date().toISOString() }),
      expect.objectContaining({ name: second.name, role: 'admin', revokedAt: null }),
    ],
  ])
  expect(JSON.stringify(body)).not.toMatch(/bsa_|hash/)
})
