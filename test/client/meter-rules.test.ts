import { expect, test } from 'vitest'
import type { OpenTelemetry } from '../../functions/client/meter/telemetry.ts'
import { fakeMeter, meter } from '../../functions/client/meter.ts'
import { bursarDouble } from './bursar-double.ts'
import { manualClock } from './manual-clock.ts'

const request = (
  headers: Record<string, string> = { 'x-api-key': 'k' },
  url = 'http://service.test/reports/7',
) => new Request(url, { headers })
const fine = () => new Response('fine')

test('fakeMeter: balances are set, spends are read, and adapters refuse as the real ones', async () => {
  const fake = fakeMeter({ keys: { k: 3, admin: { units: 1, scopes: ['admin'] } } })
  const work = fake.fetch(fine, { units: 2, tag: 'report' })
  expect((await work(request())).status).toBe(200)
  const refused = await work(request())
  expect([refused.status, refused.headers.get('x-units-left')]).toEqual([402, '1'])
  expect((await work(request({ 'x-api-key': 'unknown' }))).status).toBe(401)
  const guarded = fake.fetch(fine, { requires: ['admin'] })
  expect((await guarded(request())).status).toBe(403)
  expect((await guarded(request({ 'x-api-key': 'admin' }))).status).toBe(200)
  expect(fake.spends).toEqual([
    { key: 'k', units: 2, tag: 'report' },
    { key: 'admin', units: 1 },
  ])
  fake.setUnits('k', 10)
  fake.refuseAll({ status: 503 })
  expect((await work(request())).status).toBe(503)
  fake.recover()
  expect((await work(request())).status).toBe(200)
  expect(fake.left('k')).toBe(8)
})

test('fakeMeter: failed work, unused parts of a reservation, and ids that repeat cost nothing', async () => {
  const fake = fakeMeter({ keys: { k: 20 } })
  const broken = fake.fetch(() => new Response('no', { status: 500 }), { units: 5 })
  await broken(request())
  await broken(request())
  expect([fake.left('k'), fake.spends]).toEqual([20, []])
  const stream = fake.fetch(
    (r: Request) => {
      fake.metered(r).charge(3)
      return fine()
    },
    { units: 8, reserve: true },
  )
  expect(await (await stream(request())).text()).toBe('fine')
  expect([fake.left('k'), fake.spends]).toEqual([17, [{ key: 'k', units: 3 }]])
  for (let at = 0; at < 2; at++) await fake.spend({ key: 'k', units: 2, requestId: 'job-1' })
  expect(fake.left('k')).toBe(15)
  await fake.close()
  expect(await fake.spend({ key: 'k', units: 1 })).toMatchObject({ status: 503, code: 'meter_closed' })
})

test('a rule reads units, tag and key from the request, and takes the place of the meter’s own member by member', async () => {
  const fake = fakeMeter({ keys: { k: 100 }, units: 7, tag: 'default' })
  await fake.fetch(fine)(request())
  await fake.fetch(fine, {
    units: async ({ header }) => Number(header('x-size')),
    tag: ({ method, path }) => `${method}:${path}`,
    key: ({ raw }) => new URL(raw.url).searchParams.get('key') ?? undefined,
  })(request({ 'x-size': '4' }, 'http://service.test/reports/7?key=k'))
  expect(fake.spends).toEqual([
    { key: 'k', units: 7, tag: 'default' },
    { key: 'k', units: 4, tag: 'GET:/reports/7' },
  ])
})

test('units that are no units are an error of the service, before anything is spent', async () => {
  const fake = fakeMeter({ keys: { k: 100 } })
  for (const units of [Number.NaN, -1, 1.5, 2_000_000_000]) {
    await expect(fake.fetch(fine, { units: () => units })(request())).rejects.toThrow(RangeError)
  }
  const spender = fake.fetch((r: Request) => {
    fake.metered(r).charge(2)
    return fine()
  })
  await expect(spender(request())).rejects.toThrow('`charge` needs a rule with `reserve`.')
  expect(fake.left('k')).toBe(100)
})

test('units of 0 only check, and failed work keeps its price without give-back', async () => {
  const fake = fakeMeter({ keys: { k: 1 } })
  expect((await fake.fetch(fine, { units: 0 })(request())).status).toBe(200)
  expect(fake.spends).toEqual([])
  await fake.fetch(() => new Response('no', { status: 502 }), { giveBack: false })(request())
  expect(fake.left('k')).toBe(0)
})

