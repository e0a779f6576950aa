import { beforeEach, expect, test } from 'vitest'
import { readEndpoint, secretsOf } from '../../core/events/endpoints.ts'
import { startApp } from '../support/app.ts'
import { addedEndpoint, auditOf, endpoints } from '../support/event-endpoints.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const DAY_MS = 86_400_000
const rotate = (id: string) => endpoints(app, 'POST', `/${id}/rotate`)

/** The secrets that sign the endpoint's events now. */
async function signing(id: string): Promise<string[]> {
  const ports = await app.ports()
  const endpoint = await readEndpoint(ports, id)
  return endpoint ? secretsOf(ports, endpoint) : []
}

test('201 with another secret; the old one signs as well until `oldUntil`, a day later, and then no more', async () => {
  const { id, secret } = await addedEndpoint(app)
  const { status, body } = await rotate(id)
  expect([status, body.endpoint.id]).toEqual([201, id])
  expect(body.secret).not.toBe(secret)
  const { clock } = await app.ports()
  expect(Date.parse(body.oldUntil) - clock.nowMs()).toBeGreaterThan(DAY_MS - 60_000)
  expect(await signing(id)).toEqual([body.secret, secret])
  app.advance(DAY_MS)
  expect(await signing(id)).toEqual([body.secret])
  const rotated = (await auditOf(app, 'admin')).filter(({ action }) => action === 'operator.endpoint_rotated')
  expect(rotated).toMatchObject([{ reason: 'our billing system', after: { endpoint: id } }])
  const audit = JSON.stringify(await auditOf(app, 'admin'))
  for (const each of [secret, body.secret]) expect(audit + app.logs.join()).not.toContain(each)
})

test('after a second rotation only the last two secrets sign', async () => {
  const { id } = await addedEndpoint(app)
  const second = (await rotate(id)).body.secret
  const third = (await rotate(id)).body.secret
  expect(await signing(id)).toEqual([third, second])
})

test('404 without such an endpoint', async () => {
  expect((await rotate('f'.repeat(24))).status).toBe(404)
})
