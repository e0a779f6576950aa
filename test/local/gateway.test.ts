import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { IntegrationEvent } from './event.ts'
import { type Gateway, type GatewayOptions, type GatewayRoute, startGateway } from './gateway.ts'
import { isLoopback, refusalPrinter } from './loopback.ts'

const ORIGIN = 'https://app.test'

const ROUTES: GatewayRoute[] = [
  { key: 'GET /health', authorization: 'none', target: 'health' },
  { key: 'GET /rest/users/{username}', authorization: 'none', target: 'user' },
  { key: 'GET /rest/users/current', authorization: 'none', target: 'current' },
  { key: 'POST /rest/users', authorization: 'none', target: 'register' },
  { key: 'PUT /v1/card', authorization: 'token', target: 'card' },
  { key: 'PUT /v1/card/', authorization: 'token', target: 'card-slash' },
  { key: 'GET /files/{path+}', authorization: 'none', target: 'files' },
  { key: 'GET /files/{a}/{b}', authorization: 'none', target: 'pair' },
  { key: 'GET /{folder}/index', authorization: 'none', target: 'index' },
]

interface Reply {
  status: number
  /** Each value of each header, by lower-cased name. */
  headers: Record<string, string[]>
  body: string
}

let gateway: Gateway
let nowMs: number
const invoke = vi.fn<GatewayOptions['invoke']>()
const authorize = vi.fn<GatewayOptions['authorize']>()

const options = (): GatewayOptions => ({
  routes: ROUTES,
  invoke,
  authorize,
  authorizerCacheSeconds: 60,
  cors: {
    origins: [ORIGIN],
    methods: ['GET', 'PUT'],
    headers: ['authorization', 'content-type'],
    exposeHeaders: ['retry-after'],
    maxAgeSeconds: 600,
  },
  nowMs: () => nowMs,
})

beforeEach(async () => {
  nowMs = Date.UTC(2026, 0, 1)
  invoke.mockReset().mockImplementation(async (target, event) => ({ target, event }))
  authorize.mockReset().mockResolvedValue({ isAuthorized: true, context: { accountId: 'a1' } })
  gateway = await startGateway(options())
})

afterEach(async () => {
  vi.useRealTimers()
  await gateway.close()
})

/** Sends bytes unchanged and reads the answer until the server closes the connection. */
function raw(...parts: (string | Buffer)[]): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
    const chunks: Buffer[] = []
    socket.on('error', reject)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('end', () => {
      const [head = '', body = ''] = Buffer.concat(chunks)
        .toString()
        .split(/\r\n\r\n(.*)/s)
      const [line = '', ...lines] = head.split('\r\n')
      const headers: Record<string, string[]> = {}
      for (const text of lines) {
        const [name = '', value = ''] = text.split(/: ?(.*)/)
        headers[name.toLowerCase()] = [...(headers[name.toLowerCase()] ?? []), value]
      }
      resolve({ status: Number(line.split(' ')[1]), headers, body })
    })
    for (const part of parts) socket.write(part)
  })
}

function send(
  method: string,
  target: string,
  headers: string[] = [],
  body: string | Buffer = '',
): Promise<Reply> {
  const length = Buffer.byteLength(body)
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: api.test', 'Connection: close', ...headers]
  if (length > 0) lines.push(`Content-Length: ${length}`)
  return raw(`${lines.join('\r\n')}\r\n\r\n`, body)
}

const invoked = (): IntegrationEvent => invoke.mock.calls.at(-1)![1]

/** Expects an answer of the gateway itself, and that no integration ran. */
function expectRefusal(reply: Reply, status: number, message: string) {
  expect(reply).toMatchObject({ status, headers: { 'content-type': ['application/json'] } })
  expect(JSON.parse(reply.body)).toEqual({ message })
  expect(reply.headers['apigw-requestid']).toHaveLength(1)
  expect(invoke).not.toHaveBeenCalled()
}

