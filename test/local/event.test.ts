import { describe, expect, it } from 'vitest'
import { authorizerEvent, integrationEvent, parseTarget, type ReceivedRequest } from './event.ts'

const ROUTE = { key: 'POST /rest/users/{username}', pathParameters: { username: 'ann smith' } }

const received = (changes: Partial<ReceivedRequest> = {}): ReceivedRequest => ({
  method: 'POST',
  target: '/rest/users/ann%20smith?tag=a&tag=b&plus=a+b&code=a%2Bb&empty=',
  httpVersion: '1.1',
  rawHeaders: ['Host', 'api.test', 'User-Agent', 'curl/8.7.1', 'Content-Type', 'application/json'],
  body: Buffer.from('{"unicode":"λ"}'),
  sourceIp: '127.0.0.1',
  receivedMs: Date.UTC(2026, 6, 10, 19, 19, 5, 766),
  requestId: 'ATfSmjLgPHcESJw=',
  ...changes,
})

const withHeaders = (...rawHeaders: string[]) => integrationEvent(received({ rawHeaders }), ROUTE)

describe('integrationEvent', () => {
  it('has the fields of payload format 2.0, the path decoded and the query as sent', () => {
    expect(integrationEvent(received(), ROUTE)).toEqual({
      version: '2.0',
      routeKey: 'POST /rest/users/{username}',
      rawPath: '/rest/users/ann smith',
      rawQueryString: 'tag=a&tag=b&plus=a+b&code=a%2Bb&empty=',
      headers: {
        'content-length': '16',
        'content-type': 'application/json',
        host: 'api.test',
        'user-agent': 'curl/8.7.1',
        'x-amzn-trace-id': expect.stringMatching(/^Root=1-6a5145a9-[0-9a-f]{24}$/),
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-port': '443',
        'x-forwarded-proto': 'https',
      },
      queryStringParameters: { tag: 'a,b', plus: 'a b', code: 'a+b', empty: '' },
      pathParameters: { username: 'ann smith' },
      requestContext: {
        accountId: '000000000000',
        apiId: 'local0api1',
        domainName: 'local0api1.execute-api.eu-west-1.amazonaws.com',
        domainPrefix: 'local0api1',
        http: {
          method: 'POST',
          path: '/rest/users/ann smith',
          protocol: 'HTTP/1.1',
          sourceIp: '127.0.0.1',
          userAgent: 'curl/8.7.1',
        },
        requestId: 'ATfSmjLgPHcESJw=',
        routeKey: 'POST /rest/users/{username}',
        stage: '$default',
        time: '10/Jul/2026:19:19:05 +0000',
        timeEpoch: 1783711145766,
      },
      body: '{"unicode":"λ"}',
      isBase64Encoded: false,
    })
  })

  it('leaves out what a bare request does not have: body, cookies, query and path parameters', () => {
    const bare = received({ target: '/health', rawHeaders: [], body: Buffer.alloc(0) })
    const event = integrationEvent(bare, { key: 'GET /health', pathParameters: {} })
    for (const field of ['body', 'cookies', 'queryStringParameters', 'pathParameters']) {
      expect(event).not.toHaveProperty(field)
    }
    expect(event).toMatchObject({
      rawQueryString: '',
      isBase64Encoded: false,
      requestContext: { http: { userAgent: '' } },
    })
    expect(event.requestContext).not.toHaveProperty('authorizer')
    expect(event.headers).toMatchObject({ 'content-length': '0' })
  })

  it('passes on the authorizer’s context under `lambda`', () => {
    const event = integrationEvent(received(), ROUTE, { lambda: { accountId: 'a1' } })
    expect(event.requestContext.authorizer).toEqual({ lambda: { accountId: 'a1' } })
  })

  it('joins every repeated header with a comma, including Authorization and Host', () => {
    const { headers } = withHeaders(
      'Authorization',
      'one',
      'X-A',
      '1',
      'authorization',
      'two',
      'x-a',
      '2',
      'Host',
      'a',
      'Host',
      'b',
    )
    expect(headers).toMatchObject({ authorization: 'one,two', 'x-a': '1,2', host: 'a,b' })
  })

  it('moves the cookies of all Cookie headers into `cookies`', () => {
    const event = withHeaders('Cookie', 'session=abc,123; theme=dark', 'cookie', 'c=3')
    expect(event.cookies).toEqual(['session=abc,123', 'theme=dark', 'c=3'])
    expect(event.headers).not.toHaveProperty('cookie')
  })

  it('takes the source address from the socket and appends it to a forged X-Forwarded-For', () => {
    const event = withHeaders(
      'X-Forwarded-For',
      '6.6.6.6',
      'X-Forwarded-Proto',
      'gopher',
      'X-Forwarded-Port',
      '1',
    )
    expect(event.requestContext.http.sourceIp).toBe('127.0.0.1')
    expect(event.headers).toMatchObject({
      'x-forwarded-for': '6.6.6.6, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-port': '443',
    })
  })

  it('drops hop-by-hop headers and keeps Via and the client’s trace', () => {
    const { headers } = withHeaders(
      'Connection',
      'close',
      'Transfer-Encoding',
      'chunked',
      'Via',
      '1.1 p',
      'X-Amzn-Trace-Id',
      'Root=1-a-b',
    )
    expect(headers).not.toHaveProperty('connection')
    expect(headers).not.toHaveProperty('transfer-encoding')
    expect(headers).toMatchObject({ via: '1.1 p', 'x-amzn-trace-id': 'Root=1-a-b', 'content-length': '16' })
  })

  it.each([
    'text/plain',
    'TEXT/csv',
    'application/json; charset=utf-8',
    'application/xml',
    'application/javascript',
  ])('gives a body of type %s as text', (type) => {
    expect(withHeaders('Content-Type', type)).toMatchObject({
      body: '{"unicode":"λ"}',
      isBase64Encoded: false,
    })
  })

  it.each([
    'application/x-www-form-urlencoded',
    'application/problem+json',
    'application/octet-stream',
    'multipart/form-data; boundary=application/json',
    'application/json-seq',
    '',
  ])('gives a body of type "%s" in base64', (type) => {
    expect(withHeaders('Content-Type', type)).toMatchObject({
      body: Buffer.from('{"unicode":"λ"}').toString('base64'),
      isBase64Encoded: true,
    })
  })

  it('gives a body without a type in base64', () => {
    expect(withHeaders()).toMatchObject({ isBase64Encoded: true })
  })

  it('treats parameters and headers named __proto__ as plain data', () => {
    const event = integrationEvent(
      received({ target: '/?__proto__=1', rawHeaders: ['__proto__', '2'] }),
      ROUTE,
    )
    expect(Object.getOwnPropertyDescriptor(event.queryStringParameters, '__proto__')?.value).toBe('1')
    expect(Object.getOwnPropertyDescriptor(event.headers, '__proto__')?.value).toBe('2')
  })
})

