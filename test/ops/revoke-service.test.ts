import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newConsumer } from '../support/quota.ts'
import { newService, spendAs } from '../support/services.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const revoke = (name: string) =>
  app.request('POST', `/ops/admin/services/${name}/revoke`, {
    operator: 'admin',
    json: { reason: 'out of use' },
  })
const entries = async () => (await app.ports()).table.list('OPERATOR#local-admin', 'AUDIT#')

test('200 keeps the service in the list with the time; a repeat is answered alike and leaves no second entry', async () => {
  const { name } = await newService(app)
  app.advance(60_000)
  const revokedAt = new Date().toISOString()
  const first = await revoke(name)
  expect([first.status, first.body.service]).toEqual([200, expect.objectContaining({ name, revokedAt })])
  app.advance(60_000)
  expect((await revoke(name)).body).toEqual(first.body)
  expect(await entries()).toHaveLength(1)
})

test('200 frees the name, and the old credential stays refused', async () => {
  const old = await newService(app)
  await revoke(old.name)
  const json = { name: old.name, reason: 'a new one' }
  const { body } = await app.request('POST', '/ops/admin/services', { operator: 'admin', json })
  const { key } = await newConsumer(app)
  const answers = [old, { name: old.name, credential: body.credential }].map((service) =>
    spendAs(app, service, { key }),
  )
  expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([401, 200])
})

test('404 for an unknown name', async () => {
  expect((await revoke('gateway')).status).toBe(404)
  expect(await entries()).toEqual([])
})
