import { createHmac, createPublicKey, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import {
  AdminInitiateAuthCommand,
  CognitoIdentityProviderClient,
} from '@aws-sdk/client-cognito-identity-provider'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { emailKey, usernameKey } from '../../core/account/fields.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { coldStart } from '../bundles/module-of.ts'
import { listen } from '../local/http.ts'
import { claims, startApp } from '../support/app.ts'
import { resetCode, sessionStatuses } from '../support/credentials.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { sendRaw } from '../support/send.ts'
import { outsideCalls } from './contract.ts'

const app = await startApp()
const { cognito } = app.stack
const person = await app.signUp()
const GENUINE = claims(person.accessToken)
const [HEADER_TEXT = ''] = person.accessToken.split('.')
const HEADER = JSON.parse(Buffer.from(HEADER_TEXT, 'base64url').toString())

let made = 0

/** The claims of the genuine token with a new id, so that the gateway has no cached verdict on the token. */
const fresh = (changes: Record<string, unknown> = {}) => ({ ...GENUINE, jti: `jti-${++made}`, ...changes })

/** A token signed with the pool's own key. */
const signed = cognito.sign

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString('base64url')

/** A token with any header, payload and signature. */
function forged(header: object, sign: (signedText: string) => Buffer, payload: object = fresh()): string {
  const text = `${encode(header)}.${encode(payload)}`
  return `${text}.${sign(text).toString('base64url')}`
}

const open = (token: string) => app.request('GET', '/v1/user', { token })

async function expectAccepted(token: string, who: SignedInPerson = person): Promise<void> {
  const { status, body } = await open(token)
  expect([status, body.email]).toEqual([200, who.email])
}

function expectGatewayRefusal({ status, body }: TestAnswer, expected: 401 | 403 = 403): void {
  expect([status, body]).toEqual([expected, { message: expected === 403 ? 'Forbidden' : 'Unauthorized' }])
  expect(outsideCalls(app)).toEqual({})
}

/** Asserts that the authorizer refuses the token without a read. */
async function expectForged(token: string): Promise<void> {
  app.resetCalls()
  expectGatewayRefusal(await open(token))
}

/** Asserts that a token which passes the authorizer is refused after the one read of the account. */
async function expectEnded(token: string, code = 'session_ended'): Promise<void> {
  app.resetCalls()
  const { status, body } = await open(token)
  expect([status, body.type]).toEqual([code === 'session_ended' ? 401 : 403, `urn:bursar:problem:${code}`])
  expect(outsideCalls(app)).toEqual({ Query: 1 })
}

/** Asserts that a genuine token is refused because it has expired, after the one read of the account. */
async function expectExpired(token: string): Promise<void> {
  app.resetCalls()
  const { status, body, headers } = await open(token)
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:token_expired'])
  expect(headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  expect(outsideCalls(app)).toEqual({ Query: 1 })
}

/** An RSA key that is not the pool's. */
const mine = generateKeyPairSync('rsa', { modulusLength: 2048 })
const withMyKey = (text: string) => signBytes('RSA-SHA256', Buffer.from(text), mine.privateKey)

test('the genuine token, and a copy made by the double’s `sign`, are accepted', async () => {
  await expectAccepted(person.accessToken)
  await expectAccepted(signed(fresh()))
})

test('alg none is refused in any casing, with any signature', async () => {
  const signature = Buffer.from(person.accessToken.split('.')[2] ?? '', 'base64url')
  for (const alg of ['none', 'None', 'NONE', 'nOnE', ' none', 'none\0', '', null, undefined, ['none']]) {
    const header = { ...HEADER, alg }
    await expectForged(forged(header, () => Buffer.alloc(0)))
    await expectForged(forged(header, () => Buffer.from('x')))
    await expectForged(forged(header, () => signature, GENUINE))
    await expectForged(signed(fresh(), { header: { alg } }))
  }
  await expectAccepted(signed(fresh(), { header: { alg: 'RS256' } }))
})

test('HS256 with the public key as its secret is refused', async () => {
  const key = createPublicKey(cognito.publicKeyPem)
  const { n = '' } = key.export({ format: 'jwk' })
  const secrets = [
    cognito.publicKeyPem,
    cognito.publicKeyPem.trim(),
    key.export({ type: 'spki', format: 'der' }),
    key.export({ type: 'pkcs1', format: 'pem' }),
    n,
    Buffer.from(n, 'base64url'),
  ]
  for (const [alg, hash] of [
    ['HS256', 'sha256'],
    ['HS512', 'sha512'],
    ['RS256', 'sha256'],
  ] as const) {
    for (const secret of secrets) {
      const mac = (text: string) => createHmac(hash, secret).update(text).digest()
      await expectForged(forged({ ...HEADER, alg }, mac))
    }
  }
  for (const alg of ['HS256', 'RS384', 'RS512', 'PS256', 'ES256', 'EdDSA', 'rs256']) {
    await expectForged(signed(fresh(), { header: { alg } }))
  }
  await expectAccepted(signed(fresh()))
})

test('an unknown kid, or none, is refused', async () => {
  for (const kid of [
    'unknown',
    '',
    `${HEADER.kid} `,
    HEADER.kid.toLowerCase(),
    undefined,
    null,
    1,
    [HEADER.kid],
  ]) {
    await expectForged(signed(fresh(), { header: { kid } }))
  }
  await expectAccepted(signed(fresh(), { header: { kid: HEADER.kid } }))
})

test('a kid with path characters is refused and names nothing that is fetched', async () => {
  const fetched = vi.spyOn(globalThis, 'fetch')
  for (const kid of [
    '../../../etc/passwd',
    '/dev/null',
    'file:///dev/null',
    'http://127.0.0.1:1/keys',
    `${HEADER.kid}/../${HEADER.kid}`,
    `${HEADER.kid}\0`,
    '%2e%2e%2f',
    '__proto__',
    'constructor',
    "' OR 1=1 --",
  ]) {
    await expectForged(signed(fresh(), { header: { kid } }))
    await expectForged(forged({ ...HEADER, kid }, withMyKey))
  }
  const urls = fetched.mock.calls.map(([url]) => String(url)).filter((url) => !url.startsWith(app.url))
  fetched.mockRestore()
  expect(urls.filter((url) => url !== cognito.jwksUri)).toEqual([])
  await expectAccepted(signed(fresh()))
})

test('a key in the header fields jwk, jku or x5u is not used', async () => {
  const kid = 'mine'
  const jwk = { ...mine.publicKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }
  let asked = 0
  const keyServer = await listen((_, response) => {
    asked += 1
    response.end(JSON.stringify({ keys: [HEADER.kid, kid].map((each) => ({ ...jwk, kid: each })) }))
  })
  const der = mine.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  for (const brought of [
    {},
    { jwk: { ...jwk, kid } },
    { jku: `${keyServer.url}/jwks.json` },
    { x5u: `${keyServer.url}/cert.pem` },
    { x5c: [der] },
    { jwk: { ...jwk, kid: HEADER.kid }, jku: keyServer.url, x5u: keyServer.url },
  ]) {
    await expectForged(forged({ ...HEADER, ...brought }, withMyKey))
    await expectForged(forged({ ...HEADER, kid, ...brought }, withMyKey))
    const iss = `${keyServer.url}/${cognito.userPoolId}`
    await expectForged(forged({ ...HEADER, kid, ...brought }, withMyKey, fresh({ iss })))
    // Such a header is refused even with a right signature, because the pool never issues it.
    if (Object.keys(brought).length > 0) await expectForged(signed(fresh(), { header: brought }))
  }
  await keyServer.close()
  expect(asked).toBe(0)
  await expectAccepted(signed(fresh(), { header: {} }))
})

test('a token of another pool, region or issuer is refused', async () => {
  const { issuer } = cognito
  for (const iss of [
    issuer.replace('_Local0001', '_Other0001'),
    issuer.replaceAll('eu-west-1', 'us-east-1'),
    issuer.replace('cognito-idp.eu-west-1', 'cognito-idp.us-east-1'),
    issuer.replace('https:', 'http:'),
    issuer.replace('amazonaws.com', 'amazonaws.com.evil.example'),
    `${issuer}/`,
    issuer.toUpperCase(),
    ` ${issuer}`,
    '',
    cognito.userPoolId,
    [issuer],
    undefined,
    null,
  ]) {
    await expectForged(signed(fresh({ iss })))
  }
  await expectAccepted(signed(fresh({ iss: issuer })))
})

test('a token for another client of the pool is refused', async () => {
  const { clientId } = cognito
  for (const client_id of [
    'other',
    '',
    `${clientId}x`,
    clientId.toUpperCase(),
    [clientId],
    undefined,
    null,
  ]) {
    await expectForged(signed(fresh({ client_id })))
    await expectForged(signed(fresh({ client_id, aud: clientId })))
  }
  await expectAccepted(signed(fresh({ client_id: clientId })))
})

test('an ID token is refused', async () => {
  const { clientId: ClientId, clientSecret, userPoolId: UserPoolId } = cognito
  const SECRET_HASH = createHmac('sha256', clientSecret)
    .update(person.accountId + ClientId)
    .digest('base64')
  const { AuthenticationResult } = await new CognitoIdentityProviderClient().send(
    new AdminInitiateAuthCommand({
      UserPoolId,
      ClientId,
      AuthFlow: 'ADMIN_USER_PASSWORD_AUTH',
      AuthParameters: { USERNAME: person.accountId, PASSWORD: person.password, SECRET_HASH },
    }),
  )
  const { IdToken = '' } = AuthenticationResult ?? {}
  expect(claims(IdToken)).toMatchObject({ token_use: 'id', aud: ClientId })
  await expectForged(IdToken)
  // An ID token with all other claims of an access token is refused too.
  await expectForged(signed(fresh({ token_use: 'id', aud: ClientId })))
  await expectAccepted(signed(fresh({ token_use: 'access' })))
})

test('a refresh token is refused', async () => {
  expect(person.refreshToken.split('.')).toHaveLength(5)
  await expectForged(person.refreshToken)
  await expectForged(signed(fresh({ token_use: 'refresh' })))
  await expectAccepted(person.accessToken)
})

test('an expired token is refused from the second of its expiry on, cached or not, without a tolerance', async () => {
  const expSec = Math.floor(Date.now() / 1000) + 5
  const token = () => signed(fresh({ exp: expSec }))
  const cached = token()
  await expectAccepted(cached)
  app.advance(4_999)
  await expectAccepted(cached)
  await expectAccepted(token())

  app.advance(1)
  for (const each of [cached, token(), signed(fresh({ exp: expSec - 3600 }))]) await expectExpired(each)
  await expectForged(signed(fresh({ exp: expSec - 31 * 86_400 })))
  await expectForged(signed(fresh({ exp: 0 })))
  await expectAccepted(signed(fresh()))
})

test('an expired token is token_expired while its session lives, and session_ended once it has ended', async () => {
  const owner = await app.signUp()
  await expectAccepted(owner.accessToken, owner)
  app.advance(15 * 60_000)
  await expectExpired(owner.accessToken)
  // Neither has the gateway cached a verdict on a token that it sees for the first time.
  app.forgetVerdicts()
  await expectExpired(owner.accessToken)
  app.advance(29 * 86_400_000)
  await expectExpired(owner.accessToken)
  app.advance(86_400_000)
  expect((await open(owner.accessToken)).status).toBeOneOf([401, 403])
  const other = await app.login(owner)
  await app.request('POST', '/v1/auth/logout', { json: { refreshToken: other.refreshToken } })
  app.advance(15 * 60_000)
  await expectEnded(other.accessToken)
})

test('a token from the future is refused, by nbf without a tolerance and by iat after a tolerance of a minute', async () => {
  const nowSec = Math.floor(Date.now() / 1000)
  await expectAccepted(signed(fresh({ nbf: nowSec })))
  await expectForged(signed(fresh({ nbf: nowSec + 1 })))
  await expectForged(signed(fresh({ nbf: 1e300 })))
  await expectAccepted(signed(fresh({ iat: nowSec + 60 })))
  await expectForged(signed(fresh({ iat: nowSec + 61 })))
  await expectForged(signed(fresh({ iat: 1e300 })))
})

test.each(['exp', 'iat', 'sub', 'username', 'token_use', 'client_id', 'iss', 'origin_jti'])(
  'a token without %s, or with one of another type, is refused',
  async (name) => {
    const other = typeof GENUINE[name] === 'number' ? String(GENUINE[name]) : 1
    for (const value of [undefined, null, other, [GENUINE[name]], { x: GENUINE[name] }, true]) {
      await expectForged(signed(fresh({ [name]: value })))
    }
    await expectAccepted(signed(fresh({ [name]: GENUINE[name] })))
  },
)

test('an edited payload, header or signature is refused', async () => {
  const victim = await app.signUp()
  const token = signed(fresh())
  const [header = '', payload = '', signature = ''] = token.split('.')
  const stolen = { username: victim.accountId, sub: claims(victim.accessToken).sub }
  await expectForged(`${header}.${encode(fresh(stolen))}.${signature}`)
  await expectForged(`${header}.${encode({ ...claims(token), exp: GENUINE.exp + 60 })}.${signature}`)
  await expectForged(`${encode({ ...HEADER, typ: 'JWT' })}.${payload}.${signature}`)
  const flipped = signature.startsWith('A') ? 'B' : 'A'
  await expectForged(`${header}.${payload}.${flipped}${signature.slice(1)}`)
  await expectForged(`${header}.${payload}.${signature.slice(0, -4)}`)
  await expectForged(`${header}.${payload}.${victim.accessToken.split('.')[2]}`)
  await expectAccepted(token)
})

test('missing, empty and extra segments and any other scheme are refused', async () => {
  const token = signed(fresh())
  const [header, payload, signature] = token.split('.')
  for (const other of [
    header,
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}..${signature}`,
    `.${payload}.${signature}`,
    `${token}.`,
    `.${token}`,
    `${token}.${signature}`,
    `${token}.x`,
    `${token}=`,
    `${token} ${token}`,
    `${token},`,
    '..',
    '.',
  ]) {
    await expectForged(String(other))
  }
  for (const authorization of [
    token,
    `Token ${token}`,
    `Bearer  ${token}`,
    `Basic ${token}`,
    'Bearer',
    `Bearer${token}`,
  ]) {
    app.resetCalls()
    expectGatewayRefusal(await app.request('GET', '/v1/user', { headers: { authorization } }))
  }
  await expectAccepted(token)
  const lower = await app.request('GET', '/v1/user', { headers: { authorization: `bearer ${token}` } })
  expect(lower.status).toBe(200)
})

test('a repeated claim or header parameter is refused, even with a right signature', async () => {
  const victim = await app.signUp()
  const payload = () => JSON.stringify(fresh())
  const open = (text: string) => text.slice(0, -1)
  for (const name of ['username', 'origin_jti', 'exp', 'token_use', 'jti']) {
    const value = JSON.stringify(name === 'username' ? victim.accountId : GENUINE[name])
    await expectForged(signed(`${open(payload())},"${name}":${value}}`))
    await expectForged(signed(`{"${name}":${value},${payload().slice(1)}`))
    const escaped = `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`
    await expectForged(signed(`${open(payload())},"${escaped}":${value}}`))
  }
  const header = JSON.stringify(HEADER)
  await expectForged(signed(payload(), { header: `${open(header)},"alg":"RS256"}` }))
  await expectForged(signed(payload(), { header: `{"kid":"x",${header.slice(1)}` }))
  await expectAccepted(signed(payload(), { header }))
})

test('a critical header extension is refused, even with a right signature', async () => {
  for (const header of [
    { crit: ['exp'], exp: 1 },
    { crit: ['b64'], b64: false },
    { crit: [] },
    { crit: ['x'] },
    { b64: false },
    { zip: 'DEF' },
    { cty: 'JWT' },
  ]) {
    await expectForged(signed(fresh(), { header }))
  }
  await expectAccepted(signed(fresh(), { header: { typ: 'JWT' } }))
})

describe('a deactivated account', () => {
  test('is refused from the next request on, whatever is cached, and its tokens cannot be refreshed', async () => {
    const owner = await app.signUp()
    await expectAccepted(owner.accessToken, owner)
    const { table } = await app.ports()
    await table.update(keys.profile(owner.accountId), expr`SET #status = ${'deactivated'}`)
    await expectEnded(owner.accessToken, 'account_deactivated')
    for (const [path, json] of [
      ['/v1/auth/refresh', { refreshToken: owner.refreshToken }],
      ['/v1/auth/login', { email: owner.email, password: owner.password }],
    ] as const) {
      const { status, body } = await app.request('POST', path, { json })
      expect([status, body.type, body.accessToken]).toEqual([
        403,
        'urn:bursar:problem:account_deactivated',
        undefined,
      ])
    }
  })

  test('that its owner deactivated is refused from the next request on, and after a restore no old token works', async () => {
    const owner = await app.signUp()
    const other = await app.login(owner)
    await expectAccepted(owner.accessToken, owner)
    await expectAccepted(other.accessToken, owner)
    await app.request('PUT', '/api/users/current/deactivate', { token: owner.accessToken })
    for (const { accessToken } of [owner, other]) await expectEnded(accessToken, 'account_deactivated')
    const json = { email: owner.email, password: owner.password }
    expect((await app.request('POST', '/api/users/restore', { json })).status).toBe(200)
    for (const session of [owner, other]) {
      await expectEnded(session.accessToken)
      expect(await sessionStatuses(app, session)).toEqual([401, 401])
    }
    await expectAccepted((await app.login(owner)).accessToken, owner)
  })

  test('does not reveal its status to a wrong password', async () => {
    const owner = await app.signUp()
    const { table } = await app.ports()
    await table.update(keys.profile(owner.accountId), expr`SET #status = ${'deactivated'}`)
    const json = { email: owner.email, password: 'Wrong123!' }
    const { status, body } = await app.request('POST', '/v1/auth/login', { json })
    expect([status, body.type]).toEqual([401, 'urn:bursar:problem:invalid_credentials'])
  })
})

