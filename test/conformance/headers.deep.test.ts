import { describe, expect, test } from 'vitest'
import { cors } from '../../functions/http/cors.ts'
import { rows } from '../../functions/http/rows.ts'
import { startApp } from '../support/app.ts'
import { newPerson } from '../support/people.ts'
import { rowKey } from '../support/samples.ts'
import { sendRaw } from '../support/send.ts'
import { outsideCalls, targetOf } from './contract.ts'

const app = await startApp()
const person = await app.signUp()
const BEARER: [string, string] = ['authorization', `Bearer ${person.accessToken}`]
const JSON_TYPE: [string, string] = ['content-type', 'application/json']

const table = rows.map((row) => [rowKey(row), row] as const)
const corsHeaders = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name.startsWith('access-control-')))

describe('a client cannot inject a header, a request id or a log line', () => {
  test('CRLF in a path adds no header to the answer and no line to the log', async () => {
    for (const name of [
      'x%0d%0aset-cookie:%20a=b',
      'x%0aset-cookie:%20a=b',
      'x%0d%0a%0d%0a%3Chtml%3E',
      'x%c4%8d%c4%8a',
    ]) {
      app.logs.length = 0
      const { status, headers, text } = await sendRaw(app.url, 'GET', `/rest/users/${name}`, [BEARER])
      expect([status, headers.get('set-cookie')]).toEqual([404, null])
      expect(text).not.toContain('html')
      expect(app.logs).toHaveLength(1)
      expect(app.logs[0]).not.toMatch(/[\r\n]|cookie|html/)
    }
  })

  test('a request id of the client is neither echoed nor logged', async () => {
    const given = 'id-of-the-client'
    const names = [
      'x-request-id',
      'x-amzn-requestid',
      'apigw-requestid',
      'x-correlation-id',
      'x-amzn-trace-id',
      'traceparent',
    ]
    app.logs.length = 0
    for (const name of names) {
      const { headers, text } = await sendRaw(app.url, 'GET', '/rest/users/x', [BEARER, [name, given]])
      const { body } = await sendRaw(app.url, 'POST', '/v1/auth/login', [JSON_TYPE, [name, given]], '{}')
      expect([...headers.values(), text, JSON.stringify(body)].join('\n')).not.toContain(given)
    }
    expect(app.logs).toHaveLength(2 * names.length)
    expect(app.logs.join('\n')).not.toContain(given)
  })
})

test('X-Forwarded-For and similar headers change no answer and are not logged', async () => {
  const login = (more: [string, string][]) =>
    sendRaw(
      app.url,
      'POST',
      '/v1/auth/login',
      [JSON_TYPE, ...more],
      JSON.stringify({ email: newPerson().email, password: 'Wrong123!' }),
    )
  app.logs.length = 0
  for (const header of [
    'X-Forwarded-For',
    'X-Real-IP',
    'Forwarded',
    'True-Client-IP',
    'X-Forwarded-Host',
    'X-Original-URL',
  ]) {
    for (const value of ['127.0.0.1', '10.66.66.66, 127.0.0.1', 'for=10.66.66.66', '/health', '\t']) {
      expect((await login([[header, value]])).status).toBe(401)
      const { status } = await sendRaw(app.url, 'GET', '/v1/user', [[header, value]])
      expect(status).toBe(401)
    }
  }
  expect(app.logs.join('\n')).not.toMatch(/10\.66|127\.0\.0\.1|health/)
})

test('no header, query or field overrides the method', async () => {
  const { accessToken } = await app.login(person)
  const bearer: [string, string] = ['authorization', `Bearer ${accessToken}`]
  for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', '_method']) {
    const read = await sendRaw(app.url, 'GET', '/v1/user', [bearer, [name, 'DELETE']])
    expect([read.status, read.body.email]).toEqual([200, person.email])
    const out = await sendRaw(app.url, 'GET', `/v1/auth/logout?${name}=POST`, [bearer, [name, 'POST']])
    expect(out.status).toBe(404)
    const posted = await sendRaw(
      app.url,
      'POST',
      `/v1/user?${name}=GET`,
      [bearer, JSON_TYPE, [name, 'GET']],
      '{}',
    )
    expect(posted.status).toBe(404)
  }
  const body = `${new URLSearchParams({ ...newPerson() })}&_method=GET`
  const { status } = await app.request('POST', '/rest/users', {
    body,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  })
  expect(status).toBe(400)
})

