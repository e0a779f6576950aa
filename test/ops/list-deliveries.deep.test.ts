import { beforeEach, expect, test } from 'vitest'
import { announce } from '../../core/events/outbox.ts'
import { writeAll } from '../../core/table/write-all.ts'
import { isoTime } from '../../functions/http/time-shapes.ts'
import { startApp } from '../support/app.ts'
import { addedEndpoint, endpoints } from '../support/event-endpoints.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const list = (id: string, search = '') =>
  app.request('GET', `/ops/read/endpoints/${id}/deliveries${search}`, { operator: 'read' })

test('200: what was sent and what came of it, newest event first, page by page without a gap', async () => {
  const { id } = await addedEndpoint(app)
  await endpoints(app, 'PUT', `/${id}`, { enabled: false })
  const ports = await app.ports()
  const happened: string[] = []
  for (let n = 0; n < 3; n++) {
    happened.unshift(isoTime(ports.clock.nowMs()))
    await writeAll(ports, [announce(ports, ports.ids.accountId(), 'account.erased', {})])
    await app.job('publish-events')
    app.advance(60_000)
  }
  const all = await list(id)
  expect(all.body).toEqual(
    happened.map((happenedAt) => ({
      ...{ eventId: expect.any(String), type: 'account.erased', happenedAt, state: 'held', tries: 0 },
      ...{ lastTriedAt: null, result: null },
    })),
  )
  expect(all.headers.get('link')).toBe(null)
  const first = await list(id, '?limit=2')
  const [, next = ''] = /^<[^?]*(\?.*)>; rel="next"$/.exec(first.headers.get('link') ?? '') ?? []
  const second = await list(id, next)
  expect([...first.body, ...second.body]).toEqual(all.body)
  expect(second.headers.get('link')).toBe(null)
})

test('404 without such an endpoint; 400 for a position that no answer has shown', async () => {
  expect((await list('f'.repeat(24))).status).toBe(404)
  const { id } = await addedEndpoint(app)
  expect((await list(id, '?cursor=x')).status).toBe(400)
})
