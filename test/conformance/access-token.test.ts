import { generateKeyPairSync, sign } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { SESSION_MS } from '../../core/credentials/session-life.ts'

/*
 * What the authorizer believes, decided in this process: `tokens.deep.test.ts` sends such tokens to the stack.
 */

const NOW_MS = Date.UTC(2026, 10, 21, 12)
const NOW_SEC = NOW_MS / 1000
const ISSUER = 'https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc'
const ENV = {
  ...{ USER_POOL_ID: 'eu-central-1_abc', USER_POOL_CLIENT_ID: 'client' },
  JWKS_URI: 'http://127.0.0.1:1/jwks.json',
}

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const JWKS = { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' }] }

const CLAIMS = {
  ...{ sub: 'a1', username: 'a1', origin_jti: 's1', jti: 'j1', token_use: 'access', client_id: 'client' },
  ...{ iss: ISSUER, iat: NOW_SEC, exp: NOW_SEC + 900, scope: 'x' },
}
const HEADER = { alg: 'RS256', kid: 'k1' }

const base64url = (text: string) => Buffer.from(text).toString('base64url')

/** A token with the pool's signature over these texts. */
function signedText(header: string, payload: string): string {
  const text = `${base64url(header)}.${base64url(payload)}`
  return `${text}.${sign('RSA-SHA256', Buffer.from(text), privateKey).toString('base64url')}`
}
const signed = (claims: object = {}, header: object = {}) =>
  signedText(JSON.stringify({ ...HEADER, ...header }), JSON.stringify({ ...CLAIMS, ...claims }))

const fetched = vi.fn<(uri: string) => Promise<Response>>()
let started = 0

/** The reader of a container that has just started. */
async function start() {
  const path = join(import.meta.dirname, '..', '..', 'functions', 'http', 'access-token.ts')
  const module: typeof import('../../functions/http/access-token.ts') = await import(
    /* @vite-ignore */ `${path}?container=${++started}`
  )
  const read = (token: string) => module.readAccessToken(`Bearer ${token}`)
  return { ...module, read, isBelieved: async (token: string) => (await read(token)) !== undefined }
}

beforeEach(() => {
  vi.useFakeTimers({ now: NOW_MS, toFake: ['Date'] })
  for (const [name, value] of Object.entries(ENV)) vi.stubEnv(name, value)
  fetched.mockReset().mockImplementation(async () => Response.json(JWKS))
  vi.stubGlobal('fetch', fetched)
})
afterAll(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
})

test('a genuine token says whose it is, of which session, and until when', async () => {
  const { read } = await start()
  const claims = { accountId: 'a1', sessionId: 's1', expiresAtSec: NOW_SEC + 900 }
  expect(await read(signed())).toEqual(claims)
  expect(await read(signed({}, { typ: 'JWT' }))).toEqual(claims)
})

describe('a header', () => {
  test.each([
    '',
    'Bearer',
    'Bearer ',
    'Basic TOKEN',
    'TOKEN',
    'Bearer TOKEN x',
    'x Bearer TOKEN',
    'Bearer  TOKEN',
  ])('%j has no token, and nothing is fetched', async (text) => {
    const { readAccessToken } = await start()
    expect(await readAccessToken(text.replace('TOKEN', signed()))).toBeUndefined()
    expect(await readAccessToken(undefined)).toBeUndefined()
    expect(fetched).not.toHaveBeenCalled()
  })

  test('may write the scheme in any case', async () => {
    const { readAccessToken } = await start()
    expect(await readAccessToken(`bEARER ${signed()}`)).toBeDefined()
  })
})

describe('a token with the right signature is not believed', () => {
  test.each([
    ['of another pool', { iss: `${ISSUER}x` }],
    ['for another client', { client_id: 'other' }],
    ['that is an ID token', { token_use: 'id' }],
    ...['sub', 'username', 'origin_jti', 'exp', 'iat'].map(
      (name) => [`without ${name}`, { [name]: undefined }] as [string, object],
    ),
    ...['sub', 'username', 'origin_jti'].map(
      (name) => [`whose ${name} is no text`, { [name]: 7 }] as [string, object],
    ),
    ['whose nbf is no time', { nbf: 'x' }],
  ])('%s', async (_, claims) => {
    const { isBelieved } = await start()
    expect(await isBelieved(signed(claims))).toBe(false)
  })

  test.each([
    ['with an extension that must be understood', { crit: ['x'], x: 1 }],
    ['that brings a key', { jwk: JWKS.keys[0] }],
    ['of a key that the pool does not have', { kid: 'k2' }],
    ['with another algorithm', { alg: 'RS512' }],
    ['whose type is no text', { typ: 7 }],
  ])('%s', async (_, header) => {
    const { isBelieved } = await start()
    expect(await isBelieved(signed({}, header))).toBe(false)
  })

  test('with a claim or a parameter twice', async () => {
    const { isBelieved } = await start()
    const [header, payload] = [JSON.stringify(HEADER), JSON.stringify(CLAIMS)]
    expect(await isBelieved(signedText(header, payload))).toBe(true)
    const twice = (text: string, member: string) => text.replace('{', `{${member},`)
    expect(await isBelieved(signedText(header, twice(payload, '"username":"a2"')))).toBe(false)
    expect(await isBelieved(signedText(twice(header, '"kid":"k2"'), payload))).toBe(false)
  })

  test('in another spelling of its signature', async () => {
    const { isBelieved } = await start()
    const token = signed()
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(token.at(-1) ?? '')
    // 256 bytes leave four bits of the last character without a meaning.
    const other = token.slice(0, -1) + alphabet[last ^ 1]
    expect([await isBelieved(token), await isBelieved(other)]).toEqual([true, false])
  })
})

describe('the times of a token', () => {
  test.each([
    ['issued a minute ahead', { iat: NOW_SEC + 60 }, true],
    ['issued more than a minute ahead', { iat: NOW_SEC + 61 }, false],
    ['to be used from now on', { nbf: NOW_SEC }, true],
    ['to be used a second later', { nbf: NOW_SEC + 1 }, false],
    // Only the account gate knows whether its session can be refreshed.
    ['expired within the life of a session', { exp: NOW_SEC - SESSION_MS / 1000 + 1 }, true],
    ['expired for longer', { exp: NOW_SEC - SESSION_MS / 1000 - 1 }, false],
  ])('%s: %s', async (_, claims, expected) => {
    const { isBelieved } = await start()
    expect(await isBelieved(signed(claims))).toBe(expected)
  })
})

describe('the keys of the pool', () => {
  test('are fetched once, before the first token if a container asks for that', async () => {
    const { fetchKeySet, isBelieved } = await start()
    await fetchKeySet()
    expect(fetched).toHaveBeenCalledWith(ENV.JWKS_URI)
    fetched.mockClear()
    expect([await isBelieved(signed()), await isBelieved(signed({ jti: 'j2' }))]).toEqual([true, true])
    expect(fetched).not.toHaveBeenCalled()
    const late = await start()
    expect([await late.isBelieved(signed()), await late.isBelieved(signed())]).toEqual([true, true])
    expect(fetched).toHaveBeenCalledOnce()
  })

  test('that cannot be had make no token a wrong one', async () => {
    const { read } = await start()
    const unavailable = { code: 'temporarily_unavailable' }
    fetched.mockImplementation(() => Promise.reject(new Error('an outage')))
    await expect(read(signed())).rejects.toMatchObject(unavailable)
    fetched.mockImplementation(async () => Response.json(JWKS, { status: 500 }))
    await expect((await start()).read(signed())).rejects.toMatchObject(unavailable)
  })
})