describe('matching', () => {
  it.each([
    ['GET', '/health', 'health'],
    ['GET', '/health?x=1', 'health'],
    ['GET', 'http://evil.test/health', 'health'],
    ['GET', '/rest/users/current', 'current'],
    ['GET', '/rest/users/Current', 'user'],
    ['GET', '/rest/users/%63urrent', 'current'],
    ['GET', '/rest%2Fusers%2Fann', 'user'],
    ['PUT', '/v1/card', 'card'],
    ['PUT', '/v1/card/', 'card-slash'],
    ['GET', '/files/a', 'files'],
    ['GET', '/files/a/b', 'pair'],
    ['GET', '/files/index', 'index'],
    ['GET', '/files/', 'files'],
  ])('%s %s goes to %s', async (method, target, expected) => {
    const reply = await send(method, target, ['Authorization: t'])
    expect(JSON.parse(reply.body).target).toBe(expected)
  })

  it.each([
    ['GET', '/nowhere'],
    ['GET', '/'],
    ['GET', '/health/'],
    ['GET', '//health'],
    ['GET', '/./health'],
    ['GET', '/HEALTH'],
    ['GET', '/rest/users/'],
    ['GET', '/rest/users/a%2Fb'],
    ['GET', '/files'],
    ['POST', '/health'],
    ['TRACE', '/health'],
    ['PROPFIND', '/health'],
    ['GET', '/v1/card'],
  ])('%s %s is a 404', async (method, target) => {
    expectRefusal(await send(method, target), 404, 'Not Found')
  })

  it('HEAD does not match a GET route', async () => {
    expect(await send('HEAD', '/health')).toMatchObject({ status: 404, body: '' })
    expect(invoke).not.toHaveBeenCalled()
  })

  it('X-HTTP-Method-Override changes nothing', async () => {
    expectRefusal(await send('POST', '/health', ['X-HTTP-Method-Override: GET']), 404, 'Not Found')
  })

  it('broken percent-encoding is a 400', async () => {
    expectRefusal(await send('GET', '/rest/users/%zz'), 400, 'Bad Request')
  })

  it('binds path parameters decoded: one segment each, and the greedy parameter to the end', async () => {
    await send('GET', '/rest/users/a%20b%25')
    expect(invoked().pathParameters).toEqual({ username: 'a b%' })
    await send('GET', '/files/a/b/c')
    expect(invoked().pathParameters).toEqual({ path: 'a/b/c' })
  })

  it('setRoutes replaces the routes of a running gateway', async () => {
    gateway.setRoutes([{ key: 'GET /new', authorization: 'none', target: 'new' }])
    expect((await send('GET', '/new')).status).toBe(200)
    expect((await send('GET', '/health')).status).toBe(404)
  })

  it.each(['/health', 'get /health', 'GET health', 'GET /a//b', 'GET /a{b}', 'GET /{a+}/b', 'GET /{}'])(
    'refuses the route key "%s"',
    (key) => {
      expect(() => gateway.setRoutes([{ key, authorization: 'none', target: 't' }])).toThrow('route key')
    },
  )

  it('refuses two routes that match the same requests', () => {
    const twice = ['GET /users/{id}', 'GET /users/{name}'].map((key) => ({
      key,
      authorization: 'none' as const,
      target: 't',
    }))
    expect(() => gateway.setRoutes(twice)).toThrow('GET /users/{name}')
  })
})