describe('after sign-out', () => {
  const signOut = (token: string, json?: object) =>
    app.request('POST', '/v1/auth/logout', { token, ...(json && { json }) })
  const refresh = (refreshToken: string) =>
    app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })

  test('the session’s access tokens, including refreshed ones, are refused, and so is its refresh token', async () => {
    const owner = await app.signUp()
    const { body: refreshed } = await refresh(owner.refreshToken)
    await expectAccepted(owner.accessToken, owner)
    await expectAccepted(refreshed.accessToken, owner)
    expect((await signOut(owner.accessToken)).status).toBe(204)
    await expectEnded(owner.accessToken)
    await expectEnded(refreshed.accessToken)
    const { status, body } = await refresh(owner.refreshToken)
    expect([status, body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
  })

  test('another session of the account stays live', async () => {
    const owner = await app.signUp()
    const other = await app.login(owner)
    await signOut(owner.accessToken)
    await expectEnded(owner.accessToken)
    await expectAccepted(other.accessToken, owner)
    expect((await refresh(other.refreshToken)).status).toBe(200)
  })

  test('everywhere, every session is ended, but a sign-in in the same second works', async () => {
    const owner = await app.signUp()
    const other = await app.login(owner)
    expect((await signOut(owner.accessToken, { everywhere: true })).status).toBe(204)
    for (const { accessToken, refreshToken } of [owner, other]) {
      await expectEnded(accessToken)
      expect((await refresh(refreshToken)).status).toBe(401)
    }
    const later = await app.login(owner)
    expect(claims(later.accessToken).auth_time).toBe(claims(other.accessToken).auth_time)
    await expectAccepted(later.accessToken, owner)
  })
})

