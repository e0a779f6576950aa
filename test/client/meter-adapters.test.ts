import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import middy from '@middy/core'
import express from 'express'
import Fastify from 'fastify'
import { Hono } from 'hono'
import { expect, onTestFinished, test, vi } from 'vitest'
import { type Meter, meter } from '../../functions/client/meter.ts'
import { startApp } from '../support/app.ts'
import { counterOf, newConsumer } from '../support/quota.ts'

const app = await startApp()

/** A metered service: `/work` costs 2 units, `/stream` reserves 10 and takes 4; `?do=` makes them `throw` or answer `500` or `404`. */
type Service = (path: string, headers: Record<string, string>) => Promise<Response>

const WORK = { units: 2 }
const STREAM = { units: 10, reserve: true } as const

function openMeter(): Meter {
  // A busy machine must not look like an outage.
  const m = meter({ url: app.url, timeoutMs: 60_000, hedgeAfterMs: 60_000, openTelemetry: false })
  onTestFinished(() => m.close())
  return m
}

/** A body in two pieces that charges after the first one. */
const pieces = (charge: () => void) => {
  const encoder = new TextEncoder()
  let sent = 0
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>) => {
    sent += 1
    if (sent === 1) return controller.enqueue(encoder.encode('one '))
    charge()
    controller.enqueue(encoder.encode('two'))
    controller.close()
  }
  return new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 0 })
}

function webHandler(m: Meter, request: Request): Response {
  const url = new URL(request.url)
  const what = url.searchParams.get('do')
  if (what === 'throw') throw new Error('broken')
  if (what !== null) return new Response('no', { status: Number(what) })
  const metered = m.metered(request)
  if (url.pathname === '/stream') return new Response(pieces(() => metered.charge(4)))
  return Response.json({ left: metered.left, key: metered.key?.id, account: metered.account })
}

const asRequest = (path: string, headers: Record<string, string>) =>
  new Request(`http://service.test${path}`, { headers })

/** What a server does with an error that reaches it. */
const answered = (work: Promise<Response>) => work.catch(() => new Response('broken', { status: 500 }))

const services: Record<string, (m: Meter) => Service | Promise<Service>> = {
  hono(m) {
    const hono = new Hono()
    hono.onError((_, c) => c.text('broken', 500))
    hono.use('/work', m.hono(WORK))
    hono.use('/stream', m.hono(STREAM))
    hono.get('/work', (c) => webHandler(m, c.req.raw))
    hono.get('/stream', (c) => webHandler(m, c.req.raw))
    return async (path, headers) => hono.request(path, { headers })
  },

  fetch(m) {
    const [work, stream] = [WORK, STREAM].map((rule) =>
      m.fetch((request: Request) => webHandler(m, request), rule),
    )
    return (path, headers) =>
      answered((path.startsWith('/work') ? work : stream)?.(asRequest(path, headers)) ?? Promise.reject())
  },

  next(m) {
    const GET = m.next((request: Request, _: { params: Promise<object> }) => webHandler(m, request), WORK)
    const stream = m.next(
      (request: Request, _: { params: Promise<object> }) => webHandler(m, request),
      STREAM,
    )
    return (path, headers) =>
      answered(
        (path.startsWith('/work') ? GET : stream)(asRequest(path, headers), { params: Promise.resolve({}) }),
      )
  },

  async express(m) {
    const server = express()
    const handle: express.RequestHandler = (req, res) => {
      const what = req.query.do
      if (what === 'throw') throw new Error('broken')
      if (what !== undefined) return void res.status(Number(what)).send('no')
      const metered = m.metered(req)
      if (req.path === '/stream') {
        metered.charge(4)
        res.write('one ')
        return void res.end('two')
      }
      res.json({ left: metered.left, key: metered.key?.id, account: metered.account })
    }
    server.get('/work', m.express(WORK), handle)
    server.get('/stream', m.express(STREAM), handle)
    server.use(
      ((_error, _req, res, _next) => void res.status(500).send('broken')) as express.ErrorRequestHandler,
    )
    const listening = server.listen(0, '127.0.0.1')
    await once(listening, 'listening')
    onTestFinished(() => void listening.close())
    const { port } = listening.address() as AddressInfo
    return (path, headers) => fetch(`http://127.0.0.1:${port}${path}`, { headers })
  },

  async fastify(m) {
    const fastify = Fastify()
    const handle = async (request: { query: unknown; url: string }) => {
      const { do: what } = request.query as { do?: string }
      if (what === 'throw') throw new Error('broken')
      if (what !== undefined) throw Object.assign(new Error('no'), { statusCode: Number(what) })
      const metered = m.metered(request)
      if (request.url.startsWith('/stream')) {
        metered.charge(4)
        return 'one two'
      }
      return { left: metered.left, key: metered.key?.id, account: metered.account }
    }
    await fastify.register(async (scope) => {
      await scope.register(m.fastify(WORK))
      scope.get('/work', handle)
    })
    await fastify.register(async (scope) => {
      await scope.register(m.fastify(STREAM))
      scope.get('/stream', handle)
    })
    onTestFinished(() => fastify.close())
    return async (path, headers) => {
      const { statusCode, headers: told, payload } = await fastify.inject({ url: path, headers })
      return new Response(payload, { status: statusCode, headers: told as Record<string, string> })
    }
  },

  middy(m) {
    const handle = async (event: { rawPath: string; do: string | null }) => {
      if (event.do === 'throw') throw new Error('broken')
      if (event.do !== null) return { statusCode: Number(event.do), body: 'no' }
      const metered = m.metered(event)
      if (event.rawPath === '/stream') {
        metered.charge(4)
        return { statusCode: 200, body: 'one two' }
      }
      return {
        statusCode: 200,
        body: JSON.stringify({ left: metered.left, key: metered.key?.id, account: metered.account }),
      }
    }
    const work = middy(handle).use(m.middy(WORK))
    const stream = middy(handle).use(m.middy(STREAM))
    return async (path, headers) => {
      const { pathname, searchParams } = new URL(path, 'http://service.test')
      const event = { rawPath: pathname, do: searchParams.get('do'), headers, requestContext: {} }
      // biome-ignore lint/suspicious/noExplicitAny: a Lambda handler as the runtime calls it
      const run = (pathname === '/work' ? work : stream) as any
      return answered(
        run(event, {}).then(
          ({
            statusCode,
            body,
            headers: told,
          }: {
            statusCode: number
            body: string
            headers: Record<string, string>
          }) => new Response(body, { status: statusCode, headers: told }),
        ),
      )
    }
  },
}

