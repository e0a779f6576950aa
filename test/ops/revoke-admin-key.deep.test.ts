import { beforeEach, expect, test } from 'vitest'
import { askAs, newAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const revoke = (name: string) =>
  app.request('POST', `/ops/admin/admin-keys/${name}/revoke`, {
    operator: 'admin',
    json: { reason: 'out of use' },
  })
const entries = async () => (await app.ports()).table.list('OPERATOR#local-admin', 'AUDIT#')

test('200 keeps the key in the list with the time; a repeat is answered alike and leaves no second entry', async () => {
  const { name } = await newAdminKey(app, 'support')
  app.advance(60_000)
  const revokedAt = new Date().toISOString()
  const first = await revoke(name)
  expect([first.status, first.body.adminKey]).toEqual([200, expect.objectContaining({ name, revokedAt })])
  app.advance(60_000)
  expect((await revoke(name)).body).toEqual(first.body)
  expect(await entries()).toMatchObject([{ action: 'operator.admin_key_revoked', reason: 'out of use' }])
})

test('200 frees the name, and the old key stays refused', async () => {
  const old = await newAdminKey(app, 'read')
  await revoke(old.name)
  const json = { name: old.name, role: 'read', reason: 'a new one' }
  const { body } = await app.request('POST', '/ops/admin/admin-keys', { operator: 'admin', json })
  const answers = [old, body].map((key) => askAs(app, key, 'GET', '/users'))
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([401, 200])
})

test('404 for an unknown name', async () => {
  expect((await revoke('crm')).status).toBe(404)
  expect(await entries()).toEqual([])
})
