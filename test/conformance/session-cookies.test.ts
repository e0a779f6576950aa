import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { cors } from '../../functions/http/cors.ts'
import type { Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { cookieSession } from '../../functions/http/session-cookie.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { startApp } from '../support/app.ts'
import { answerOf, withPasskey } from '../support/passkeys.ts'
import { rowKey, samples } from '../support/samples.ts'
import { jsonSchema, targetOf } from './contract.ts'

const app = await startApp()
beforeEach(() => app.logs.splice(0))

/** The rows that set the cookie, and those of them that read it. No other row does either. */
const GIVING = ['v1.login', 'v1.passkeyLogin', 'v1.refresh', 'v1.logout']
const TAKING = ['v1.refresh', 'v1.logout']

const NAME = '__Host-bursar-session'
const ENDED = `${NAME}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`
const IN_COOKIE = { session: 'cookie' }

const post = (path: string, json: unknown, headers: Record<string, string> = {}, token?: string) =>
  app.request('POST', path, { json, headers, token })

const setCookies = ({ headers }: { headers: Headers }) => headers.getSetCookie()

/** Signs in with the session in a cookie. @returns the header with which a browser sends it back, and the tokens. */
async function signIn() {
  const { email, password } = await app.signUp()
  const answer = await post('/v1/auth/login', { email, password, ...IN_COOKIE })
  const [set = ''] = setCookies(answer)
  const [cookie = ''] = set.split(';')
  return { email, password, answer, set, cookie, refreshToken: cookie.slice(NAME.length + 1) }
}

const refresh = (cookie: string, headers: Record<string, string> = {}) =>
  post('/v1/auth/refresh', IN_COOKIE, { cookie, ...headers })

const logout = (cookie: string, more: object = {}, token?: string) =>
  post('/v1/auth/logout', { ...IN_COOKIE, ...more }, { cookie }, token)

const codeOf = ({ status, body }: Awaited<ReturnType<typeof post>>) => [
  status,
  body.type?.replace('urn:bursar:problem:', ''),
]

const SESSION_ENDED = [401, 'session_ended']

describe('the refresh token is in a cookie that no script and no other site can use', () => {
  test('a sign-in that asks for it has every attribute, and no refresh token in its body', async () => {
    const { answer, set, refreshToken } = await signIn()
    expect([answer.status, answer.body]).toEqual([200, { accessToken: expect.any(String), expiresIn: 900 }])
    expect(setCookies(answer)).toEqual([
      `${NAME}=${refreshToken}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=2592000`,
    ])
    expect((await post('/v1/auth/refresh', { refreshToken })).status).toBe(200)
    // Browsers drop more than 4096 bytes of name and value, and an attribute of more than 1024.
    const [pair = '', ...attributes] = set.split('; ')
    expect(pair.length).toBeLessThan(4096)
    expect(Math.max(...attributes.map(({ length }) => length))).toBeLessThan(1024)
  })

  test('so has a sign-in by passkey', async () => {
    const person = await app.signUp()
    const passkey = await answerOf(app, await withPasskey(app, person))
    const answer = await post('/v1/auth/login/passkey', { passkey, ...IN_COOKIE })
    expect(answer.body).toEqual({ accessToken: expect.any(String), expiresIn: 900 })
    expect(setCookies(answer)).toEqual([expect.stringContaining('; Secure; HttpOnly; SameSite=Strict; ')])
  })

  test('a sign-in that does not ask for it sets none', async () => {
    const { email, password } = await app.signUp()
    const answer = await post('/v1/auth/login', { email, password })
    expect([setCookies(answer), answer.body.refreshToken]).toEqual([[], expect.any(String)])
  })

  test('a refused sign-in sets none', async () => {
    const { email } = await app.signUp()
    const answer = await post('/v1/auth/login', { email, password: 'Wrong123!', ...IN_COOKIE })
    expect([answer.status, setCookies(answer)]).toEqual([401, []])
  })

  test('a token that a browser would not keep makes no session at all', () => {
    const { answered } = cookieSession(v1.login, { headers: {} }, IN_COOKIE)!
    const tokens = (refreshToken: string) => ({ statusCode: 200, body: JSON.stringify({ refreshToken }) })
    const most = 4096 - NAME.length
    expect(answered(tokens('x'.repeat(most))).cookies).toHaveLength(1)
    expect(() => answered(tokens('x'.repeat(most + 1)))).toThrow('does not fit')
    for (const token of ['a;b', 'a b', 'a,b', 'a"b', 'a\r\nb', 'ä', ''])
      expect(() => answered(tokens(token)), token).toThrow('does not fit')
  })
})

test('a cookie that no browser keeps has no token, and one among others has its own', () => {
  const tokenOf = (...cookies: string[]) =>
    cookieSession(v1.refresh, { headers: {}, cookies }, IN_COOKIE)?.refreshToken
  expect(tokenOf('other=1', `${NAME}=token`, `${NAME}=second`)).toBe('token')
  const most = 'x'.repeat(4096)
  expect(tokenOf(`${NAME}=${most}`)).toBe(most)
  for (const cookie of [`${NAME}=${most}x`, `${NAME}=`, `${NAME}x=token`, `x${NAME}=token`])
    expect(tokenOf(cookie)).toBeUndefined()
  expect(tokenOf()).toBeUndefined()
})

describe('refreshing by cookie', () => {
  test('200: the answer has an access token of the same session; a cookie that stays the same is not set again', async () => {
    const { cookie } = await signIn()
    const answer = await refresh(`other=1; ${cookie}; more=${'x'.repeat(100)}`)
    expect([answer.status, answer.body]).toEqual([200, { accessToken: expect.any(String), expiresIn: 900 }])
    expect(setCookies(answer)).toEqual([])
    const { accessToken } = answer.body
    expect((await app.request('GET', '/v1/user', { token: accessToken })).status).toBe(200)
  })

  test('a refresh token that the vault has replaced is in the next cookie', () => {
    const event = { headers: {}, cookies: [`${NAME}=old`] }
    const { answered } = cookieSession(v1.refresh, event, IN_COOKIE)!
    const { cookies, body } = answered({ body: JSON.stringify({ accessToken: 'a', refreshToken: 'new' }) })
    expect([cookies, body]).toEqual([
      [expect.stringMatching(`^${NAME}=new; Path=/; `)],
      '{"accessToken":"a"}',
    ])
  })

  test('401 session_ended: a browser without the cookie, with an empty one or with garbage; the cookie ends', async () => {
    for (const cookie of ['a=b', `${NAME}=`, `${NAME}=garbage`, `${NAME}=${'x'.repeat(4097)}`]) {
      const answer = await refresh(cookie)
      expect([codeOf(answer), setCookies(answer)]).toEqual([SESSION_ENDED, [ENDED]])
    }
  })

  test('401 session_ended: after the session was ended elsewhere; the cookie ends', async () => {
    const { cookie, refreshToken } = await signIn()
    await post('/v1/auth/logout', { refreshToken })
    const answer = await refresh(cookie)
    expect([codeOf(answer), setCookies(answer)]).toEqual([SESSION_ENDED, [ENDED]])
  })

  test('an error that leaves the session alive leaves the cookie, too', async () => {
    const { cookie } = await signIn()
    app.stack.cognito.addFault({ fault: 'error-before', match: 'GetTokensFromRefreshToken', times: 10 })
    const answer = await refresh(cookie)
    app.stack.cognito.clearFaults()
    expect([answer.status, setCookies(answer)]).toEqual([503, []])
  })

  test('the end of another session, whose token is in the body, does not end the cookie', async () => {
    const { cookie } = await signIn()
    const answer = await post('/v1/auth/refresh', { refreshToken: 'garbage' }, { cookie })
    expect([codeOf(answer), setCookies(answer)]).toEqual([SESSION_ENDED, []])
    expect((await refresh(cookie)).status).toBe(200)
  })
})

describe('signing out by cookie', () => {
  test('204: the session ends, and the cookie', async () => {
    const { cookie, answer: signedIn } = await signIn()
    const answer = await logout(cookie)
    expect([answer.status, answer.text, setCookies(answer)]).toEqual([204, '', [ENDED]])
    expect(codeOf(await refresh(cookie))).toEqual(SESSION_ENDED)
    const { accessToken: token } = signedIn.body
    expect(codeOf(await app.request('GET', '/v1/user', { token }))).toEqual(SESSION_ENDED)
  })

  test('204: everywhere', async () => {
    const { cookie, email, password } = await signIn()
    const { refreshToken } = (await post('/v1/auth/login', { email, password })).body
    expect((await logout(cookie, { everywhere: true })).status).toBe(204)
    expect(codeOf(await post('/v1/auth/refresh', { refreshToken }))).toEqual(SESSION_ENDED)
  })

  test('without the cookie the access token says which session ends', async () => {
    const { answer: signedIn } = await signIn()
    const answer = await logout('', {}, signedIn.body.accessToken)
    expect([answer.status, setCookies(answer)]).toEqual([204, [ENDED]])
    expect(codeOf(await logout(''))).toEqual([401, 'unauthorized'])
  })
})

describe('a request that asks for two things is refused', () => {
  test.each([
    ['/v1/auth/refresh', { refreshToken: 'x', ...IN_COOKIE }],
    ['/v1/auth/logout', { refreshToken: 'x', ...IN_COOKIE }],
    ['/v1/auth/refresh', {}],
  ])('400: %s %j', async (path, json) => {
    const { status, body } = await post(path, json)
    expect([status, body.errors]).toEqual([
      400,
      [{ field: 'session', message: 'send either refreshToken or session' }],
    ])
  })
})

describe('no other page can use the cookie', () => {
  const paths = ['/v1/auth/login', '/v1/auth/refresh', '/v1/auth/logout']

  test.each([
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'cross-site', origin: app.url },
    { origin: 'https://evil.example' },
    { origin: app.origin },
    { origin: 'null' },
    { origin: `${app.url}0` },
  ])('403 for a request of another page: %j', async (headers) => {
    const { cookie, email, password } = await signIn()
    for (const path of paths) {
      const json = path.endsWith('login') ? { email, password, ...IN_COOKIE } : IN_COOKIE
      const answer = await post(path, json, { cookie, ...headers } as Record<string, string>)
      expect([codeOf(answer), setCookies(answer)]).toEqual([[403, 'not_same_origin'], []])
    }
    expect((await refresh(cookie)).status).toBe(200)
  })

  test('200 for a page of the same origin, behind a proxy that changes the host too', async () => {
    const { cookie } = await signIn()
    for (const headers of [
      { 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'same-origin', origin: 'https://app.acme.io' },
      { origin: app.url },
    ]) {
      expect((await refresh(cookie, headers as Record<string, string>)).status).toBe(200)
    }
  })

  test('415 for every body that a form of another site can send', async () => {
    const { cookie } = await signIn()
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      '',
    ]) {
      const headers = { cookie, 'content-type': type }
      const { status } = await app.request('POST', '/v1/auth/refresh', {
        body: JSON.stringify(IN_COOKIE),
        headers,
      })
      expect([type, status]).toEqual([type, 415])
    }
    const takers = rows.filter(({ sessionCookie }) => sessionCookie)
    expect(takers.filter(({ form, raw }) => form || raw)).toEqual([])
  })

  test('a script of an allowed origin is not told that it may send cookies', async () => {
    expect(Object.keys(cors)).not.toContain('credentials')
    for (const path of paths) {
      const preflight = await app.request('OPTIONS', path, {
        headers: {
          origin: app.origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type',
        },
      })
      expect(preflight.headers.get('access-control-allow-origin')).toBe(app.origin)
      expect(preflight.headers.get('access-control-allow-credentials')).toBeNull()
    }
  })
})

