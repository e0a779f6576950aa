import { beforeEach, expect, test } from 'vitest'
import { parseDelivery } from '../../core/events/deliveries.ts'
import { announce } from '../../core/events/outbox.ts'
import { DELIVERY_PREFIX } from '../../core/table/keys.ts'
import { writeAll } from '../../core/table/write-all.ts'
import { isoTime } from '../../functions/http/time-shapes.ts'
import { startApp } from '../support/app.ts'
import { addedEndpoint, auditOf, endpoints } from '../support/event-endpoints.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const replay = (id: string, json: object = {}) =>
  endpoints(app, 'POST', `/${id}/replay`, { since: isoTime(0), ...json }, 'support')

async function deliveries(id: string) {
  const { table } = await app.ports()
  return (await table.list(`ENDPOINT#${id}`, DELIVERY_PREFIX)).map(parseDelivery)
}

/** An endpoint that was disabled while two events happened, a minute apart, and is enabled again. */
async function missed(): Promise<{ id: string; at: number[]; events: string[] }> {
  const { id } = await addedEndpoint(app)
  const ports = await app.ports()
  await endpoints(app, 'PUT', `/${id}`, { enabled: false })
  const at: number[] = []
  for (let n = 0; n < 2; n++) {
    at.push(ports.clock.nowMs())
    await writeAll(ports, [announce(ports, ports.ids.accountId(), 'account.erased', {})])
    await app.job('publish-events')
    app.advance(60_000)
  }
  await endpoints(app, 'PUT', `/${id}`, { enabled: true })
  return { id, at, events: (await deliveries(id)).map(({ eventId }) => eventId) }
}

test('200: every event that was held waits to be sent again, with the same ids, and the audit log counts them', async () => {
  const { id, events } = await missed()
  expect((await deliveries(id)).map(({ state }) => state)).toEqual(['held', 'held'])
  const { status, body } = await replay(id)
  expect([status, body]).toEqual([200, { replayed: 2, next: null }])
  expect((await deliveries(id)).map(({ state, eventId }) => [state, eventId])).toEqual(
    events.map((eventId) => ['waiting', eventId]),
  )
  expect(await auditOf(app, 'support')).toMatchObject([
    { action: 'operator.events_replayed', name: 'local-support', after: { endpoint: id, events: 2 } },
  ])
})

test('200: only events of the time span, or the one that is named, are sent again', async () => {
  const { id, at, events } = await missed()
  const [, second = 0] = at
  expect((await replay(id, { until: isoTime(second - 1) })).body).toEqual({ replayed: 1, next: null })
  expect((await deliveries(id)).map(({ state }) => state)).toEqual(['waiting', 'held'])
  expect((await replay(id, { eventId: events[1] })).body).toEqual({ replayed: 1, next: null })
  expect((await replay(id, { since: isoTime(second + 30_000) })).body).toEqual({ replayed: 0, next: null })
  expect((await deliveries(id)).map(({ state }) => state)).toEqual(['waiting', 'waiting'])
})

test('409 while the endpoint is disabled, 404 without it: nothing is sent or recorded', async () => {
  const { id } = await missed()
  await endpoints(app, 'PUT', `/${id}`, { enabled: false })
  expect((await replay(id)).status).toBe(409)
  expect((await replay('f'.repeat(24))).status).toBe(404)
  expect((await deliveries(id)).map(({ state }) => state)).toEqual(['held', 'held'])
  expect(await auditOf(app, 'support')).toEqual([])
})