describe('after a password change or a reset', () => {
  const NEW = 'Changed1!'

  const ways: [string, (owner: SignedInPerson) => Promise<TestAnswer>][] = [
    [
      'GreenCloud’s change',
      ({ accessToken: token }) => app.request('PUT', '/v1/user/password', { token, json: { password: NEW } }),
    ],
    [
      'EMCP’s change',
      ({ accessToken: token, password: oldPassword }) =>
        app.request('PUT', '/api/users/current', { token, json: { oldPassword, newPassword: NEW } }),
    ],
    [
      'a reset',
      async ({ email }) => {
        const json = { code: await resetCode(app, email), password: NEW }
        return app.request('PUT', '/v1/user/resetPassword', { json })
      },
    ],
  ]

  test.each(ways)('by %s no earlier token works, but a token of the same second does', async (_, change) => {
    const owner = await app.signUp()
    const other = await app.login(owner)
    const { refreshToken } = owner
    const refreshed = (await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } })).body
    const before = [owner, other, { ...owner, accessToken: refreshed.accessToken }]
    for (const { accessToken } of before) await expectAccepted(accessToken, owner)
    expect((await change(owner)).status).toBeLessThan(300)
    const later = await app.login({ ...owner, password: NEW })
    for (const session of before) {
      await expectEnded(session.accessToken)
      expect(await sessionStatuses(app, session)).toEqual([401, 401])
    }
    expect(claims(later.accessToken).auth_time).toBe(claims(owner.accessToken).auth_time)
    await expectAccepted(later.accessToken, owner)
  })
})