describe('no other endpoint reads or sets a cookie', () => {
  const fieldsIn = (schema: Placed['body']): string[] =>
    Object.keys((schema && jsonSchema(schema, 'input').properties) ?? {})
  const keysOf = (holds: (row: Placed) => unknown) => rows.filter(holds).map(rowKey).sort()

  test('the rows say so', () => {
    expect(keysOf(({ sessionCookie }) => sessionCookie)).toEqual([...GIVING].sort())
    expect(keysOf(({ sessionCookie }) => sessionCookie === 'taken')).toEqual([...TAKING].sort())
    expect(keysOf(({ body }) => fieldsIn(body).includes('session'))).toEqual([...GIVING].sort())
  })

  test('one module touches cookies, and no row may ask for the header', () => {
    const folder = join(import.meta.dirname, '..', '..', 'functions')
    const touching = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => {
      if (!/(?<!descriptions)\.ts$/.test(file)) return false
      const code = readFileSync(join(folder, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
      return /\bcookies\b|set-cookie/i.test(code)
    })
    expect(touching).toEqual([join('http', 'session-cookie.ts')])
    expect(keysOf(({ headers }) => fieldsIn(headers).includes('cookie'))).toEqual([])
  })

  test('a live cookie opens nothing by itself, and is never set', async () => {
    const { cookie } = await signIn()
    for (const row of rows) {
      if (GIVING.includes(rowKey(row)) || row.auth === 'public') continue
      const [method, target] = targetOf(row.routes[0], {})
      const answer = await app.request(method, target, { headers: { cookie } })
      expect([rowKey(row), answer.status >= 400, setCookies(answer)]).toEqual([rowKey(row), true, []])
    }
    expect(Object.keys(samples)).toEqual(expect.arrayContaining(GIVING))
  })

  test('a row that gives the cookie does not read one', async () => {
    const { cookie, email, password } = await signIn()
    const { body } = await post('/v1/auth/login', { email, password, ...IN_COOKIE }, { cookie })
    const { answered, refreshToken } = cookieSession(v1.login, { headers: {}, cookies: [cookie] }, IN_COOKIE)!
    expect([typeof body.accessToken, refreshToken, typeof answered]).toEqual([
      'string',
      undefined,
      'function',
    ])
  })

  test('nothing of a cookie is in a log line or an answer', async () => {
    const { cookie, refreshToken } = await signIn()
    const answers = [
      await refresh(cookie),
      await refresh(cookie, { 'sec-fetch-site': 'cross-site' }),
      await post('/v1/auth/refresh', { ...IN_COOKIE, extra: 1 }, { cookie }),
      await logout(cookie),
    ]
    const told = [...app.logs, ...answers.map(({ text }) => text)].join('\n')
    expect(app.logs.length).toBeGreaterThanOrEqual(answers.length)
    expect(told).not.toContain(refreshToken.slice(0, 40))
    expect(told).not.toContain(refreshToken.slice(-40))
    expect(told).not.toContain(NAME)
  })
})
