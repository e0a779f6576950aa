import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { defaultKeyLookupOf } from '../../core/keys/default-key.ts'
import { keyHash } from '../../core/keys/key-text.ts'
import { DAY_MS, HOUR_MS } from '../../core/time.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError, outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey, NO_SETTINGS } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { type Consumer, consume, counterOf, newConsumer } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const change = ({ accessToken: token }: SignedInPerson, id: string, json: object) =>
  app.request('PUT', `/v1/keys/${id}`, { token, json })
const rotate = ({ accessToken: token }: SignedInPerson, id: string, json?: object) =>
  app.request('POST', `/v1/keys/${id}/rotate`, { token, ...(json && { json }) })
const list = async ({ accessToken: token }: SignedInPerson) =>
  (await app.request('GET', '/v1/keys', { token })).body
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.changeKey, answer, code)
const spendRefused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.consume, answer, code)

const SETTINGS = {
  enabled: true,
  expiresAt: '2027-01-01T00:00:00.000Z',
  scopes: ['read', 'write:own'],
  budget: { units: 500, per: 'month' },
  rate: { unitsPerSecond: 0.5, burst: 20 },
  ip: ['127.0.0.1', '2001:db8::/32'],
  metadata: { plan: 'gold', seats: 1e300, tags: [null, '', true] },
}

/** The default key and a further one, each with its text. */
async function bothKeys(person: Consumer): Promise<{ id: string; key: string }[]> {
  const { id, key } = await createKey(app, person)
  return [
    { id: 'default', key: person.key },
    { id, key },
  ]
}

test('200: every setting of the default key and of a further one is kept and shown, and null removes it', async () => {
  const person = await newConsumer(app)
  for (const { id } of await bothKeys(person)) {
    const { status, body } = await change(person, id, { name: 'renamed', ...SETTINGS })
    expect(status).toBe(200)
    expect(body).toMatchObject({ id, name: 'renamed', ...SETTINGS, graceUntil: null })
    expect(await list(person)).toContainEqual({ ...body, lastUsedDay: null })
    const { body: partly } = await change(person, id, { scopes: null, name: 'again' })
    expect(partly).toEqual({ ...body, name: 'again', scopes: [] })
    const none = { expiresAt: null, budget: null, rate: null, ip: null, metadata: null }
    expect((await change(person, id, none)).body).toMatchObject({ name: 'again', ...NO_SETTINGS })
  }
})

test('201: a key can be made with its settings, and a repeat shows them again', async () => {
  const person = await newConsumer(app)
  const send = () =>
    app.request('POST', '/v1/keys', {
      token: person.accessToken,
      headers: { 'idempotency-key': 'made' },
      json: { name: 'made', ...SETTINGS },
    })
  const { status, body } = await send()
  expect([status, body]).toEqual([201, expect.objectContaining({ name: 'made', ...SETTINGS })])
  expect((await send()).body).toEqual({ ...body, replayed: true })
  const { body: spent } = await consume(app, body.key, { units: 1, requires: ['read'] })
  expect(spent.key).toEqual({
    id: body.id,
    name: 'made',
    scopes: SETTINGS.scopes,
    metadata: SETTINGS.metadata,
  })
})

test('200: a change to what is stored already writes nothing', async () => {
  const person = await newConsumer(app)
  await change(person, 'default', SETTINGS)
  app.resetCalls()
  expect((await change(person, 'default', SETTINGS)).status).toBe(200)
  expect(Object.keys(outsideCalls(app)).sort()).toEqual(['GetItem', 'Query'])
})