const leftOf = async (consumer: Parameters<typeof counterOf>[1]) => {
  const { l, f } = await counterOf(app, consumer)
  return Number(l) + Number(f)
}

const NAMES = Object.keys(services)
const serviceOf = async (name: string) => (await services[name]?.(openMeter())) as Service

test.each(NAMES)(
  '%s: refuses in the service’s words, and serves who pays, by either header',
  async (name) => {
    const consumer = await newConsumer(app, 5)
    const service = await serviceOf(name)
    app.resetCalls()
    const missing = await service('/work', {})
    expect(missing.status).toBe(401)
    expect(missing.headers.get('www-authenticate')).toBe('Bearer')
    expect(missing.headers.get('content-type')).toContain('application/problem+json')
    expect(await missing.json()).toMatchObject({ type: 'urn:bursar:problem:key_missing', status: 401 })
    expect(app.calls().dynamodb).toEqual({})
    const unknown = await service('/work', { authorization: 'Bearer 7e2bd0de-2a5f-4c1e-a6a5-000000000000' })
    expect(unknown.status).toBe(401)

    const served = await service('/work', { authorization: `Bearer ${consumer.key}` })
    expect(served.status).toBe(200)
    expect(served.headers.get('x-units-left')).toBe('3')
    expect(await served.json()).toEqual({ left: 3, key: 'default', account: consumer.accountId })
    expect((await service('/work', { 'x-api-key': consumer.key, authorization: 'Basic eA==' })).status).toBe(
      200,
    )

    const refused = await service('/work', { 'x-api-key': consumer.key })
    expect(refused.status).toBe(402)
    expect(refused.headers.get('x-units-left')).toBe('1')
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await refused.json()).toMatchObject({
      type: 'urn:bursar:problem:quota_exhausted',
      left: 1,
      needed: 2,
    })
    expect(await leftOf(consumer)).toBe(1)
  },
)

test.each(NAMES)('%s: an Idempotency-Key of the customer buys nothing twice', async (name) => {
  const consumer = await newConsumer(app, 10)
  const service = await serviceOf(name)
  const headers = { 'x-api-key': consumer.key, 'idempotency-key': 'mine', 'x-request-id': 'mine' }
  for (let call = 0; call < 3; call++) await (await service('/work', headers)).text()
  expect(await leftOf(consumer)).toBe(4)
})

test.each(NAMES)('%s: work that throws or answers 5xx is free, and 404 is not', async (name) => {
  const consumer = await newConsumer(app, 20)
  const service = await serviceOf(name)
  const headers = { 'x-api-key': consumer.key }
  expect((await service('/work?do=throw', headers)).status).toBe(500)
  expect(await leftOf(consumer)).toBe(18)
  expect((await service('/work?do=500', headers)).status).toBe(500)
  expect((await service('/work', headers)).status).toBe(200)
  expect(await leftOf(consumer)).toBe(18)
  expect((await service('/work?do=404', headers)).status).toBe(404)
  await service('/work', headers)
  expect(await leftOf(consumer)).toBe(14)
})

test.each(NAMES)(
  '%s: a reservation keeps what the work has charged, and returns all of it if the work fails',
  async (name) => {
    const consumer = await newConsumer(app, 20)
    const service = await serviceOf(name)
    const headers = { 'x-api-key': consumer.key }
    const streamed = await service('/stream', headers)
    expect(streamed.headers.get('x-units-left')).toBe('10')
    expect(await streamed.text()).toBe('one two')
    await vi.waitFor(async () => expect(await leftOf(consumer)).toBe(16))
    expect((await service('/stream?do=throw', headers)).status).toBe(500)
    await vi.waitFor(async () => expect(await leftOf(consumer)).toBe(16))
    expect((await service('/stream?do=500', headers)).status).toBe(500)
    await vi.waitFor(async () => expect(await leftOf(consumer)).toBe(16))
    expect((await counterOf(app, consumer)).u).toBe(4)
  },
)