describe('events', () => {
  it('carries repeated headers, cookies, the socket’s address and the clock', async () => {
    await send('GET', '/health?a=1&a=2', [
      'Authorization: one',
      'Authorization: two',
      'Cookie: a=1; b=2',
      'X-Forwarded-For: 6.6.6.6',
    ])
    expect(invoked()).toMatchObject({
      headers: { authorization: 'one,two', host: 'api.test', 'x-forwarded-for': '6.6.6.6, 127.0.0.1' },
      cookies: ['a=1', 'b=2'],
      queryStringParameters: { a: '1,2' },
      requestContext: { http: { sourceIp: '127.0.0.1' }, timeEpoch: nowMs },
    })
  })

  it('carries a chunked binary body in base64', async () => {
    await raw(
      'POST /rest/users HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n',
      Buffer.from('2\r\n\xff\x00\r\n1\r\nA\r\n0\r\n\r\n', 'latin1'),
    )
    expect(invoked()).toMatchObject({
      body: '/wBB',
      isBase64Encoded: true,
      headers: { 'content-length': '3' },
    })
  })

  it('has the body of a GET request', async () => {
    await send('GET', '/health', ['Content-Type: application/json'], '{}')
    expect(invoked()).toMatchObject({ body: '{}', isBase64Encoded: false })
  })

  it('has a new request id, which the answer repeats', async () => {
    const [one, two] = [await send('GET', '/health'), await send('GET', '/health')]
    const ids = invoke.mock.calls.map(([, event]) => event.requestContext.requestId)
    expect([one, two].map(({ headers }) => headers['apigw-requestid'])).toEqual(ids.map((id) => [id]))
    expect(new Set(ids).size).toBe(2)
  })

  it('reaches the integration as if it had passed through JSON', async () => {
    authorize.mockResolvedValue({ isAuthorized: true, context: { at: new Date(0), gone: undefined } })
    await send('PUT', '/v1/card', ['Authorization: t'])
    expect(invoked().requestContext.authorizer).toStrictEqual({ lambda: { at: '1970-01-01T00:00:00.000Z' } })
  })
})

describe('authorizer', () => {
  const call = (token = 'Bearer t') => send('PUT', '/v1/card', [`Authorization: ${token}`])

  it('gives its context to the integration', async () => {
    expect((await call()).status).toBe(200)
    expect(invoked().requestContext.authorizer).toEqual({ lambda: { accountId: 'a1' } })
    expect(authorize.mock.calls[0]![0]).toMatchObject({ type: 'REQUEST', identitySource: ['Bearer t'] })
  })

  it('gives null for no context', async () => {
    authorize.mockResolvedValue({ isAuthorized: true })
    await call()
    expect(invoked().requestContext.authorizer).toEqual({ lambda: null })
  })

  it('is not called for public routes, and those get no context', async () => {
    await send('GET', '/health', ['Authorization: Bearer t'])
    expect(authorize).not.toHaveBeenCalled()
    expect(invoked().requestContext).not.toHaveProperty('authorizer')
  })

  it.each([[[]], [['Authorization: ']]])(
    'a missing or empty identity is a 401 without a call: %j',
    async (headers) => {
      expectRefusal(await send('PUT', '/v1/card', headers), 401, 'Unauthorized')
      expect(authorize).not.toHaveBeenCalled()
    },
  )

  it('two Authorization headers are one joined identity', async () => {
    await send('PUT', '/v1/card', ['Authorization: good'])
    await send('PUT', '/v1/card', ['Authorization: good', 'Authorization: evil'])
    expect(authorize.mock.calls.map(([event]) => event.identitySource)).toEqual([['good'], ['good,evil']])
  })

  it('a denial is a 403', async () => {
    authorize.mockResolvedValue({ isAuthorized: false, context: { accountId: 'a1' } })
    expectRefusal(await call(), 403, 'Forbidden')
  })

  it.each([
    undefined,
    null,
    true,
    {},
    [],
    { isAuthorized: 'true' },
    { isAuthorized: 1 },
    { principalId: 'x' },
  ])('the malformed answer %j is a 500', async (said) => {
    authorize.mockResolvedValue(said)
    expectRefusal(await call(), 500, 'Internal Server Error')
  })

  it('a thrown error is a 500 without details, and a thrown "Unauthorized" a 401', async () => {
    authorize.mockRejectedValueOnce(new Error('database secret'))
    expectRefusal(await call(), 500, 'Internal Server Error')
    authorize.mockRejectedValueOnce(new Error('Unauthorized'))
    expectRefusal(await call(), 401, 'Unauthorized')
  })

  it('no answer for 10 s is a 500', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    authorize.mockImplementation(() => {
      queueMicrotask(() => vi.advanceTimersByTime(10_000))
      return new Promise(() => {})
    })
    expectRefusal(await call(), 500, 'Internal Server Error')
  })

  it('an allow is cached for its time, for every route, and for that identity only', async () => {
    await call()
    nowMs += 59_999
    await send('PUT', '/v1/card/', ['Authorization: Bearer t'])
    expect(authorize).toHaveBeenCalledTimes(1)
    expect(invoked().requestContext.authorizer).toEqual({ lambda: { accountId: 'a1' } })
    await call('Bearer u')
    expect(authorize).toHaveBeenCalledTimes(2)
    nowMs += 1
    await call()
    expect(authorize).toHaveBeenCalledTimes(3)
  })

  it('a denial is cached as well', async () => {
    authorize.mockResolvedValueOnce({ isAuthorized: false })
    expect([(await call()).status, (await call()).status]).toEqual([403, 403])
    expect(authorize).toHaveBeenCalledTimes(1)
  })

  it('errors and malformed answers are not cached', async () => {
    authorize.mockRejectedValueOnce(new Error('x')).mockRejectedValueOnce(new Error('Unauthorized'))
    authorize.mockResolvedValueOnce({})
    const statuses = [await call(), await call(), await call(), await call()].map(({ status }) => status)
    expect(statuses).toEqual([500, 401, 500, 200])
  })

  it('with a cache of 0 s every request calls the authorizer', async () => {
    await gateway.close()
    gateway = await startGateway({ ...options(), authorizerCacheSeconds: 0 })
    await call()
    await call()
    expect(authorize).toHaveBeenCalledTimes(2)
  })

  it('new routes clear the cache', async () => {
    await call()
    gateway.setRoutes(ROUTES)
    await call()
    expect(authorize).toHaveBeenCalledTimes(2)
  })
})