test('neither a Host nor a forwarded host reaches a mail or an answer', async () => {
  const someone = newPerson()
  const evil = 'evil.example'
  const { status, headers, text } = await sendRaw(
    app.url,
    'POST',
    '/rest/users',
    [
      ['host', evil],
      ['x-forwarded-host', evil],
      ['x-host', evil],
      ['origin', `https://${evil}`],
      ['referer', `https://${evil}/`],
      JSON_TYPE,
    ],
    JSON.stringify(someone),
  )
  expect(status).toBe(201)
  const [mail] = app.stack.mail.messages(someone.email)
  expect(mail?.text).toContain(app.mailedCode(someone.email))
  expect([JSON.stringify(mail), text, ...headers.values()].join('\n')).not.toContain('evil')
})

describe('origins', () => {
  const evil = [
    'null',
    'https://evil.example',
    `${app.origin}.evil.example`,
    app.origin.replace('https:', 'http:'),
    `${app.origin}:8443`,
    `${app.origin}/`,
    app.origin.toUpperCase(),
    'https://evil.bursar.example',
    'https://appxbursar.example',
    '*',
    `${app.origin}, https://evil.example`,
    '',
  ]

  test.each(evil)('"%s" is neither reflected nor allowed, by a preflight or an answer', async (origin) => {
    const asked: [string, string][] = [['access-control-request-method', 'GET']]
    const preflight = await sendRaw(app.url, 'OPTIONS', '/v1/user', [['origin', origin], ...asked])
    expect(corsHeaders(preflight.headers)).toEqual({})
    for (const more of [[], [BEARER]]) {
      const answer = await sendRaw(app.url, 'GET', '/v1/user', [['origin', origin], ...more])
      expect(corsHeaders(answer.headers)).toEqual({})
    }
  })

  test('the listed origin is allowed, on errors too, and never with credentials or a wildcard', async () => {
    for (const headers of [[BEARER], []]) {
      const answer = await sendRaw(app.url, 'GET', '/v1/user', [['origin', app.origin], ...headers])
      expect(answer.status).toBe(headers.length > 0 ? 200 : 401)
      expect(answer.headers.get('access-control-allow-origin')).toBe(app.origin)
      expect(answer.headers.get('access-control-allow-credentials')).toBeNull()
      expect(answer.headers.get('vary')).toContain('Origin')
    }
  })

  test('no function answers CORS headers or cookies of its own', async () => {
    const answer = await sendRaw(app.url, 'GET', '/health', [['origin', 'https://evil.example']])
    expect([answer.status, corsHeaders(answer.headers), answer.headers.get('set-cookie')]).toEqual([
      200,
      {},
      null,
    ])
  })
})

describe('preflights', () => {
  const preflight = (path: string, method: string, headers = 'authorization') =>
    sendRaw(app.url, 'OPTIONS', path, [
      ['origin', app.origin],
      ['access-control-request-method', method],
      ['access-control-request-headers', headers],
    ])
  const lists = {
    'access-control-allow-origin': app.origin,
    'access-control-allow-methods': cors.methods.join(','),
    'access-control-allow-headers': cors.headers.join(','),
  }

  test.each([
    ['PATCH', 'authorization'],
    ['TRACE', 'authorization'],
    ['GET', 'x-http-method-override'],
    ['GET', '*'],
  ])('for %s with %s get the same lists, which do not include it', async (method, header) => {
    const { status, headers } = await preflight('/v1/user', method, header)
    expect([status, corsHeaders(headers)]).toMatchObject([204, lists])
    expect([cors.methods, cors.headers].flat()).not.toContain(method === 'GET' ? header : method)
    expect(Object.values(lists).join()).not.toContain('*')
  })

  test('are answered without a function, even for an unknown route', async () => {
    app.logs.length = 0
    app.resetCalls()
    for (const path of ['/v1/user', '/nowhere', '/rest/users'])
      expect((await preflight(path, 'GET')).status).toBe(204)
    expect([app.logs, outsideCalls(app)]).toEqual([[], {}])
  })
})