describe('a token outside a single Authorization header', () => {
  const get = (headers: [string, string][], target = '/v1/user') => {
    app.resetCalls()
    return sendRaw(app.url, 'GET', target, headers)
  }
  const bearer = (token: string): [string, string] => ['Authorization', `Bearer ${token}`]

  test('in one of two Authorization headers is refused, whichever of them is right', async () => {
    const token = signed(fresh())
    expectGatewayRefusal(await get([bearer(token), bearer(token)]))
    expectGatewayRefusal(await get([bearer(token), bearer('garbage')]))
    expectGatewayRefusal(await get([bearer('garbage'), ['authorization', `Bearer ${token}`]]))
    expectGatewayRefusal(await get([['Authorization', 'Basic eDp5'], bearer(token)]))
    expect((await get([bearer(token)])).status).toBe(200)
  })

  test('in the query, a cookie or another header is ignored', async () => {
    const token = signed(fresh())
    for (const name of ['access_token', 'token', 'authorization', 'Authorization', 'jwt']) {
      expectGatewayRefusal(await get([], `/v1/user?${name}=${token}`), 401)
      expectGatewayRefusal(await get([], `/v1/user?${name}=Bearer%20${token}`), 401)
      expectGatewayRefusal(await get([['Cookie', `${name}=${token}`]]), 401)
    }
    for (const name of ['X-Authorization', 'X-Access-Token', 'Proxy-Authorization', 'X-Amz-Security-Token']) {
      expectGatewayRefusal(await get([[name, `Bearer ${token}`]]), 401)
    }
    expectGatewayRefusal(await get([['Authorization', '']]), 401)
    expect((await get([bearer(token)])).status).toBe(200)
  })
})

