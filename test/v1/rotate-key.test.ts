import { expect, test } from 'vitest'
import { parseProfile } from '../../core/account/account.ts'
import type { ErrorCode } from '../../core/errors.ts'
import { defaultKeyLookup } from '../../core/keys/default-key.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey, defaultKey, liveHashes, liveKeys, NO_SETTINGS } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const rotate = ({ accessToken: token }: SignedInPerson, id: string) =>
  app.request('POST', `/v1/keys/${id}/rotate`, { token })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.rotateKey, answer, code)

async function listed({ accessToken: token }: SignedInPerson): Promise<Record<string, string>[]> {
  return (await app.request('GET', '/v1/keys', { token })).body
}

/** The table key of the default key's current look-up item. */
async function lookup({ accountId }: SignedInPerson) {
  const ports = await app.ports()
  const profile = await ports.table.get(keys.profile(accountId))
  return defaultKeyLookup(parseProfile(profile ?? {}))
}

test('200: a further key keeps id, name and slot; the key is new, and the old one is refused', async () => {
  const person = await app.signUp()
  const [old, other] = [await createKey(app, person, 'mine'), await createKey(app, person)]
  app.advance(1_000)
  const { status, body } = await rotate(person, old.id)
  expect(status).toBe(200)
  const { key, ...rest } = body
  expect(key).toMatch(new RegExp(`^bsr_[0-9a-f]{64}_1_${person.accountId}_[0-9a-f]{16}$`))
  expect(rest).toEqual({
    id: old.id,
    name: 'mine',
    prefix: key.slice(0, 8),
    last4: key.slice(-4),
    createdAt: new Date().toISOString(),
    ...NO_SETTINGS,
  })
  expect(await liveKeys(app, person, [old.key, other.key, key])).toEqual([other.key, key])
  expect(Object.keys(await liveHashes(app, person))).toEqual(['h0', 'h1', 'h2'])
  expect(await listed(person)).toHaveLength(3)
  expect(await listed(person)).toContainEqual({ ...rest, lastUsedDay: null })
})

test('200: the default key becomes another UUID, which GET /v1/user shows, and the old one is refused', async () => {
  const person = await app.signUp()
  const [old, oldLookup] = [await defaultKey(app, person), await lookup(person)]
  app.advance(1_000)
  const { status, body } = await rotate(person, 'default')
  expect(status).toBe(200)
  const { key, ...rest } = body
  expect(key).toMatch(UUID_V4)
  expect(rest).toEqual({
    id: 'default',
    name: 'default',
    prefix: key.slice(0, 8),
    last4: key.slice(-4),
    createdAt: new Date().toISOString(),
    ...NO_SETTINGS,
  })
  expect(await defaultKey(app, person)).toBe(key)
  expect(await liveKeys(app, person, [old, key])).toEqual([key])
  expect(await listed(person)).toEqual([{ ...rest, lastUsedDay: null }])
  const { table } = await app.ports()
  expect(await table.get(oldLookup)).toBe(undefined)
  expect(await table.get(await lookup(person))).toMatchObject({ accountId: person.accountId })
})

test('200: a rotation works with eight keys and does not change their number', async () => {
  const person = await app.signUp()
  const made = []
  for (let count = 2; count <= 8; count++) made.push(await createKey(app, person))
  for (const id of ['default', made[0]?.id ?? '']) expect((await rotate(person, id)).status).toBe(200)
  expect(await listed(person)).toHaveLength(8)
  expect(Object.keys(await liveHashes(app, person))).toHaveLength(8)
})

test('200: after repeated rotations only the newest key works', async () => {
  const person = await app.signUp()
  const texts: string[] = [(await createKey(app, person)).key]
  const id = (await listed(person))[1]?.id ?? ''
  for (let count = 0; count < 3; count++) texts.push((await rotate(person, id)).body.key)
  expect(await liveKeys(app, person, texts)).toEqual(texts.slice(-1))
})

