import { afterEach, expect, test, vi } from 'vitest'
import { limitKey } from '../../core/limits/limits.ts'
import { functions } from '../../functions/deploy/functions.ts'
import { isBehindEdge } from '../../functions/deploy/permissions.ts'
import { consoleKey } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { EDGE_HEADER } from '../../functions/http/source-address.ts'
import { startApp } from '../support/app.ts'
import { newOperator } from '../support/console.ts'
import { newConsumer } from '../support/quota.ts'

const app = await startApp()

const SECRET = 'the-secret-of-this-stage'
const CALLER = '198.51.100.10'

afterEach(() => vi.unstubAllEnvs())

const through = (secret: string) => ({
  'cloudfront-viewer-address': `${CALLER}:46532`,
  'x-forwarded-for': CALLER,
  [EDGE_HEADER]: secret,
})

/** Makes a key and asks from where, and whether a key that is tied to the caller’s address may be used. */
async function seenWith(headers: Record<string, string>) {
  const { accessToken: token } = await newConsumer(app)
  const json = { name: 'worker', ip: [`${CALLER}/32`] }
  const { body: made } = await app.request('POST', '/v1/keys', { token, headers, json })
  const history: { action: string; ip: string }[] = (await app.request('GET', '/v1/user/activity', { token }))
    .body
  const ip = history.find(({ action }) => action === 'account.key-created')?.ip
  const balance = await app.request('GET', '/v1/usage/balance', { token: made.key, headers })
  return { ip, status: balance.status }
}

test('a forged address changes nothing, on a stage with a distribution or without', async () => {
  const unchanged = { ip: '127.0.0.1', status: 403 }
  expect(await seenWith(through(''))).toEqual(unchanged)
  expect(await seenWith(through(SECRET))).toEqual(unchanged)
  vi.stubEnv('EDGE_SECRET', SECRET)
  expect(await seenWith(through('a-guess'))).toEqual(unchanged)
})

test('behind the distribution, history and address lists see the caller’s own address', async () => {
  vi.stubEnv('EDGE_SECRET', SECRET)
  expect(await seenWith(through(SECRET))).toEqual({ ip: CALLER, status: 200 })
})

test('with API_ADDRESS=closed, what does not come through the distribution finds nothing', async () => {
  vi.stubEnv('EDGE_SECRET', SECRET)
  vi.stubEnv('API_ADDRESS', 'closed')
  const json = { email: 'ada@mail.example' }
  const ask = (headers: Record<string, string>) => app.request('POST', '/v1/auth/resend', { headers, json })
  for (const headers of [{}, through('a-guess')]) {
    app.resetCalls()
    const { status, body } = await ask(headers)
    expect({ status, body }).toEqual({ status: 404, body: { message: 'Not Found' } })
    expect(app.calls().dynamodb).toEqual({})
  }
  expect((await ask(through(SECRET))).status).toBe(204)
  vi.stubEnv('EDGE_SECRET', undefined)
  expect((await ask(through(SECRET))).status).toBe(404)
})

/** What anybody can send without a signature: all but what operators sign with AWS credentials, and Stripe its events. */
const unsigned = rows
  .filter(({ raw }) => raw !== true)
  .flatMap((row) => (row.auth === 'operator' ? row.routes.map(consoleKey) : row.routes))

test('so do customers, the console and holders of admin keys on every route, whatever their token', async () => {
  const { accessToken: token } = await newOperator(app, 'admin')
  vi.stubEnv('EDGE_SECRET', SECRET)
  vi.stubEnv('API_ADDRESS', 'closed')
  expect(
    unsigned.some((key) => / \/console\//.test(key)) && unsigned.some((key) => / \/admin\//.test(key)),
  ).toBe(true)
  for (const key of unsigned) {
    const [method = '', path = ''] = key.replaceAll(/\{\w+\}/g, 'x').split(' ')
    app.resetCalls()
    const { status, body } = await app.request(method, path, { token })
    expect([key, status, body, app.calls().dynamodb]).toEqual([key, 404, { message: 'Not Found' }, {}])
  }
  const whoami = () => app.request('GET', '/console/read/whoami', { token, headers: through(SECRET) })
  expect((await whoami()).status).toBe(200)
})

test('what operators sign with AWS credentials goes on at the API’s own address', async () => {
  vi.stubEnv('EDGE_SECRET', SECRET)
  vi.stubEnv('API_ADDRESS', 'closed')
  expect((await app.request('GET', '/ops/read/whoami', { operator: 'read' })).status).toBe(200)
})

test('every function that takes requests refuses so, but that of Stripe’s events, which are signed', () => {
  const open = functions
    .filter((one) => one.kind === 'endpoint' && !isBehindEdge(one))
    .map(({ name }) => name)
  expect(open).toEqual(['webhooks-stripe'])
  expect(functions.filter((one) => one.kind !== 'endpoint' && isBehindEdge(one))).toEqual([])
})

test('the hourly limit counts the caller’s own address, and forging one does not get around it', async () => {
  const deps = await app.ports()
  await deps.table.put({ ...limitKey(deps, 'mails-from', '127.0.0.1'), 'mails-from': 1_000 })
  const ask = async (secret: string) =>
    (
      await app.request('POST', '/v1/auth/resend', {
        headers: through(secret),
        json: { email: 'ada@mail.example' },
      })
    ).status
  expect(await ask(SECRET)).toBe(429)
  vi.stubEnv('EDGE_SECRET', SECRET)
  expect(await ask('a-guess')).toBe(429)
  expect(await ask(SECRET)).toBe(204)
})