describe('limits', () => {
  const LIMIT = 10 * 1024 * 1024

  it('a body of 10 MB passes', async () => {
    invoke.mockImplementation(async (_, event) => event.body?.length)
    const reply = await send('POST', '/rest/users', ['Content-Type: text/plain'], Buffer.alloc(LIMIT, 'a'))
    expect(reply).toMatchObject({ status: 200, body: String(LIMIT) })
  })

  it('a body of one byte more is a 413', async () => {
    const reply = await send(
      'POST',
      '/rest/users',
      ['Content-Type: text/plain'],
      Buffer.alloc(LIMIT + 1, 'a'),
    )
    expectRefusal(reply, 413, 'Request Entity Too Large')
  })

  it('10,240 bytes of request line and header values pass, and one more is a 431', async () => {
    const line = 'GET /health HTTP/1.1'.length + 'api.test'.length + 'close'.length
    const pad = (bytes: number) => [`X-Pad: ${'a'.repeat(bytes - line)}`]
    expect((await send('GET', '/health', pad(10_240))).status).toBe(200)
    invoke.mockClear()
    expectRefusal(await send('GET', '/health', pad(10_241)), 431, 'Request Header Fields Too Large')
  })

  it('a request line over that is a 414', async () => {
    expectRefusal(await send('GET', `/health?${'a'.repeat(10_240)}`), 414, 'Request-URI Too Long')
  })

  it('a client that disconnects in the middle of a body does no harm', async () => {
    const left = new Promise((resolve) => {
      gateway.server.once('connection', (socket) => socket.once('close', resolve))
    })
    const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
    gateway.server.once('request', () => socket.destroy())
    socket.write('POST /rest/users HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{')
    await left
    expect(invoke).not.toHaveBeenCalled()
    expect((await send('GET', '/health')).status).toBe(200)
  })

  it.each([
    [
      'a header block over Node’s limit',
      ['GET /health HTTP/1.1', 'Host: a', `X: ${'a'.repeat(20_000)}`],
      431,
    ],
    ['a bare CR in a header', ['GET /health HTTP/1.1', 'Host: a', 'X: a\rY: b'], 400],
    ['a NUL in a header', ['GET /health HTTP/1.1', 'Host: a', 'X: a\0b'], 400],
    ['two lengths', ['POST /rest/users HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Content-Length: 2'], 400],
    [
      'a length and chunks',
      ['POST /rest/users HTTP/1.1', 'Host: a', 'Content-Length: 1', 'Transfer-Encoding: chunked'],
      400,
    ],
  ])('%s never reaches an integration', async (_, lines, status) => {
    expect((await raw(`${lines.join('\r\n')}\r\n\r\n`)).status).toBe(status)
    expect(invoke).not.toHaveBeenCalled()
  })
})

