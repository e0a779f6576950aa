import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey, defaultKey, liveHashes, liveKeys, NO_SETTINGS } from '../support/keys.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const create = ({ accessToken: token }: SignedInPerson, json: unknown) =>
  app.request('POST', '/v1/keys', { token, json })
const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.createKey, answer, code)

async function listed({ accessToken: token }: SignedInPerson): Promise<{ id: string }[]> {
  return (await app.request('GET', '/v1/keys', { token })).body
}

test('201: the whole key is shown, only this once', async () => {
  const person = await app.signUp()
  const { status, body } = await create(person, { name: 'Production' })
  expect(status).toBe(201)
  const { key, ...rest } = body
  expect(key).toMatch(new RegExp(`^bsr_[0-9a-f]{64}_1_${person.accountId}_[0-9a-f]{16}$`))
  expect(rest).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{24}$/),
    name: 'Production',
    prefix: key.slice(0, 8),
    last4: key.slice(-4),
    createdAt: new Date().toISOString(),
    ...NO_SETTINGS,
  })
  expect((await listed(person)).at(-1)).toEqual({ ...rest, lastUsedDay: null })
  const { text } = await app.request('GET', '/v1/user', { token: person.accessToken })
  expect(text).not.toContain(key)
})

test('201: the key works alongside the default key, and is stored as a hash only', async () => {
  const person = await app.signUp()
  const [first, second] = [await createKey(app, person), await createKey(app, person)]
  const all = [await defaultKey(app, person), first.key, second.key]
  expect(new Set(all).size).toBe(3)
  expect(await liveKeys(app, person, all)).toEqual(all)
  expect(Object.keys(await liveHashes(app, person))).toEqual(['h0', 'h1', 'h2'])
})

test.each(['a', 'two words', 'Ölbär ☂', 'x'.repeat(100), '<b>', 'default'])(
  '201: the name %j',
  async (name) => {
    const person = await app.signUp()
    expect((await create(person, { name })).body.name).toBe(name)
    expect((await create(person, { name })).status).toBe(201)
  },
)

test('201: a slot is never used twice, so that no counter changes its meaning', async () => {
  const person = await app.signUp()
  const first = await createKey(app, person)
  await app.request('DELETE', `/v1/keys/${first.id}`, { token: person.accessToken })
  const second = await createKey(app, person)
  expect(second.key).toContain('_2_')
  expect(Object.keys(await liveHashes(app, person))).toEqual(['h0', 'h2'])
})

test('409: a ninth key is refused until a key is deleted', async () => {
  const person = await app.signUp()
  const made = []
  for (let count = 2; count <= 8; count++) made.push(await createKey(app, person))
  refused(await create(person, { name: 'ninth' }), 'key_limit_reached')
  expect(await listed(person)).toHaveLength(8)
  await app.request('DELETE', `/v1/keys/${made[3]?.id}`, { token: person.accessToken })
  expect((await create(person, { name: 'ninth' })).status).toBe(201)
  refused(await create(person, { name: 'tenth' }), 'key_limit_reached')
})

test('409: twenty concurrent requests make at most eight keys, and every shown key works', async () => {
  const person = await app.signUp()
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => create(person, { name: `key ${n}` })),
  )
  const made = answers.filter(({ status }) => status === 201).map(({ body }) => body)
  for (const answer of answers.filter(({ status }) => status !== 201)) {
    refused(answer, answer.body.type.endsWith('conflict') ? 'conflict' : 'key_limit_reached')
  }
  expect(made.length).toBeGreaterThan(0)
  expect(made.length).toBeLessThanOrEqual(7)
  const ids = made.map(({ id }) => id)
  expect((await listed(person)).map(({ id }) => id).sort()).toEqual(['default', ...ids].sort())
  const texts = made.map(({ key }) => key)
  expect(await liveKeys(app, person, texts)).toEqual(texts)
  for (let count = made.length; count < 7; count++) await createKey(app, person)
  refused(await create(person, { name: 'ninth' }), 'key_limit_reached')
  expect(Object.keys(await liveHashes(app, person))).toHaveLength(8)
})

/** One person is shared by all refused requests, because these change nothing. */
let shared: Promise<SignedInPerson> | undefined
const bystander = () => (shared ??= app.signUp())

test.each([
  ['no name', {}, 'name', 'is required'],
  ['an empty name', { name: '' }, 'name', 'must have 1 to 100 characters and no control characters'],
  ['a name of spaces', { name: '  ' }, 'name', 'must have 1 to 100 characters and no control characters'],
  ['a name of 101 characters', { name: 'x'.repeat(101) }, 'name', 'must have at most 100 characters'],
  ['a newline', { name: 'a\nb' }, 'name', 'must have 1 to 100 characters and no control characters'],
  [
    'a direction mark',
    { name: 'a\u202eb' },
    'name',
    'must have 1 to 100 characters and no control characters',
  ],
  ['a number', { name: 1 }, 'name', 'must be of type string'],
  ['a key chosen by the caller', { name: 'x', key: 'bsr_1' }, 'key', 'is not a field of this request'],
  ['a slot chosen by the caller', { name: 'x', slot: 0 }, 'slot', 'is not a field of this request'],
])('400: %s, and no key is made', async (_, json, field, message) => {
  const person = await bystander()
  const answer = await create(person, json)
  refused(answer, 'invalid_request')
  expect(answer.body.errors).toEqual([{ field, message }])
  expect(await listed(person)).toHaveLength(1)
})

test('503: while the database is down no key is made, and a later retry makes one', async () => {
  const person = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'TransactWriteItems' })
  refused(await create(person, { name: 'x' }), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect(await listed(person)).toHaveLength(1)
  expect((await create(person, { name: 'x' })).status).toBe(201)
})

test('409: the last slot that a key’s text has room for makes a key that works, and the next one none', async () => {
  const person = await app.signUp()
  const { table } = await app.ports()
  await table.update(keys.profile(person.accountId), expr`SET #nextKeySlot = ${999_999}`)
  const last = await createKey(app, person)
  expect((await consume(app, last.key, { units: 1 })).status).toBe(200)
  const answer = await create(person, { name: 'one more' })
  refused(answer, 'key_limit_reached')
  expect(answer.body.detail).toContain('Rotate one that you have.')
  // A key that was read by somebody else can still be replaced.
  const { accessToken: token } = person
  for (const id of [last.id, 'default'])
    expect((await app.request('POST', `/v1/keys/${id}/rotate`, { token })).body.key).toEqual(
      expect.any(String),
    )
})
