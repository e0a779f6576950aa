import { describe, expect, test } from 'vitest'
import * as z from 'zod/mini'
import { credentials, oneFactor } from '../../functions/http/account-schemas.ts'
import { countryCode, newAddress } from '../../functions/http/payment-schemas.ts'
import {
  asksPeople,
  consoleKey,
  fileOf,
  gatewayKey,
  guardsOf,
  isRead,
  PROOF_GUARDS,
  place,
  type Row,
} from '../../functions/http/route.ts'
import { ops } from '../../functions/ops/routes.ts'
import { v1 } from '../../functions/v1/routes.ts'

/* What is derived from a row alone, and the schemas that several rows share. */

const ROW = {
  ...{
    routes: ['GET /v1/a'],
    summary: 'Does something',
    auth: 'public',
    responses: {},
    errors: [],
    needs: [],
  },
} as const satisfies Row

describe('a row', () => {
  test('that ends in a slash has a key that the gateway takes, and the console has paths of its own', () => {
    expect([gatewayKey('GET /rest/apps/'), gatewayKey('GET /rest/apps')]).toEqual([
      ...['GET /rest/apps/{slash+}', 'GET /rest/apps'],
    ])
    expect(consoleKey('POST /ops/admin/x/ops/y')).toBe('POST /console/admin/x/ops/y')
    expect(consoleKey('GET /v1/ops/x')).toBe('GET /v1/ops/x')
  })

  test('only reads if all of its routes do', () => {
    expect(isRead({ routes: ['GET /a'] })).toBe(true)
    expect(isRead({ routes: ['GET /a', 'POST /a'] })).toBe(false)
    expect(isRead({ routes: ['POST /a'] })).toBe(false)
  })

  test('guards what it says, and what a proof in its headers tries, each once', () => {
    expect(guardsOf({})).toEqual([])
    expect(guardsOf({ guards: ['mail'] })).toEqual(['mail'])
    expect(guardsOf({ guards: ['mail'], proof: 'own' })).toEqual(['mail'])
    expect(guardsOf({ proof: 'recent' })).toEqual(PROOF_GUARDS)
    expect(guardsOf({ guards: ['code', 'mail'], proof: 'recent' })).toEqual([
      ...['code', 'mail', 'password', 'vault'],
    ])
  })

  test('asks people only where something is guarded and the service is there', () => {
    expect(asksPeople({ guards: ['mail'], needs: ['challenge'] })).toBe(true)
    expect(asksPeople({ guards: ['mail'], needs: ['table'] })).toBe(false)
    expect(asksPeople({ needs: ['challenge'] })).toBe(false)
  })

  test('has a file of its name in kebab-case', () => {
    expect(['createKey', 'verify2FA', 'a', 'stopRecoveryByLink'].map(fileOf)).toEqual([
      ...['create-key', 'verify-2fa', 'a', 'stop-recovery-by-link'],
    ])
  })

  test('of operators asks for a proof if it changes something', () => {
    const operator = { ...ROW, auth: 'operator' as const }
    const { change, look, read } = place('ops', {
      change: { ...operator, role: 'support', routes: ['POST /ops/support/a'] },
      look: { ...operator, role: 'support', routes: ['GET /ops/support/a'] },
      read: { ...operator, role: 'read', routes: ['POST /ops/read/a'] },
    }) as Record<string, Row & { dialect: string; name: string; file: string }>
    expect([change?.proof, look?.proof, read?.proof]).toEqual(['recent', undefined, undefined])
    expect([change?.dialect, change?.name, change?.file]).toEqual(['ops', 'change', 'change'])
    expect(place('v1', { change: { ...ROW, routes: ['POST /v1/a'] } }).change).not.toHaveProperty('proof')
    expect(ops.suspend).toMatchObject({ proof: 'recent' })
    expect(v1.createKey.file).toBe('create-key')
  })
})

const messagesOf = (schema: z.ZodMiniType, value: unknown) =>
  schema.safeParse(value).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []

describe('credentials', () => {
  test('name one of address and username', () => {
    const password = 'x'
    expect(messagesOf(credentials, { email: 'ada@example.com', password })).toEqual([])
    expect(messagesOf(credentials, { username: 'ada', email: '', password })).toEqual([])
    const both = { email: 'ada@example.com', username: 'ada', password }
    for (const wrong of [both, { password }, { email: '', username: '', password }])
      expect(messagesOf(credentials, wrong)).toEqual(['email: send either email or username'])
  })

  test('have one second factor at most', () => {
    const schema = z
      .object({ twofa: z.optional(z.string()), passkey: z.optional(z.string()) })
      .check(oneFactor)
    for (const right of [{}, { twofa: 'x' }, { passkey: 'x' }]) expect(messagesOf(schema, right)).toEqual([])
    expect(messagesOf(schema, { twofa: 'x', passkey: 'x' })).toEqual([
      'passkey: send either twofa or passkey',
    ])
  })
})

describe('an address', () => {
  const ADDRESS = { street: 'Main st. 1', city: 'Ulm', postCode: '89073', country: 'DE' }

  test('is of any script, and of the punctuation that addresses have', () => {
    for (const street of ['Ölweg 5/2 (#3)', '通り 1-2', 'शिव मार्ग 4', "L'Allée d’Or", 'x'.repeat(100)])
      expect([street, messagesOf(newAddress, { ...ADDRESS, street })]).toEqual([street, []])
    expect(messagesOf(newAddress, { ...ADDRESS, company: '', district: 'BW' })).toEqual([])
    const rule = "street: must be of letters, digits, spaces and . , ' ’ - / # ( )"
    for (const street of ['a<b', 'a\nb', 'a;b', '', '   ', '\u200b'])
      expect([street, messagesOf(newAddress, { ...ADDRESS, street })]).toEqual([street, [rule]])
    expect(messagesOf(newAddress, { ...ADDRESS, street: 'x'.repeat(101) })).toHaveLength(1)
    expect(messagesOf(newAddress, { ...ADDRESS, street: '<'.repeat(101) })).toHaveLength(1)
  })

  test('is in a country of ISO 3166-1', () => {
    for (const code of ['DE', 'US', 'AX']) expect(countryCode.safeParse(code).success).toBe(true)
    for (const code of ['de', 'XX', 'DEU', 'D', '', '__proto__', 'toString'])
      expect([code, countryCode.safeParse(code).success]).toEqual([code, false])
  })
})