describe('answers', () => {
  it.each([
    [{ a: 1 }, '{"a":1}'],
    ['plain', 'plain'],
    [[1], '[1]'],
    [7, '7'],
    [null, 'null'],
    [undefined, 'null'],
    [{ body: 'x' }, '{"body":"x"}'],
  ])('%j without a statusCode is the JSON body of a 200', async (said, body) => {
    invoke.mockResolvedValue(said)
    expect(await send('GET', '/health')).toMatchObject({
      status: 200,
      headers: { 'content-type': ['application/json'] },
      body,
    })
  })

  it('has the status, headers, cookies and body from the integration', async () => {
    invoke.mockResolvedValue({
      statusCode: 402,
      headers: {
        'Content-Type': 'application/problem+json',
        'X-Number': 1,
        'X-True': true,
        'Set-Cookie': 'c=3',
      },
      cookies: ['a=1; Secure', 'b=2'],
      body: '{"λ":1}',
    })
    expect(await send('GET', '/health')).toMatchObject({
      status: 402,
      headers: {
        'content-type': ['application/problem+json'],
        'x-number': ['1'],
        'x-true': ['true'],
        'set-cookie': ['a=1; Secure', 'b=2', 'c=3'],
        'content-length': ['8'],
      },
      body: '{"λ":1}',
    })
  })

  it('has the type text/plain if the integration gave no type', async () => {
    invoke.mockResolvedValue({ statusCode: 200, body: '{}' })
    expect((await send('GET', '/health')).headers['content-type']).toEqual(['text/plain; charset=utf-8'])
  })

  it('decodes a base64 body', async () => {
    invoke.mockResolvedValue({
      statusCode: 200,
      body: Buffer.from('bytes').toString('base64'),
      isBase64Encoded: true,
    })
    expect((await send('GET', '/health')).body).toBe('bytes')
  })

  it('has neither body nor type with a 204', async () => {
    invoke.mockResolvedValue({ statusCode: 204 })
    const reply = await send('GET', '/health')
    expect(reply).toMatchObject({ status: 204, body: '' })
    expect(reply.headers).not.toHaveProperty('content-type')
  })

  it('is framed by the gateway, whatever framing headers the integration gave', async () => {
    invoke.mockResolvedValue({
      statusCode: 200,
      headers: { 'Content-Length': '1', 'Transfer-Encoding': 'x' },
      body: 'abc',
    })
    expect(await send('GET', '/health')).toMatchObject({ headers: { 'content-length': ['3'] }, body: 'abc' })
  })

  it.each([
    { statusCode: '200' },
    { statusCode: null },
    { statusCode: 99 },
    { statusCode: 600 },
    { statusCode: 200.5 },
    { statusCode: 200, body: { a: 1 } },
    { statusCode: 200, headers: { a: { b: 1 } } },
    { statusCode: 200, headers: ['a'] },
    { statusCode: 200, headers: { 'x-id': 'a\r\nSet-Cookie: evil=1' } },
    { statusCode: 200, headers: { 'x id': 'a' } },
    { statusCode: 200, cookies: 'a=1' },
    { statusCode: 200, cookies: ['a=1\r\nX: y'] },
  ])('the invalid answer %j is a 500', async (said) => {
    invoke.mockResolvedValue(said)
    const reply = await send('GET', '/health')
    expect(reply.status).toBe(500)
    expect(reply.body).toBe('{"message":"Internal Server Error"}')
    expect(reply.headers).not.toHaveProperty('set-cookie')
  })

  it('a thrown error is a 500 without details', async () => {
    invoke.mockRejectedValue(new Error('database secret'))
    expect(await send('GET', '/health')).toMatchObject({
      status: 500,
      body: '{"message":"Internal Server Error"}',
    })
  })

  it('an answer leaves no timer behind', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await send('PUT', '/v1/card', ['Authorization: t'])
    expect(invoke).toHaveBeenCalledTimes(1)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('no answer for 30 s is a 503', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let waiting = 0
    invoke.mockImplementation(() => {
      queueMicrotask(() => {
        vi.advanceTimersByTime(29_999)
        waiting = vi.getTimerCount()
        vi.advanceTimersByTime(1)
      })
      return new Promise(() => {})
    })
    expect(await send('GET', '/health')).toMatchObject({
      status: 503,
      body: '{"message":"Service Unavailable"}',
    })
    expect(waiting).toBe(1)
  })
})

