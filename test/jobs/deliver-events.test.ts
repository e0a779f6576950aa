import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { hookSender, isPublicAddress, publicLookup } from '../../core/adapters/hook-sender.ts'
import { parseAudit } from '../../core/audit/entry.ts'
import { parseDelivery, replayEvents, testEndpoint } from '../../core/events/deliveries.ts'
import { addEndpoint, changeEndpoint, listEndpoints, rotateEndpoint } from '../../core/events/endpoints.ts'
import { announce } from '../../core/events/outbox.ts'
import { DELIVERY_PREFIX } from '../../core/table/keys.ts'
import { writeAll } from '../../core/table/write-all.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()
const ports = await app.ports()

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

interface Received {
  headers: Record<string, string>
  body: string
}

/** A system of the operator that gets events. */
const received: Received[] = []
let status = 204
const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part) => parts.push(part))
  request.on('end', () => {
    received.push({
      headers: request.headers as Record<string, string>,
      body: Buffer.concat(parts).toString(),
    })
    response
      .writeHead(status, status === 302 ? { location: '/elsewhere' } : {})
      .end('an answer that nobody reads')
  })
})
await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
afterAll(() => server.close())
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`

beforeEach(async () => {
  await app.startAfresh()
  received.splice(0)
  status = 204
})

const reason = 'a test'
const add = (types: string[] = []) => addEndpoint(ports, { url, types, reason })

async function happen(type: 'account.erased' | 'account.deactivated' = 'account.erased'): Promise<void> {
  await writeAll(ports, [announce(ports, ports.ids.accountId(), type, {})])
  await app.job('publish-events')
}

const deliveries = async (id: string) =>
  (await ports.table.list(`ENDPOINT#${id}`, DELIVERY_PREFIX)).map(parseDelivery)

/** What the audit log has of an operator or a job. */
const audited = async (name: string) => (await ports.table.list(`OPERATOR#${name}`, 'AUDIT#')).map(parseAudit)

/** Whether the published library of Standard Webhooks verifies what was received. */
function verifies(secret: string, { headers, body }: Received): boolean {
  try {
    return new Webhook(secret).verify(body, headers) !== undefined
  } catch {
    return false
  }
}