describe.each(table)('%s', (_, row) => {
  const [method, target] = targetOf(row.routes[0])
  const taken = rows
    .flatMap(({ routes }) => routes)
    .filter((route) => targetOf(route)[1] === target)
    .map((route) => targetOf(route)[0])
  const others = ['HEAD', 'TRACE', 'GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'].filter(
    (each) => !taken.includes(each),
  )

  test.each(others)(`${target} refuses the method %s and does not echo its content`, async (other) => {
    const secret: [string, string] = ['x-secret', 'echo-me']
    app.resetCalls()
    const { status, text, headers } = await sendRaw(app.url, other, target, [BEARER, secret])
    expect(taken).toContain(method)
    expect(status).toBe(404)
    expect([text, ...headers.values()].join('\n')).not.toMatch(/echo-me|Bearer/)
    expect(outsideCalls(app)).toEqual({})
  })
})

describe.each(table)('%s', (_, row) => {
  const [method, target] = targetOf(row.routes[0])
  const declared = rows.flatMap(({ routes }) => routes.map((route) => targetOf(route).join(' ')))

  /** Whether a variant of this route may match a path parameter of another route. */
  const besideParameter = rows.some(({ routes }) =>
    routes.some(
      (route) => route.endsWith('}') && `${method} ${target}`.startsWith(route.replace(/\{.*/, '')),
    ),
  )

  const variants = [
    `/${target}`,
    `${target}/`,
    `${target}//`,
    `${target}/.`,
    target.replace(/(?<=.)\/(?=[^/]+$)/, '//'),
    target.replace(/(?<=.)\/(?=[^/]+$)/, '/./'),
    `/x/..${target}`,
    `/.${target}`,
    `${target}/../${target.split('/').at(-1)}`,
    target.replace(/(?<=.)\/(?=[^/]+$)/, '%2f'),
    target.replace(/(?<=.)\/(?=[^/]+$)/, '%252f'),
    target.replace(/(?<=.)\/(?=[^/]+$)/, '\\'),
    target.replace(/(?<=\/)[a-z]/, (letter) => letter.toUpperCase()),
    target.replace(/(?<=\/)[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
    target.replace(/(?<=\/)[a-z]/, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
    `${target}%00`,
    `${target}%20`,
    `${target};x=y`,
    `${target}.json`,
    `${target}%3fx=y`,
    `${target}%23`,
    `http://evil.example${target}`,
  ]

  test.each(variants)(`${method} %s is either this route or no route`, async (variant) => {
    app.logs.length = 0
    app.resetCalls()
    const { status, body } = await sendRaw(app.url, method, variant)
    const decoded = decodeURIComponent(variant.replace('http://evil.example', '')).split('?')[0]
    const known = declared.find((route) => route === `${method} ${decoded}`)
    // To the gateway a route that ends in a slash is a greedy parameter. It requires a token first; then the
    // handler refuses everything that the parameter matches.
    const parameter =
      row.routes.some((route) => route.includes('{') || route.endsWith('/')) || besideParameter
    if (status === 404) {
      expect(body).toEqual({ message: 'Not Found' })
      expect(known).toBeUndefined()
      expect(outsideCalls(app)).toEqual({})
    } else if (row.auth === 'account' || row.auth === 'operator') {
      // A path parameter matches any text of one segment, and its route requires a token or a signature.
      expect(known !== undefined || parameter).toBe(true)
      const [refused, message] = row.auth === 'account' ? [401, 'Unauthorized'] : [403, 'Forbidden']
      expect([status, body]).toEqual([refused, { message }])
      expect(outsideCalls(app)).toEqual({})
    } else {
      expect(known !== undefined || parameter).toBe(true)
      expect(app.logs).toHaveLength(1)
    }
  })
})