test.each(['default', 'further'])(
  '200: ten concurrent rotations of a %s key leave one that works, and it was shown',
  async (kind) => {
    const person = await app.signUp()
    const { id } = kind === 'default' ? { id: kind } : await createKey(app, person)
    const answers = await Promise.all(Array.from({ length: 10 }, () => rotate(person, id)))
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200))
    const shown = new Set(answers.map(({ body }) => body.key))
    expect(await liveKeys(app, person, [...shown])).toHaveLength(1)
    expect(Object.keys(await liveHashes(app, person))).toHaveLength(kind === 'default' ? 1 : 2)
  },
)

test('404: an unknown, a deleted and another account’s key, and an id that looks like a key of the table', async () => {
  const [person, other] = [await app.signUp(), await app.signUp()]
  const [deleted, theirs] = [await createKey(app, person), await createKey(app, other)]
  await app.request('DELETE', `/v1/keys/${deleted.id}`, { token: person.accessToken })
  const before = await liveHashes(app, other)
  for (const id of [
    '0'.repeat(24),
    deleted.id,
    theirs.id,
    'DEFAULT',
    '%23PROFILE',
    '__proto__',
    '*',
    '%20',
  ]) {
    refused(await rotate(person, id), 'not_found')
  }
  expect(await liveHashes(app, other)).toEqual(before)
  expect(Object.keys(await liveHashes(app, person))).toEqual(['h0'])
})

test.each([1_000, 2_000])('404: an id of %i characters, which no key has', async (length) => {
  refused(await rotate(await app.signUp(), 'a'.repeat(length)), 'not_found')
})

test('503: while the database is down the old key still works', async () => {
  const person = await app.signUp()
  const { id, key } = await createKey(app, person)
  const all = [await defaultKey(app, person), key]
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  for (const each of [id, 'default']) refused(await rotate(person, each), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect(await liveKeys(app, person, all)).toEqual(all)
  expect(await defaultKey(app, person)).toBe(all[0])
})

const rotateNamed = ({ accessToken: token }: SignedInPerson, id: string, name: string) =>
  app.request('POST', `/v1/keys/${id}/rotate`, { token, headers: { 'idempotency-key': name } })

const rotationsOf = async ({ accountId }: SignedInPerson) =>
  (await (await app.ports()).table.get(keys.profile(accountId)))?.keyRotations

test('429: after 20 rotations of whatever keys on a day (UTC) until it ends, and repeats count nothing', async () => {
  const person = await app.signUp()
  const { id } = await createKey(app, person)
  for (let nth = 0; nth < 20; nth++) {
    for (let copy = 0; copy < 2; copy++) {
      const { status } = await rotateNamed(person, nth % 2 === 0 ? id : 'default', `rotation-${nth}`)
      expect([nth, status]).toEqual([nth, 200])
    }
  }
  expect(await rotationsOf(person)).toMatchObject({ count: 20 })
  for (const each of [id, 'default']) {
    const answer = await rotateNamed(person, each, `one-more-${each}`)
    refused(answer, 'too_many_requests')
    // The clock of the tests stands at noon.
    expect(answer.headers.get('retry-after')).toBe('43200')
  }
  refused(await rotateNamed(person, '0'.repeat(24), 'none'), 'not_found')
  app.advance(12 * 3_600_000 - 1)
  const next = await app.login(person)
  refused(await rotateNamed(next, id, 'too-early'), 'too_many_requests')
  app.advance(1)
  expect((await rotateNamed(next, id, 'another-day')).status).toBe(200)
  expect(await rotationsOf(person)).toMatchObject({ count: 1 })
})

test('rotations at once are counted one by one', async () => {
  const person = await app.signUp()
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, nth) => rotateNamed(person, 'default', `at-once-${nth}`)),
  )
  const made = new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body.key))
  expect(answers.map(({ status }) => status).filter((status) => ![200, 409, 429].includes(status))).toEqual(
    [],
  )
  expect(made.size).toBeGreaterThan(0)
  expect(made.size).toBeLessThanOrEqual(20)
  expect(await rotationsOf(person)).toMatchObject({ count: made.size })
})