describe('authorizerEvent', () => {
  it('names the identity source and the route’s ARN, and carries no body', () => {
    const rawHeaders = ['Authorization', 'Bearer a', 'authorization', 'Bearer b']
    const event = authorizerEvent(received({ rawHeaders }), ROUTE)
    expect(event).toMatchObject({
      version: '2.0',
      type: 'REQUEST',
      identitySource: ['Bearer a,Bearer b'],
      routeArn: 'arn:aws:execute-api:eu-west-1:000000000000:local0api1/$default/POST/rest/users/ann smith',
      routeKey: ROUTE.key,
      headers: { authorization: 'Bearer a,Bearer b' },
      cookies: [],
    })
    expect(event).not.toHaveProperty('body')
    expect(event).not.toHaveProperty('isBase64Encoded')
  })
})

describe('parseTarget', () => {
  it.each([
    ['/a%2Fb?c=%2F', { path: '/a/b', query: 'c=%2F' }],
    ['/a?b?c', { path: '/a', query: 'b?c' }],
    ['/a%3Fb=1?c', { path: '/a', query: 'c' }],
    ['/a+b', { path: '/a+b', query: '' }],
    ['//a//', { path: '//a//', query: '' }],
    ['http://evil.test:80/a?b', { path: '/a', query: 'b' }],
    ['http://evil.test?b', { path: '/', query: 'b' }],
    ['/a%', undefined],
    ['/a%ff', undefined],
    ['/a?b=%', { path: '/a', query: 'b=%' }],
  ])('splits %s', (target, expected) => {
    expect(parseTarget(target)).toEqual(expected)
  })
})