describe('an event', () => {
  test('gets to each endpoint that wants its type once, signed so that standardwebhooks verifies it', async () => {
    const [all, some] = [await add(), await add(['account.deactivated'])]
    await happen('account.erased')
    expect(await app.job('deliver-events')).toEqual({ done: 1, failed: 0 })
    expect(await app.job('deliver-events')).toEqual({ done: 0, failed: 0 })
    const [one] = received
    expect(received).toHaveLength(1)
    expect(one && verifies(all.secret, one)).toBe(true)
    expect(one && verifies(some.secret, one)).toBe(false)
    const event = JSON.parse(one?.body ?? '')
    expect(event).toMatchObject({ type: 'account.erased', sequence: 1, id: one?.headers['webhook-id'] })
    expect(await deliveries(all.endpoint.id)).toEqual([
      expect.objectContaining({ eventId: event.id, state: 'delivered', tries: 1, lastResult: '204' }),
    ])
  })

  test('is signed with both secrets for a day after a rotation, then with the new one alone', async () => {
    const { endpoint, secret: old } = await add()
    const { secret } = await rotateEndpoint(ports, endpoint.id, reason)
    await happen()
    await app.job('deliver-events')
    expect([old, secret].map((each) => verifies(each, received[0] as Received))).toEqual([true, true])
    app.advance(DAY_MS)
    await happen()
    await app.job('deliver-events')
    expect([old, secret].map((each) => verifies(each, received[1] as Received))).toEqual([false, true])
  })

  test.each([500, 302, 404])('that is answered %i is sent again later with the same id', async (refusal) => {
    status = refusal
    const { endpoint } = await add()
    await happen()
    expect(await app.job('deliver-events')).toEqual({ done: 0, failed: 0 })
    await app.job('deliver-events')
    expect(received).toHaveLength(1)
    expect(await deliveries(endpoint.id)).toMatchObject([{ state: 'waiting', lastResult: String(refusal) }])
    status = 200
    app.advance(60_000)
    expect(await app.job('deliver-events')).toEqual({ done: 1, failed: 0 })
    expect(new Set(received.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
    expect((await listEndpoints(ports))[0]).not.toHaveProperty('failingSinceMs')
  })

  test('is tried for three days in ever longer waits, then given up; its endpoint is disabled and told of once', async () => {
    status = 503
    const { endpoint } = await add()
    await happen()
    for (let hours = 0; hours <= 80; hours++) {
      await app.job('deliver-events')
      app.advance(HOUR_MS)
    }
    expect(await deliveries(endpoint.id)).toMatchObject([{ state: 'failed' }])
    expect(received.length).toBeGreaterThan(12)
    expect(received.length).toBeLessThan(30)
    expect(await listEndpoints(ports)).toMatchObject([{ enabled: false, disabledAtMs: expect.any(Number) }])
    const alarms = app.logs.filter((line) => JSON.parse(line).level === 'alarm')
    expect(alarms).toEqual([expect.stringContaining(endpoint.id)])
    expect(await audited('deliver-events')).toMatchObject([
      { action: 'endpoint.disabled', by: 'system', after: { endpoint: endpoint.id } },
    ])
    // What happens from now on is held until it is enabled and a replay asks for it.
    await happen()
    await app.job('deliver-events')
    expect((await deliveries(endpoint.id)).map(({ state }) => state).sort()).toEqual(['failed', 'held'])
    await changeEndpoint(ports, endpoint.id, { enabled: true }, reason)
    status = 200
    const all = { sinceMs: 0, untilMs: Date.now() }
    expect(await replayEvents(ports, endpoint.id, all, reason)).toEqual({ replayed: 2 })
    expect(await app.job('deliver-events')).toEqual({ done: 2, failed: 0 })
  })
})

describe('a test event', () => {
  test('gets to its endpoint at once, signed, also while the endpoint is disabled, and is no delivery', async () => {
    const { endpoint, secret } = await add()
    await changeEndpoint(ports, endpoint.id, { enabled: false }, reason)
    expect(await testEndpoint(ports, endpoint.id, reason)).toEqual({ delivered: true, result: '204' })
    const [one] = received
    expect(one && verifies(secret, one)).toBe(true)
    expect(JSON.parse(one?.body ?? '')).toMatchObject({
      ...{ type: 'endpoint.tested', sequence: 0, accountId: '0'.repeat(24), data: { endpoint: endpoint.id } },
    })
    expect(await deliveries(endpoint.id)).toEqual([])
  })

  test('that is refused is answered with the refusal, and is not sent again', async () => {
    status = 500
    const { endpoint } = await add()
    expect(await testEndpoint(ports, endpoint.id, reason)).toEqual({ delivered: false, result: '500' })
    await app.job('deliver-events')
    expect(received).toHaveLength(1)
    expect((await listEndpoints(ports))[0]).not.toHaveProperty('failingSinceMs')
  })
})

describe('when deployed', () => {
  const deployed = hookSender({ mayBeLocal: false })

  test.each([
    ...[
      'http://hooks.example/',
      'https://user:secret@hooks.example/',
      'ftp://hooks.example/',
      'hooks.example',
    ],
    ...[
      'https://localhost/',
      'https://127.0.0.1/',
      'https://2130706433/',
      'https://0x7f.1/',
      'https://10.1.2.3/',
    ],
    ...['https://169.254.169.254/latest/meta-data', 'https://[::1]/', 'https://[::ffff:127.0.0.1]/'],
    ...[
      'https://[fe80::1]/',
      'https://[fd00:ec2::254]/',
      'https://[64:ff9b::7f00:1]/',
      'https://[2002:7f00:1::]/',
    ],
  ])('%s gets no events, and nothing is sent to it', async (target) => {
    expect(deployed.permits(target)).toBe(false)
    expect(await deployed.send(target, {}, '{}')).toBe('address refused')
  })

  test('a name that leads to this machine is refused by the look-up of the connection itself', async () => {
    for (const all of [true, false]) {
      const refused = await new Promise((done) => publicLookup('localhost', { all }, (error) => done(error)))
      expect(refused).toEqual(new Error('not public'))
    }
  })

  test('public addresses may get events', () => {
    expect(deployed.permits('https://hooks.example/path?x=1')).toBe(true)
    expect(['8.8.8.8', '2606:4700::1111'].map(isPublicAddress)).toEqual([true, true])
    expect(['100.64.0.1', '192.168.1.1', '::', 'fc00::1'].map(isPublicAddress)).toEqual([
      false,
      false,
      false,
      false,
    ])
  })
})

test('an endpoint that is not permitted is not made', async () => {
  const wanted = addEndpoint(ports, { url: 'http://hooks.example/', types: [], reason })
  await expect(wanted).rejects.toMatchObject({ code: 'invalid_request' })
  expect(await listEndpoints(ports)).toEqual([])
})