test('200: of changes at once none is lost', async () => {
  const person = await newConsumer(app)
  for (const { id } of await bothKeys(person)) {
    const changes = [{ scopes: ['a'] }, { metadata: { a: 1 } }, { ip: ['127.0.0.1'] }, { name: 'crowded' }]
    const answers = await Promise.all(changes.map((each) => change(person, id, each)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
    const shown = (await list(person)).find((key: { id: string }) => key.id === id)
    expect(shown).toMatchObject(Object.assign({}, ...changes))
  }
})

test.each([
  ['no setting', {}],
  ['an unknown setting', { slot: 1 }],
  ['a revision', { revision: 7 }],
  ['an empty name', { name: ' ' }],
  ['no name', { name: null }],
  ['a day without a time', { expiresAt: '2027-01-01' }],
  ['a time that has passed', { expiresAt: '2026-11-21T11:59:59Z' }],
  ['a year that no time has', { expiresAt: '9999-12-31T23:59:59-23:59' }],
  ['21 scopes', { scopes: Array.from({ length: 21 }, (_, n) => `s${n}`) }],
  ['a scope with a space', { scopes: ['a b'] }],
  ['a scope of 65 characters', { scopes: ['a'.repeat(65)] }],
  ['an empty scope', { scopes: [''] }],
  ['a budget of nothing', { budget: { units: 0, per: 'day' } }],
  ['a budget by week', { budget: { units: 1, per: 'week' } }],
  ['half a rate', { rate: { unitsPerSecond: 1 } }],
  ['a rate below zero', { rate: { unitsPerSecond: -1, burst: 1 } }],
  ['no address', { ip: [] }],
  ['21 addresses', { ip: Array.from({ length: 21 }, (_, n) => `10.0.0.${n}`) }],
  ['a name of a host', { ip: ['example.com'] }],
  ['an address beyond its range', { ip: ['256.0.0.1'] }],
  ['a network of 33 bits', { ip: ['10.0.0.0/33'] }],
  ['a network of 129 bits', { ip: ['::/129'] }],
  ['a network without bits', { ip: ['10.0.0.0/'] }],
  ['an address with a zone', { ip: ['fe80::1%eth0'] }],
  ['metadata of 1,025 bytes', { metadata: { a: 'é'.repeat(508) + 'x' } }],
  ['metadata that is a list', { metadata: [1] }],
  ['metadata that is text', { metadata: 'gold' }],
  ['enabled as text', { enabled: 'false' }],
])('400: %s, and nothing changes', async (_, json) => {
  const person = await bystander()
  refused(await change(person, 'default', json), 'invalid_request')
  expect(await list(person)).toMatchObject([{ name: 'default', ...NO_SETTINGS }])
})

let shared: Promise<Consumer> | undefined
const bystander = () => (shared ??= newConsumer(app))

test('404: unknown, deleted and other accounts’ keys', async () => {
  const [person, other] = [await newConsumer(app), await newConsumer(app)]
  const [deleted, theirs] = [await createKey(app, person), await createKey(app, other)]
  await app.request('DELETE', `/v1/keys/${deleted.id}`, { token: person.accessToken })
  for (const id of ['0'.repeat(24), deleted.id, theirs.id, 'DEFAULT', '%23PROFILE', '__proto__'])
    refused(await change(person, id, { enabled: false }), 'not_found')
  expect((await consume(app, theirs.key, { units: 1 })).status).toBe(200)
})

describe('the next request of a key keeps the settings', () => {
  const paths: [string, (key: string, json?: object) => Promise<TestAnswer>][] = [
    ['spend', (key, json) => consume(app, key, { units: 1, ...json })],
    ['check', (key, json) => consume(app, key, { units: 0, ...json })],
    [
      'batch',
      (token, json) =>
        app.request('POST', '/v1/usage/batch', { token, json: { requests: [{ units: 1 }], ...json } }),
    ],
    [
      'reserve',
      (token, json) => app.request('POST', '/v1/usage/reservations', { token, json: { units: 1, ...json } }),
    ],
  ]

  test.each(paths)('of a %s, in a container that has the settings of before in mind', async (_, ask) => {
    const person = await newConsumer(app)
    const units = async () => {
      const { l, u, y = 0 } = await counterOf(app, person)
      return { l, u, y }
    }
    for (const { id, key } of await bothKeys(person)) {
      expect((await ask(key)).status).toBeLessThan(300)
      for (const [setting, code, undo] of [
        [{ enabled: false }, 'key_disabled', { enabled: true }],
        [{ ip: ['10.0.0.0/8'] }, 'ip_not_allowed', { ip: ['127.0.0.0/8'] }],
        [{ ip: ['2001:db8::/32'] }, 'ip_not_allowed', { ip: null }],
      ] as const) {
        await change(person, id, setting)
        const before = await units()
        for (let times = 0; times < 2; times++) spendRefused(await ask(key), code)
        expect(await units()).toEqual(before)
        await change(person, id, undo)
        expect((await ask(key)).status).toBeLessThan(300)
      }
    }
  })

  test.each(paths)('of a %s: scopes that it requires', async (_, ask) => {
    const person = await newConsumer(app)
    for (const { id, key } of await bothKeys(person)) {
      await change(person, id, { scopes: ['read'] })
      const lacking = await ask(key, { requires: ['read', 'write', 'write'] })
      spendRefused(lacking, 'insufficient_scope')
      expect(lacking.body.missing).toEqual(['write'])
      await change(person, id, { scopes: ['write', 'read'] })
      expect((await ask(key, { requires: ['read', 'write'] })).body.key.scopes).toEqual(['write', 'read'])
    }
  })

  test('a key expires to the millisecond, and works again once its owner has extended it', async () => {
    const person = await newConsumer(app)
    for (const { id, key } of await bothKeys(person)) {
      const expiresAt = new Date(Date.now() + HOUR_MS).toISOString()
      const before = { ...person, ...(await app.login(person)) }
      expect((await change(before, id, { expiresAt })).body.expiresAt).toBe(expiresAt)
      app.advance(HOUR_MS - 1)
      expect((await consume(app, key, { units: 1 })).status).toBe(200)
      app.advance(1)
      const { headers, ...answer } = await consume(app, key, { units: 1 })
      spendRefused({ headers, ...answer }, 'key_expired')
      expect(headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
      const again = { ...person, ...(await app.login(person)) }
      // A list that is sent back as it came changes nothing, an expiry that has passed included.
      expect((await change(again, id, { expiresAt, name: 'renamed' })).status).toBe(200)
      await change(again, id, { expiresAt: null })
      expect((await consume(app, key, { units: 1 })).body.key.name).toBe('renamed')
    }
  })

  test('the answer has the new name and the new metadata', async () => {
    const person = await newConsumer(app)
    for (const { id, key } of await bothKeys(person)) {
      await consume(app, key, { units: 1 })
      await change(person, id, { name: 'new', metadata: { for: 'you' } })
      const told = { id, name: 'new', scopes: [], metadata: { for: 'you' } }
      expect((await consume(app, key, { units: 1 })).body.key).toEqual(told)
      expect((await consume(app, key, { units: 1_000 })).body.key).toEqual(told)
    }
  })
})

describe('a rotation with a grace period', () => {
  test('keeps both keys for so long and no longer, and both count for one key', async () => {
    const person = await newConsumer(app)
    for (const { id, key: old } of await bothKeys(person)) {
      await consume(app, old, { units: 1 })
      const { body } = await rotate(person, id, { graceSeconds: 60 })
      const graceUntil = new Date(Date.now() + 60_000).toISOString()
      expect(body.graceUntil).toBe(graceUntil)
      for (const key of [old, body.key, old]) expect((await consume(app, key, { units: 1 })).status).toBe(200)
      expect(await list(person)).toContainEqual(expect.objectContaining({ id, graceUntil }))
      app.advance(59_999)
      expect((await consume(app, old, { units: 1 })).body.key.id).toBe(id)
      app.advance(1)
      spendRefused(await consume(app, old, { units: 1 }), 'unauthorized')
      expect((await consume(app, body.key, { units: 1 })).status).toBe(200)
      expect(await list(person)).toContainEqual(expect.objectContaining({ id, graceUntil: null }))
      const { c0, c1 } = await counterOf(app, person)
      expect(id === 'default' ? c0 : c1).toBe(6)
    }
  })

  test('ends with the next rotation, and with a deletion', async () => {
    const person = await newConsumer(app)
    for (const { id, key: first } of await bothKeys(person)) {
      const second = (await rotate(person, id, { graceSeconds: 600 })).body.key
      await consume(app, first, { units: 1 })
      app.advance(1_000)
      const third = (await rotate(person, id, { graceSeconds: 60 })).body.key
      spendRefused(await consume(app, first, { units: 1 }), 'unauthorized')
      for (const key of [second, third]) expect((await consume(app, key, { units: 1 })).status).toBe(200)
      app.advance(1_000)
      const fourth = (await rotate(person, id)).body.key
      for (const key of [first, second, third])
        spendRefused(await consume(app, key, { units: 1 }), 'unauthorized')
      expect((await consume(app, fourth, { units: 1 })).status).toBe(200)
      if (id === 'default') continue
      app.advance(1_000)
      const fifth = (await rotate(person, id, { graceSeconds: 600 })).body.key
      await app.request('DELETE', `/v1/keys/${id}`, { token: person.accessToken })
      for (const key of [fourth, fifth]) spendRefused(await consume(app, key, { units: 1 }), 'unauthorized')
    }
  })

  test('keeps the settings for both keys, and ends for good when the key is switched off', async () => {
    const person = await newConsumer(app)
    for (const { id, key: old } of await bothKeys(person)) {
      await change(person, id, { scopes: ['read'] })
      const { key } = (await rotate(person, id, { graceSeconds: 600 })).body
      for (const each of [old, key])
        expect((await consume(app, each, { units: 1, requires: ['read'] })).status).toBe(200)
      await change(person, id, { enabled: false })
      spendRefused(await consume(app, key, { units: 1 }), 'key_disabled')
      spendRefused(await consume(app, old, { units: 1 }), 'unauthorized')
      await change(person, id, { enabled: true })
      spendRefused(await consume(app, old, { units: 1 }), 'unauthorized')
      expect((await consume(app, key, { units: 1 })).body.key.scopes).toEqual(['read'])
    }
  })

  test('ends when every key is replaced, and the new default key has no settings', async () => {
    const person = await newConsumer(app)
    await change(person, 'default', { ip: ['10.0.0.0/8'] })
    await rotate(person, 'default', { graceSeconds: 600 })
    expect((await replaceAll(person)).status).toBe(204)
    spendRefused(await consume(app, person.key, { units: 1 }), 'unauthorized')
    const again = await app.login({ ...person, password: 'Other123!' })
    expect(await list({ ...person, ...again })).toMatchObject([{ name: 'default', ...NO_SETTINGS }])
    const { body } = await app.request('GET', '/v1/user', { token: again.accessToken })
    expect((await consume(app, body.apiKey, { units: 1 })).status).toBe(200)
  })

  const replaceAll = ({ password, accessToken: token }: Consumer) =>
    app.request('PUT', '/v1/user/password', {
      token,
      json: { password: 'Other123!', oldPassword: password, keys: 'rotate' },
    })

  test.each<[string, (person: Consumer) => Promise<TestAnswer>]>([
    ['another rotation', (person) => rotate(person, 'default', { graceSeconds: 60 })],
    ['a key that is switched off', (person) => change(person, 'default', { enabled: false })],
    ['a replacement of every key', replaceAll],
  ])('that ends early by %s leaves no way from the old default key to the account', async (_, end) => {
    const person = await newConsumer(app)
    await rotate(person, 'default', { graceSeconds: 600 })
    const ports = await app.ports()
    const lookup = () => ports.table.get(defaultKeyLookupOf(keyHash(person.key)))
    await change(person, 'default', { scopes: ['read'] })
    expect(await lookup()).toBeDefined()
    expect((await end(person)).status).toBeLessThan(300)
    expect(await lookup()).toBeUndefined()
    spendRefused(await consume(app, person.key, { units: 1 }), 'unauthorized')
  })

  test.each([-1, 604_801, 1.5, '60', null])('400: %j seconds', async (graceSeconds) => {
    const person = await bystander()
    expectError(v1.rotateKey, await rotate(person, 'default', { graceSeconds }), 'invalid_request')
  })
})

test('a key whose settings were removed again stays a key with a revision, and a day later still works', async () => {
  const person = await newConsumer(app)
  await change(person, 'default', { scopes: ['a'] })
  await change(person, 'default', { scopes: null })
  app.advance(DAY_MS)
  expect((await consume(app, person.key, { units: 1 })).body.key.scopes).toEqual([])
  const { h0 } = await counterOf(app, person)
  expect((h0 as Uint8Array).length).toBe(14)
})