test('callers at once share batches: exact to the unit, at a fraction of a write unit each', async () => {
  const consumer = await newConsumer(app, 250)
  const m = openMeter()
  const service = await (services.hono?.(m) as Service)
  await service('/work', { 'x-api-key': consumer.key })
  app.resetCalls()
  const answers = await Promise.all(
    Array.from({ length: 150 }, () => service('/work', { 'x-api-key': consumer.key })),
  )
  const statuses = answers.map(({ status }) => status)
  expect(statuses.filter((status) => status === 200)).toHaveLength(124)
  expect(statuses.filter((status) => status === 402)).toHaveLength(26)
  expect(await leftOf(consumer)).toBe(0)
  expect(app.calls().writeUnits / 150).toBeLessThan(0.1)
})

test('a customer who leaves a stream early pays for what was charged until then', async () => {
  const consumer = await newConsumer(app, 20)
  const m = openMeter()
  const GET = m.fetch(
    (request: Request) => {
      m.metered(request).charge(3)
      return new Response(pieces(() => m.metered(request).charge(9)))
    },
    { units: 10, reserve: true },
  )
  const { body } = await GET(asRequest('/', { 'x-api-key': consumer.key }))
  const reader = body?.getReader()
  await reader?.read()
  await reader?.cancel()
  expect(await leftOf(consumer)).toBe(17)
})

test('tags of spends, batches and settles are in the customer’s report', async () => {
  const consumer = await newConsumer(app, 20)
  const m = openMeter()
  const { key } = consumer
  await Promise.all(['a', 'a', 'b'].map((tag) => m.spend({ key, units: 1, tag })))
  const reserved = await m.reserve({ key, units: 5, tag: 'b' })
  if (reserved.allowed) await reserved.settle(2)
  const { body } = await app.request('GET', '/v1/usage', { token: consumer.accessToken })
  expect(body.days[0].keys[0].tags).toEqual([
    { tag: 'b', units: 3 },
    { tag: 'a', units: 2 },
  ])
})

test('Next: a redirect is thrown and has not failed', async () => {
  const consumer = await newConsumer(app, 20)
  const m = openMeter()
  const GET = m.next(() => {
    throw Object.assign(new Error('NEXT_REDIRECT'), { digest: 'NEXT_REDIRECT;replace;/there;307;' })
  })
  const call = () => GET(asRequest('/', { 'x-api-key': consumer.key }))
  for (let at = 0; at < 2; at++) await expect(call()).rejects.toThrow('NEXT_REDIRECT')
  expect(await leftOf(consumer)).toBe(18)
})

const authorizerEvents = (key: string) => ({
  'HTTP API 2.0': {
    version: '2.0',
    type: 'REQUEST',
    routeArn: 'arn:aws:execute-api:eu-west-1:1:a/$default/GET/work',
    headers: { 'x-api-key': key },
  },
  'REST REQUEST': {
    type: 'REQUEST',
    methodArn: 'arn:aws:execute-api:eu-west-1:1:a/prod/GET/work',
    headers: { 'X-Api-Key': key },
  },
  'REST TOKEN': {
    type: 'TOKEN',
    methodArn: 'arn:aws:execute-api:eu-west-1:1:a/prod/GET/work',
    authorizationToken: `Bearer ${key}`,
  },
})

test('authorizers: verify spends nothing, spend does; each answers in the format of its API', async () => {
  const consumer = await newConsumer(app, 3)
  const m = openMeter()
  const verify = m.verifyAuthorizer()
  const spend = m.spendAuthorizer({ units: 2 })
  const { 'HTTP API 2.0': http, 'REST REQUEST': rest, 'REST TOKEN': token } = authorizerEvents(consumer.key)
  const context = { account: consumer.accountId, keyId: 'default' }
  expect(await verify(http)).toMatchObject({ isAuthorized: true, context: { ...context, left: 3 } })
  for (const event of [rest, token]) {
    expect(await verify(event)).toMatchObject({
      principalId: consumer.accountId,
      policyDocument: {
        Statement: [{ Effect: 'Allow', Resource: 'arn:aws:execute-api:eu-west-1:1:a/prod/*' }],
      },
      context,
    })
  }
  expect(await leftOf(consumer)).toBe(3)
  expect(await spend(rest)).toMatchObject({
    policyDocument: { Statement: [{ Effect: 'Allow', Resource: rest.methodArn }] },
    context: { ...context, left: 1 },
  })
  expect(await spend(http)).toEqual({
    isAuthorized: false,
    context: { code: 'quota_exhausted', status: 402 },
  })
  expect(await spend(token)).toMatchObject({ policyDocument: { Statement: [{ Effect: 'Deny' }] } })
  await expect(verify({ ...http, headers: {} })).rejects.toThrow(/^Unauthorized$/)
  await m.close()
  await expect(verify(http)).rejects.toThrow('Metering is unavailable (meter_closed).')
})
