import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { consoleKey, type Placed } from '../../functions/http/route.ts'
import { rows } from '../../functions/http/rows.ts'
import { newAdminKey, revokeKey } from '../support/admin-keys.ts'
import { startApp, type TestRequest } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { adminKeyToken } from '../support/operators.ts'
import { consume, newConsumer } from '../support/quota.ts'
import { rowKey } from '../support/samples.ts'
import { expectError, targetOf } from './contract.ts'

/** Whoever is refused learns nothing about the rest of their request. */

const app = await startApp()
const DAY_MS = 86_400_000

/** What can be wrong with a request to any row. */
const FAULTS: Record<string, TestRequest & { search?: string }> = {
  'no fault': {},
  'a body that is no JSON': { body: '{', headers: { 'content-type': 'application/json' } },
  'a body that is too large': { body: 'x'.repeat(70_000), headers: { 'content-type': 'application/json' } },
  'a body of another type': { body: 'a=1', headers: { 'content-type': 'text/plain' } },
  'an unknown field': { json: { surprise: 1 } },
  'a parameter out of range': { search: '?limit=-1' },
}

/** A caller who is refused: their token, and how. */
type Refused = readonly [
  token: string | undefined,
  code: ErrorCode | 401 | 403,
  headers?: Record<string, string>,
]

const outsider = await newConsumer(app)

/** A key that containers have seen at work, and that was revoked since. */
async function revokedKey() {
  const person = await newConsumer(app)
  const { id, key } = await createKey(app, person)
  expect((await consume(app, key, { units: 1 })).status).toBe(200)
  await app.request('DELETE', `/v1/keys/${id}`, { token: person.accessToken })
  return key
}

async function rotatedDefaultKey() {
  const person = await newConsumer(app)
  expect((await consume(app, person.key, { units: 1 })).status).toBe(200)
  await app.request('POST', '/v1/keys/default/rotate', { token: person.accessToken, json: {} })
  return person.key
}

const keyWith = async (settings: object) => (await createKey(app, outsider, 'a key', settings)).key

async function keyOfDeactivated() {
  const person = await newConsumer(app)
  const { key } = await createKey(app, person)
  await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  return key
}

const KEYS: Record<string, Refused> = {
  'no key': [undefined, 'unauthorized'],
  'no key at all': ['nonsense', 'unauthorized'],
  'a key that nobody made': [`bsr_${'0'.repeat(64)}_1_${'0'.repeat(24)}_${'0'.repeat(16)}`, 'unauthorized'],
  'a default key that nobody has': ['01234567-89ab-4cde-8f01-23456789abcd', 'unauthorized'],
  'a revoked key': [await revokedKey(), 'unauthorized'],
  'a default key that was replaced': [await rotatedDefaultKey(), 'unauthorized'],
  'a revoked key with a customer': [await revokedKey(), 'unauthorized', { 'x-bursar-account': '1' }],
  'a key that is switched off': [await keyWith({ enabled: false }), 'key_disabled'],
  'a key of another network': [await keyWith({ ip: ['203.0.113.0/24'] }), 'ip_not_allowed'],
  'a key of a deactivated account': [await keyOfDeactivated(), 'account_deactivated'],
  'the credential of no service': [`bss_${'0'.repeat(64)}_${'0'.repeat(16)}`, 'service_refused'],
}

async function signedOut() {
  const { accessToken, refreshToken } = await app.signUp()
  await app.request('POST', '/v1/auth/logout', { token: accessToken, json: { refreshToken } })
  return accessToken
}

async function deactivated() {
  const { accessToken: token } = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token })
  return token
}

const TOKENS: Record<string, Refused> = {
  'no token': [undefined, 401],
  'no token at all': ['nonsense', 403],
  'a session that has ended': [await signedOut(), 'session_ended'],
  'a deactivated account': [await deactivated(), 'account_deactivated'],
}

const OPERATORS: Record<string, Refused> = {
  'no token': [undefined, 401],
  'no token at all': ['nonsense', 403],
  'an ordinary account': [outsider.accessToken, 'operator_refused'],
}

const revokedAdminKey = async () => {
  const key = await newAdminKey(app, 'admin')
  await revokeKey(app, key)
  return adminKeyToken(key.credential)
}

const ADMIN_KEYS: Record<string, Refused> = {
  'no admin key': [undefined, 'admin_key_refused'],
  'no admin key at all': [adminKeyToken('nonsense'), 'admin_key_refused'],
  'a revoked admin key': [await revokedAdminKey(), 'admin_key_refused'],
}

const REFUSED = { key: KEYS, account: TOKENS, operator: OPERATORS, 'admin-key': ADMIN_KEYS, public: {} }

const guarded = rows.filter(({ auth }) => auth !== 'public').map((row) => [rowKey(row), row] as const)

async function send(row: Placed, [token, , headers]: Refused, fault: (typeof FAULTS)[string]) {
  const route = row.auth === 'operator' ? consoleKey(row.routes[0]) : row.routes[0]
  const [method, target] = targetOf(route)
  return app.request(method, target + (fault.search ?? ''), {
    ...fault,
    token,
    headers: { ...fault.headers, ...headers },
  })
}

describe.each(guarded)('%s', (_, row) => {
  test.each(Object.entries(REFUSED[row.auth]))(
    'refuses %s, whatever else is wrong',
    async (_who, refused) => {
      const [, code] = refused
      for (const [what, fault] of Object.entries(FAULTS)) {
        const answer = await send(row, refused, fault)
        // A copy of the request that has ended the caller's access is answered again.
        if (code === row.refusalAfter && answer.status < 300) continue
        if (typeof code === 'number') expect([what, answer.status]).toEqual([what, code])
        else if (row.dialect === 'rest') expectError(row, answer, code)
        else expect([what, answer.body]).toMatchObject([what, { type: `urn:bursar:problem:${code}` }])
      }
    },
  )
})

test('a key that has expired since a container has seen it learns nothing either', async () => {
  const expiresAt = new Date(Date.now() + DAY_MS).toISOString()
  const { key } = await createKey(app, outsider, 'a key', { expiresAt })
  expect((await consume(app, key, { units: 1 })).status).toBe(200)
  app.advance(DAY_MS)
  expect((await consume(app, key, { units: -1 })).body).toMatchObject({
    type: 'urn:bursar:problem:key_expired',
  })
})

test('a live key is told what is wrong, for one read', async () => {
  const { key } = await createKey(app, outsider)
  await consume(app, key, { units: 1 })
  app.resetCalls()
  const { body } = await consume(app, key, { units: -1 })
  expect(body).toMatchObject({ type: 'urn:bursar:problem:invalid_request' })
  expect(app.calls().dynamodb).toEqual({ GetItem: 1 })
})