test('a token of a deleted account does not work for the account that took its name and address', async () => {
  const first = await app.signUp()
  await expectAccepted(first.accessToken, first)
  const { table, identity } = await app.ports()
  await identity.remove(first.accountId)
  await table.transact([
    { remove: keys.profile(first.accountId) },
    { remove: keys.usernameGuard(usernameKey(first.username)) },
    { remove: keys.emailGuard(emailKey(first.email)) },
  ])
  const second = await app.signUp({ username: first.username, email: first.email, password: first.password })
  expect(second.accountId).not.toBe(first.accountId)
  await expectEnded(first.accessToken)
  const { status } = await app.request('POST', '/v1/auth/refresh', {
    json: { refreshToken: first.refreshToken },
  })
  expect(status).toBe(401)
  // The old session with the id of the new account is refused too.
  await expectEnded(signed({ ...claims(first.accessToken), username: second.accountId }))
  await expectEnded(
    signed({ ...claims(second.accessToken), origin_jti: claims(first.accessToken).origin_jti }),
  )
  await expectAccepted(second.accessToken, second)
})

describe('the key set', () => {
  const closers: (() => Promise<void>)[] = []
  const theirs = { ...mine.publicKey.export({ format: 'jwk' }), kid: 'theirs', alg: 'RS256', use: 'sig' }

  /** Cold-starts the authorizer with this key set. @returns the number of its requests for keys. */
  async function coldAuthorizer(answer: (() => { status: number; body: string }) | 'closed port') {
    const requests = { count: 0 }
    const server = await listen((_, response) => {
      requests.count += 1
      if (answer === 'closed port') return
      const { status, body } = answer()
      response.writeHead(status, { 'content-type': 'application/json' }).end(body)
    })
    if (answer === 'closed port') await server.close()
    else closers.push(server.close)
    process.env.JWKS_URI = `${server.url}/jwks.json`
    vi.resetModules()
    coldStart()
    app.forgetVerdicts()
    return requests
  }

  afterEach(async () => {
    process.env.JWKS_URI = cognito.jwksUri
    vi.resetModules()
    coldStart()
    for (const close of closers.splice(0)) await close()
  })

  const keySet = async () => ({ status: 200, body: await (await fetch(cognito.jwksUri)).text() })

  test.each([
    // The gateway caches a refusal but not an error, so good tokens pass once the key set is back.
    ['out of reach', 500, 'closed port' as const],
    ['failing', 500, () => ({ status: 500, body: '{}' })],
    ['not JSON', 403, () => ({ status: 200, body: '<html>' })],
    ['empty', 403, () => ({ status: 200, body: '{"keys":[]}' })],
    ['of another shape', 403, () => ({ status: 200, body: '{"keys":[{"kid":"x"}]}' })],
    ['another pool’s', 403, () => ({ status: 200, body: JSON.stringify({ keys: [theirs] }) })],
  ])(
    'that is %s refuses every token with %i, and good tokens pass again once the key set is back',
    async (_, expected, answer) => {
      await coldAuthorizer(answer)
      for (const token of [signed(fresh()), person.accessToken.slice(0, -4), forged(HEADER, withMyKey)]) {
        app.resetCalls()
        const { status } = await open(token)
        expect([status, outsideCalls(app)]).toEqual([expected, {}])
      }
      const good = await keySet()
      await coldAuthorizer(() => good)
      await expectAccepted(signed(fresh()))
    },
  )

  test('is requested at most twice during a flood of unknown kids, and known tokens still pass', async () => {
    const good = await keySet()
    const requests = await coldAuthorizer(() => good)
    await expectAccepted(signed(fresh()))
    const storm = Array.from({ length: 100 }, (_, at) => signed(fresh(), { header: { kid: `random-${at}` } }))
    const answers = await Promise.all(storm.map(open))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([403]))
    await expectForged(signed(fresh(), { header: { kid: 'one more' } }))
    await expectAccepted(signed(fresh()))
    expect(requests.count).toBe(2)
  })

  test('is requested once by many concurrent first requests', async () => {
    const good = await keySet()
    const requests = await coldAuthorizer(() => good)
    const answers = await Promise.all(Array.from({ length: 20 }, () => open(signed(fresh()))))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect(requests.count).toBe(1)
  })
})