describe('CORS', () => {
  const preflight = (origin: string, target = '/health') =>
    send('OPTIONS', target, [`Origin: ${origin}`, 'Access-Control-Request-Method: PUT'])
  const corsNames = ({ headers }: Reply) =>
    Object.keys(headers).filter((name) => name.startsWith('access-control-'))

  it.each(['/health', '/v1/card', '/nowhere'])(
    'a preflight to %s is a 204 without Lambda',
    async (target) => {
      const reply = await preflight(ORIGIN, target)
      expect(reply).toMatchObject({
        status: 204,
        headers: {
          'access-control-allow-origin': [ORIGIN],
          'access-control-allow-methods': ['GET,PUT'],
          'access-control-allow-headers': ['authorization,content-type'],
          'access-control-max-age': ['600'],
          vary: ['Origin'],
        },
        body: '',
      })
      expect(reply.headers).not.toHaveProperty('access-control-allow-credentials')
      expect(invoke).not.toHaveBeenCalled()
      expect(authorize).not.toHaveBeenCalled()
    },
  )

  it.each([
    'null',
    'https://evil.test',
    `${ORIGIN}.evil.test`,
    'http://app.test',
    `${ORIGIN}:444`,
    'HTTPS://APP.TEST/',
  ])('the origin %s gets no CORS headers', async (origin) => {
    expect(corsNames(await preflight(origin))).toEqual([])
    expect(corsNames(await send('GET', '/health', [`Origin: ${origin}`]))).toEqual([])
  })

  it('the origin null gets no CORS headers even if it is listed', async () => {
    await gateway.close()
    gateway = await startGateway({ ...options(), cors: { ...options().cors, origins: ['null'] } })
    expect(corsNames(await preflight('null'))).toEqual([])
  })

  it('two Origin headers count as no origin', async () => {
    expect(
      corsNames(await send('GET', '/health', [`Origin: ${ORIGIN}`, 'Origin: https://evil.test'])),
    ).toEqual([])
  })

  it('OPTIONS without a requested method is not a preflight and gets no CORS headers', async () => {
    const reply = await send('OPTIONS', '/health', [`Origin: ${ORIGIN}`])
    expect([reply.status, corsNames(reply)]).toEqual([204, []])
  })

  it('an answer to a listed origin names that origin, whatever the integration said', async () => {
    invoke.mockResolvedValue({
      statusCode: 200,
      headers: {
        'Access-Control-Allow-Origin': '*',
        'Access-Control-Allow-Credentials': 'true',
        Vary: 'Accept',
      },
      body: 'a',
    })
    const reply = await send('GET', '/health', [`Origin: ${ORIGIN}`])
    expect(corsNames(reply)).toEqual(['access-control-allow-origin', 'access-control-expose-headers'])
    expect(reply.headers).toMatchObject({
      'access-control-allow-origin': [ORIGIN],
      'access-control-expose-headers': ['retry-after'],
      vary: ['Accept, Origin'],
    })
  })

  it('an answer to a request without an origin has the integration’s CORS headers removed', async () => {
    invoke.mockResolvedValue({ statusCode: 200, headers: { 'access-control-allow-origin': '*' } })
    expect(corsNames(await send('GET', '/health'))).toEqual([])
  })

  it('a listed origin can read the gateway’s own answers', async () => {
    const reply = await send('GET', '/nowhere', [`Origin: ${ORIGIN}`])
    expect(reply).toMatchObject({ status: 404, headers: { 'access-control-allow-origin': [ORIGIN] } })
  })

  it('`*` allows every origin without naming it', async () => {
    await gateway.close()
    gateway = await startGateway({ ...options(), cors: { ...options().cors, origins: ['*'] } })
    const reply = await preflight('https://any.test')
    expect(reply.headers).toMatchObject({ 'access-control-allow-origin': ['*'] })
    expect(reply.headers).not.toHaveProperty('vary')
  })

  describe('of the local stack', () => {
    const lines: string[] = []
    beforeEach(async () => {
      lines.splice(0)
      await gateway.close()
      const onRefused = refusalPrinter((line) => lines.push(line))
      gateway = await startGateway({
        ...options(),
        cors: { ...options().cors, allows: isLoopback, onRefused },
      })
    })

    it.each([
      'http://localhost',
      'http://localhost:5173',
      'https://localhost:8443',
      'http://127.0.0.1:3000',
      'http://[::1]:4321',
      ORIGIN,
    ])('a page of this machine may read answers: %s', async (origin) => {
      for (const reply of [await preflight(origin), await send('GET', '/health', [`Origin: ${origin}`])]) {
        expect(reply.headers['access-control-allow-origin']).toEqual([origin])
        expect(reply.headers.vary).toEqual(['Origin'])
        expect(reply.headers).not.toHaveProperty('access-control-allow-credentials')
      }
      expect(lines).toEqual([])
    })

    it.each([
      'null',
      'https://evil.test',
      'http://localhost.evil.test',
      'http://127.0.0.1.evil.test',
      'http://evil.test:3000',
      'http://localhost@evil.test',
      'http://127.0.0.2',
      'http://192.168.0.7:5173',
      'http://LOCALHOST:5173',
      'http://localhost:5173/',
      'file://localhost',
      'chrome-extension://localhost',
    ])('another one may not, and a line says so, once: %s', async (origin) => {
      expect(corsNames(await preflight(origin))).toEqual([])
      expect(corsNames(await send('GET', '/health', [`Origin: ${origin}`]))).toEqual([])
      expect(lines).toEqual([
        `CORS: pages of "${origin}" cannot read answers. The local stack allows localhost, 127.0.0.1 and [::1] on any port, and the origin of APP_URL.`,
      ])
    })

    it('a request without an origin is no refusal', async () => {
      await send('GET', '/health')
      expect(lines).toEqual([])
    })
  })

  it('without origins there is no CORS: OPTIONS is unmatched, the integration’s headers stay', async () => {
    await gateway.close()
    gateway = await startGateway({ ...options(), cors: { ...options().cors, origins: [] } })
    expectRefusal(await preflight(ORIGIN), 404, 'Not Found')
    invoke.mockResolvedValue({ statusCode: 200, headers: { 'access-control-allow-origin': '*' } })
    const reply = await send('GET', '/health', [`Origin: ${ORIGIN}`])
    expect(reply.headers['access-control-allow-origin']).toEqual(['*'])
  })
})

describe('/_local', () => {
  it.each(['/_local', '/_local?a', '/_local/mail?to=a'])(
    '%s goes to the stack’s controls only',
    async (target) => {
      await gateway.close()
      const local = vi.fn<NonNullable<GatewayOptions['local']>>(async (_, response) => {
        response.end('local')
      })
      gateway = await startGateway({
        ...options(),
        routes: [{ key: 'GET /{any+}', authorization: 'none', target: 'any' }],
        local,
      })
      expect((await send('GET', target)).body).toBe('local')
      expect(invoke).not.toHaveBeenCalled()
      await send('GET', '/_locals')
      expect(local).toHaveBeenCalledTimes(1)
      expect(invoke).toHaveBeenCalledTimes(1)
    },
  )

  it('is a 404 if the stack has no controls', async () => {
    expectRefusal(await send('GET', '/_local/mail'), 404, 'Not Found')
  })
})