test('answers can be the service’s own, and a 503 tells customers nothing of the inside', async () => {
  const fake = fakeMeter({ keys: { k: 0 } })
  const own = fake.fetch(fine, {
    answer: ({ status, needed }) =>
      status === 402
        ? { status: 429, headers: { 'X-Plan': 'free' }, body: { error: 'upgrade', needed } }
        : undefined,
  })
  const refused = await own(request())
  expect(refused.status).toBe(429)
  expect(refused.headers.get('content-type')).toBe('application/json')
  expect(refused.headers.get('x-plan')).toBe('free')
  expect(await refused.json()).toEqual({ error: 'upgrade', needed: 1 })
  fake.refuseAll({ status: 503, code: 'service_refused' })
  const down = await own(request())
  expect(await down.json()).toMatchObject({ type: 'urn:bursar:problem:temporarily_unavailable', status: 503 })
  fake.refuseAll({ status: 429, retryAfterSeconds: 1.2 })
  expect((await own(request())).headers.get('retry-after')).toBe('2')
})

test('a response whose headers cannot be changed gets them all the same', async () => {
  const fake = fakeMeter({ keys: { k: 5 } })
  const answer = await fake.fetch(() => Response.redirect('http://service.test/there'))(request())
  expect([answer.status, answer.headers.get('location'), answer.headers.get('x-units-left')]).toEqual([
    302,
    'http://service.test/there',
    '4',
  ])
})

test('a body that breaks is work that failed', async () => {
  const fake = fakeMeter({ keys: { k: 20 } })
  const broken = fake.fetch(
    () => new Response(new ReadableStream({ pull: (controller) => controller.error(new Error('cut')) })),
    { units: 5, reserve: true },
  )
  await expect((await broken(request())).text()).rejects.toThrow()
  expect(fake.left('k')).toBe(20)
})

/** OpenTelemetry that notes what it is told. */
function noting() {
  const noted: string[] = []
  const recorder = (name: string) => ({
    add: (value: number, attributes = {}) =>
      void noted.push(`${name} ${value} ${JSON.stringify(attributes)}`),
    record: (value: number, attributes = {}) =>
      void noted.push(`${name} ${value} ${JSON.stringify(attributes)}`),
  })
  const api: OpenTelemetry = {
    trace: {
      getTracer: () => ({
        startSpan: (name, options) => ({
          setAttribute: (key, value) => void noted.push(`${name} ${key}=${value}`),
          end: () => void noted.push(`${name} ended ${JSON.stringify(options?.attributes)}`),
        }),
      }),
    },
    metrics: { getMeter: () => ({ createCounter: recorder, createHistogram: recorder }) },
  }
  return { noted, api }
}

test('OpenTelemetry: a span and metrics for each decision, without the customer’s key or account', async () => {
  const { noted, api } = noting()
  const bursar = bursarDouble({ secret: 5 })
  const clock = manualClock()
  const m = meter({ url: 'http://bursar', fetch: bursar.fetch, clock, openTelemetry: api })
  await m.spend({ key: 'secret', units: 2 })
  await m.spend({ key: 'secret', units: 9 })
  bursar.next('dropped')
  const again = m.spend({ key: 'secret', units: 1 })
  await clock.advance(50)
  await again
  expect(noted).toEqual([
    'bursar.meter.batch 1 {}',
    'bursar.spend bursar.outcome=allowed',
    'bursar.spend ended {"bursar.units":2}',
    'bursar.meter.duration 0 {"outcome":"allowed"}',
    'bursar.meter.decisions 1 {"outcome":"allowed"}',
    'bursar.meter.batch 1 {}',
    'bursar.spend bursar.outcome=quota_exhausted',
    'bursar.spend ended {"bursar.units":9}',
    'bursar.meter.duration 0 {"outcome":"quota_exhausted"}',
    'bursar.meter.decisions 1 {"outcome":"quota_exhausted"}',
    'bursar.meter.batch 1 {}',
    'bursar.meter.hedges 1 {}',
    'bursar.spend bursar.outcome=allowed',
    'bursar.spend ended {"bursar.units":1}',
    'bursar.meter.duration 0.05 {"outcome":"allowed"}',
    'bursar.meter.decisions 1 {"outcome":"allowed"}',
  ])
  expect(noted.join()).not.toContain('secret')
})

test('OpenTelemetry: the real API fits, and is loaded by itself where it is installed', async () => {
  const real: OpenTelemetry = await import('@opentelemetry/api')
  const bursar = bursarDouble({ k: 5 })
  for (const openTelemetry of [real, undefined]) {
    const own = openTelemetry === undefined ? {} : { openTelemetry }
    const m = meter({ url: 'http://bursar', fetch: bursar.fetch, ...own })
    expect(await m.spend({ key: 'k', units: 1 })).toMatchObject({ allowed: true })
  }
})
