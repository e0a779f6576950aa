import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError, outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { consume, counterOf, newConsumer, setUnits, uuidv7, withoutNote } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.consume, answer, code)
const told = ({ status, body }: TestAnswer) => [status, body.left, body.used]

test('200: the units move from the units left to the units used, and nothing else changes', async () => {
  const person = await newConsumer(app, 100)
  expect(told(await consume(app, person.key, { units: 3 }))).toEqual([200, 97, 3])
  expect(told(await consume(app, person.key, { units: 97 }))).toEqual([200, 0, 100])
  expect(await counterOf(app, person)).toMatchObject({ l: 0, f: 0, u: 100, c0: 100 })
})

test('200: the key may be in x-api-key, or the same key in both headers', async () => {
  const { key } = await newConsumer(app)
  const ask = (headers: Record<string, string>) =>
    app.request('POST', '/v1/usage', { headers, json: { units: 1 } })
  expect((await ask({ 'x-api-key': key })).status).toBe(200)
  expect((await ask({ 'x-api-key': key, authorization: `bearer ${key}` })).status).toBe(200)
})

describe('0 units are a check', () => {
  test('it reads the counter once, and spends and records nothing', async () => {
    const person = await newConsumer(app, 5)
    await consume(app, person.key, { units: 5, requestId: 'a' })
    const before = await counterOf(app, person)
    const requestId = uuidv7()
    for (const json of [{ units: 0 }, { units: 0, requestId }]) {
      app.resetCalls()
      const answer = await consume(app, person.key, json)
      expect([told(answer), answer.body.replayed]).toEqual([[200, 0, 5], undefined])
      expect(outsideCalls(app)).toEqual({ GetItem: 1 })
    }
    expect((await consume(app, person.key, { units: 0, requestId: 'a' })).body.replayed).toBe(true)
    expect(await counterOf(app, person)).toEqual(before)
    refused(await consume(app, person.key, { units: 1, requestId }), 'quota_exhausted')
    await setUnits(app, person, 1)
    expect(told(await consume(app, person.key, { units: 1, requestId }))).toEqual([200, 0, 6])
  })

  test('it is refused as a spend is: a dead key 401, a blocked account 403', async () => {
    const person = await newConsumer(app)
    const token = person.accessToken
    const { key } = await createKey(app, person)
    await app.request('POST', '/v1/keys/default/rotate', { token })
    refused(await consume(app, person.key, { units: 0 }), 'unauthorized')
    await app.request('PUT', '/api/users/current/deactivate', { token })
    refused(await consume(app, key, { units: 0 }), 'account_deactivated')
  })
})

describe('every answer says who spends', () => {
  test('the account, and the key by its id and name, which costs one read in a container for a further key', async () => {
    const person = await newConsumer(app, 10)
    const { accountId: account } = person
    const further = await createKey(app, person)
    const { id, name } = further
    const read = await consume(app, person.key, { units: 1 })
    expect(read.body).toEqual({
      left: 9,
      used: 1,
      account,
      key: { id: 'default', name: 'default', scopes: [] },
    })
    const callsOf = async (key: string) => {
      app.resetCalls()
      expect((await consume(app, key, { units: 1 })).body).toMatchObject({
        account,
        key: { id, name, scopes: [] },
      })
      return outsideCalls(app)
    }
    expect(await callsOf(further.key)).toEqual({ GetItem: 1, UpdateItem: 1 })
    expect(await callsOf(further.key)).toEqual({ UpdateItem: 1 })
    const { body } = await app.request('POST', `/v1/keys/${id}/rotate`, { token: person.accessToken })
    // A change of the key takes one more.
    expect(await callsOf(body.key)).toEqual({ GetItem: 1, UpdateItem: 1 })
    expect(await callsOf(body.key)).toEqual({ UpdateItem: 1 })
  })

  test('503: if the settings of a key cannot be read, nothing is spent', async () => {
    const person = await newConsumer(app, 10)
    const { key } = await createKey(app, person)
    app.stack.dynamo.addFault({ fault: 'error-before', match: 'GetItem' })
    refused(await consume(app, key, { units: 1 }), 'temporarily_unavailable')
    app.stack.dynamo.clearFaults()
    expect((await consume(app, key, { units: 1 })).body.left).toBe(9)
  })

  test('a 402 too, with what is left, what was needed, when to try again and where to get more', async () => {
    const person = await newConsumer(app, 4)
    const { accountId: account } = person
    const key = { id: 'default', name: 'default', scopes: [] }
    // The second answer comes from the memory of the first.
    for (let times = 0; times < 2; times++) {
      const { status, body, headers } = await consume(app, person.key, { units: 5 })
      expect([status, headers.get('retry-after')]).toEqual([402, '60'])
      expect(body).toMatchObject({ left: 4, used: 0, needed: 5, account, key, refill: '/v1/user/bundle' })
    }
    await setUnits(app, person, 4, 1000)
    app.advance(1_000)
    const { body, headers } = await consume(app, person.key, { units: 5 })
    expect([headers.get('retry-after'), body.refill]).toEqual(['2', '/v1/user/buy'])
    expect((await consume(app, person.key, { units: 1001 })).headers.get('retry-after')).toBe('60')
  })
})

test('200: each key has its own count, even after its rotation', async () => {
  const person = await newConsumer(app)
  const first = await createKey(app, person)
  await consume(app, person.key, { units: 1 })
  await consume(app, first.key, { units: 2 })
  const token = person.accessToken
  const { body } = await app.request('POST', `/v1/keys/${first.id}/rotate`, { token })
  expect(told(await consume(app, body.key, { units: 4 }))).toEqual([200, 93, 7])
  const rotated = await app.request('POST', '/v1/keys/default/rotate', { token })
  expect(told(await consume(app, rotated.body.key, { units: 8 }))).toEqual([200, 85, 15])
  expect(await counterOf(app, person)).toMatchObject({ c0: 9, c1: 6, u: 15 })
})

describe('a request id', () => {
  test.each([
    ['a word', 'order-1'],
    ['a UUID without time', '9f0c0d3e-6a0c-4a7e-9b43-0d6c8f6b2f10'],
    ['a UUID of this moment', uuidv7()],
    ['a UUID of last year', uuidv7(Date.UTC(2025, 0, 1))],
    ['a UUID of next year', uuidv7(Date.UTC(2027, 0, 1))],
    ['a UUID of 2019', uuidv7(Date.UTC(2019, 0, 1))],
    ['a UUID of 10889', uuidv7(2 ** 48 - 1)],
    ['a ULID', '01KAMX9Q80AAAAAAAAAAAAAAAA'],
    ['255 characters', '~'.repeat(255)],
    ['a name that JavaScript uses', '__proto__'],
  ])('200: %s is spent once, however often it is sent', async (_, requestId) => {
    const person = await newConsumer(app)
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => consume(app, person.key, { units: 5, requestId })),
    )
    expect(answers.map(told)).toEqual(Array(4).fill([200, 95, 5]))
    expect(told(await consume(app, person.key, { units: 5, requestId }))).toEqual([200, 95, 5])
  })

  test('200: the answer of a spent id says so, in the body and in a header; no other answer does', async () => {
    const { key } = await newConsumer(app)
    for (const requestId of ['word', uuidv7(), uuidv7(Date.UTC(2025, 0, 1))]) {
      const [first, again] = [
        await consume(app, key, { units: 1, requestId }),
        await consume(app, key, { units: 1, requestId }),
      ]
      const replays = [first, again].map(({ headers, body }) => [
        headers.get('idempotent-replayed'),
        body.replayed,
      ])
      expect(replays).toEqual([
        [null, undefined],
        ['true', true],
      ])
    }
  })

  test('200: of concurrent copies of a request all but one are told to be repeats', async () => {
    const { key } = await newConsumer(app)
    const request = { units: 1, requestId: uuidv7() }
    const answers = await Promise.all(Array.from({ length: 8 }, () => consume(app, key, request)))
    expect(answers.filter(({ body }) => !body.replayed)).toHaveLength(1)
  })

  test('200: a request whose own write lost its reply is not told to be a repeat', async () => {
    const { key } = await newConsumer(app)
    app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem', times: 1 })
    const { status, body } = await consume(app, key, { units: 1, requestId: uuidv7() })
    expect([status, body.left, body.replayed]).toEqual([200, 99, undefined])
  })

  test('200: a repeat whose write was throttled first is still told to be one', async () => {
    const { key } = await newConsumer(app)
    const request = { units: 1, requestId: uuidv7() }
    await consume(app, key, request)
    app.stack.dynamo.addFault({ fault: 'throttle', match: 'UpdateItem', times: 1 })
    const { status, body } = await consume(app, key, request)
    expect([status, body.left, body.replayed]).toEqual([200, 99, true])
  })

  test('200: the same id with other units spends nothing more, and the answer has the current numbers', async () => {
    const { key } = await newConsumer(app)
    await consume(app, key, { units: 5, requestId: 'a' })
    await consume(app, key, { units: 5 })
    expect(told(await consume(app, key, { units: 50, requestId: 'a' }))).toEqual([200, 90, 10])
  })

  test('200: the same id of another account is another request', async () => {
    const [mine, theirs] = [await newConsumer(app), await newConsumer(app)]
    for (const requestId of ['same', uuidv7()]) {
      const answers = [mine, theirs].map(({ key }) => consume(app, key, { units: 1, requestId }))
      const [first, second] = (await Promise.all(answers)).map(({ body }) => body)
      expect([first.left, first.replayed]).toEqual([second.left, undefined])
    }
    expect((await counterOf(app, theirs)).u).toBe(2)
  })

  test('200: the same id with another key of the account is the same request', async () => {
    const person = await newConsumer(app)
    const { key } = await createKey(app, person)
    await consume(app, person.key, { units: 1, requestId: 'a' })
    expect(told(await consume(app, key, { units: 1, requestId: 'a' }))).toEqual([200, 99, 1])
  })

  test('200: a UUID or ULID is the same id in any case; other text is not', async () => {
    const { key } = await newConsumer(app)
    for (const id of [`${uuidv7().slice(0, -1)}a`, '01kamx9q80aaaaaaaaaaaaaaab', 'word']) {
      await consume(app, key, { units: 1, requestId: id.toLowerCase() })
      await consume(app, key, { units: 1, requestId: id.toUpperCase() })
    }
    expect(told(await consume(app, key, { units: 1 }))).toEqual([200, 95, 5])
  })

  test('200: the header Idempotency-Key counts as the id; 400 if the body has another id', async () => {
    const { key } = await newConsumer(app)
    const ask = (header: string, requestId?: string) =>
      app.request('POST', '/v1/usage', {
        token: key,
        headers: { 'idempotency-key': header },
        json: { units: 1, ...(requestId !== undefined && { requestId }) },
      })
    await ask('a')
    await ask('a', 'a')
    expect(told(await consume(app, key, { units: 1, requestId: 'a' }))).toEqual([200, 99, 1])
    refused(await ask('a', 'b'), 'invalid_request')
    for (const header of ['x y', 'a, b', 'a'.repeat(256)]) refused(await ask(header), 'invalid_request')
    expect(told(await consume(app, key, { units: 1 }))).toEqual([200, 98, 2])
  })

  test('200: without an id every request is a new one', async () => {
    const { key } = await newConsumer(app)
    await Promise.all([1, 1, 1].map((units) => consume(app, key, { units })))
    expect(told(await consume(app, key, { units: 1 }))).toEqual([200, 96, 4])
  })
})

describe('402', () => {
  test('if too few units are left, nothing is spent or recorded, and the id succeeds after a refill', async () => {
    const person = await newConsumer(app, 4)
    const before = await counterOf(app, person)
    const request = { units: 5, requestId: uuidv7() }
    refused(await consume(app, person.key, request), 'quota_exhausted')
    refused(await consume(app, person.key, request), 'quota_exhausted')
    expect(withoutNote(await counterOf(app, person))).toEqual(before)
    await setUnits(app, person, 6)
    expect(told(await consume(app, person.key, request))).toEqual([200, 1, 5])
  })

  test('a request for at most the units left still succeeds', async () => {
    const { key } = await newConsumer(app, 4)
    refused(await consume(app, key, { units: 5 }), 'quota_exhausted')
    expect(told(await consume(app, key, { units: 4 }))).toEqual([200, 0, 4])
  })

  test('a spent id is answered 200 even if no units are left', async () => {
    const { key } = await newConsumer(app, 5)
    await consume(app, key, { units: 5, requestId: 'a' })
    refused(await consume(app, key, { units: 1 }), 'quota_exhausted')
    expect(told(await consume(app, key, { units: 5, requestId: 'a' }))).toEqual([200, 0, 5])
  })

  test('a repeated 402 needs no call without an id and one read with an id; after a second a refill counts', async () => {
    const person = await newConsumer(app, 0)
    refused(await consume(app, person.key, { units: 1 }), 'quota_exhausted')
    app.resetCalls()
    refused(await consume(app, person.key, { units: 1 }), 'quota_exhausted')
    expect(outsideCalls(app)).toEqual({})
    refused(await consume(app, person.key, { units: 1, requestId: uuidv7() }), 'quota_exhausted')
    expect(outsideCalls(app)).toEqual({ GetItem: 1 })
    await setUnits(app, person, 2)
    expect((await consume(app, person.key, { units: 1, requestId: uuidv7() })).status).toBe(200)
    app.advance(1_000)
    expect(told(await consume(app, person.key, { units: 1 }))).toEqual([200, 0, 2])
  })

  test('of one hundred concurrent requests with 40 units left 40 succeed', async () => {
    const person = await newConsumer(app, 40)
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        consume(app, person.key, { units: 1, ...(n % 2 === 0 && { requestId: uuidv7() }) }),
      ),
    )
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(40)
    expect(await counterOf(app, person)).toMatchObject({ l: 0, f: 0, u: 40, c0: 40 })
  })
})

describe('401 and 403', () => {
  test.each<[string, (key: string) => Record<string, string>]>([
    ['no key', () => ({})],
    ['an empty key', () => ({ 'x-api-key': '' })],
    ['another scheme', (key) => ({ authorization: `Basic ${key}` })],
    ['no scheme', (key) => ({ authorization: key })],
    ['two keys', (key) => ({ authorization: `Bearer ${key}`, 'x-api-key': `${key}x` })],
    ['a broken header beside a good one', (key) => ({ authorization: 'Bearer', 'x-api-key': key })],
    ['a key with an extra character', (key) => ({ 'x-api-key': `${key}0` })],
    ['a key with a space', (key) => ({ authorization: `Bearer ${key} ${key}` })],
    ['something else', () => ({ 'x-api-key': 'bsr_1' })],
  ])('401: %s is refused without a call', async (_, headersOf) => {
    const { key } = await newConsumer(app)
    app.resetCalls()
    const answer = await app.request('POST', '/v1/usage', { headers: headersOf(key), json: { units: 1 } })
    refused(answer, 'unauthorized')
    expect(answer.headers.get('www-authenticate')).toBe('Bearer')
    expect(outsideCalls(app)).toEqual({})
  })

  test('401: an access token is not an application key', async () => {
    const { accessToken } = await newConsumer(app)
    app.resetCalls()
    refused(await consume(app, accessToken, { units: 1 }), 'unauthorized')
    refused(
      await app.request('POST', '/v1/usage', { headers: { 'x-api-key': accessToken }, json: { units: 1 } }),
      'unauthorized',
    )
    expect(outsideCalls(app)).toEqual({})
  })

  test('401: a further key with any digit changed is refused without a call', async () => {
    const person = await newConsumer(app)
    const { key } = await createKey(app, person)
    app.resetCalls()
    for (const at of [4, 40, 67, 71, 90, key.length - 1]) {
      const other = key[at] === '1' ? '2' : '1'
      refused(await consume(app, key.slice(0, at) + other + key.slice(at + 1), { units: 1 }), 'unauthorized')
    }
    expect(outsideCalls(app)).toEqual({})
  })

  test('401: an unknown UUID costs one read each time', async () => {
    await newConsumer(app)
    app.resetCalls()
    for (const last of ['0', '0', '1']) {
      const key = `9f0c0d3e-6a0c-4a7e-9b43-0d6c8f6b2f1${last}`
      refused(await consume(app, key, { units: 1 }), 'unauthorized')
    }
    expect(outsideCalls(app)).toEqual({ GetItem: 3 })
  })

  test('401: a rotated or deleted key is refused from the next request on, even for a spent id', async () => {
    const person = await newConsumer(app)
    const further = await createKey(app, person)
    const token = person.accessToken
    for (const key of [person.key, further.key])
      expect((await consume(app, key, { units: 1, requestId: 'a' })).status).toBe(200)
    await app.request('POST', '/v1/keys/default/rotate', { token })
    await app.request('DELETE', `/v1/keys/${further.id}`, { token })
    for (const key of [person.key, further.key]) {
      refused(await consume(app, key, { units: 1 }), 'unauthorized')
      refused(await consume(app, key, { units: 1, requestId: 'a' }), 'unauthorized')
      refused(await consume(app, key, { units: 1000 }), 'unauthorized')
    }
    const counter = await counterOf(app, person)
    expect([counter.u, counter.c1, counter.h1]).toEqual([1, undefined, undefined])
  })

  test('403: a deactivated account is refused from the next request on; after a restore the key works again', async () => {
    const person = await newConsumer(app)
    await consume(app, person.key, { units: 1, requestId: 'a' })
    await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
    refused(await consume(app, person.key, { units: 1 }), 'account_deactivated')
    refused(await consume(app, person.key, { units: 1, requestId: 'a' }), 'account_deactivated')
    const { email, password } = person
    await app.request('POST', '/api/users/restore', { json: { email, password } })
    expect(told(await consume(app, person.key, { units: 1 }))).toEqual([200, 98, 2])
  })

  test('403: a suspended account', async () => {
    const person = await newConsumer(app)
    const { table } = await app.ports()
    await table.update(keys.quota(person.accountId), expr`SET #x = ${'suspended'}`)
    refused(await consume(app, person.key, { units: 1 }), 'account_suspended')
  })
})

test.each([
  ['-1', { units: -1 }, 'units', 'must be at least 0'],
  ['1.5', { units: 1.5 }, 'units', 'must be of type int'],
  ['2^53', { units: 2 ** 53 }, 'units', 'must be at most 9007199254740991'],
  ['a billion and one', { units: 1_000_000_001 }, 'units', 'must be at most 1000000000'],
  ['text', { units: '1' }, 'units', 'must be of type number'],
  ['no units', {}, 'units', 'is required'],
  ['an empty id', { units: 1, requestId: '' }, 'requestId', 'must be visible ASCII'],
  ['a space', { units: 1, requestId: 'a b' }, 'requestId', 'must be visible ASCII'],
  ['another script', { units: 1, requestId: 'é' }, 'requestId', 'must be visible ASCII'],
  ['a long id', { units: 1, requestId: 'a'.repeat(256) }, 'requestId', 'must have at most 255 characters'],
  ['a number as id', { units: 1, requestId: 1 }, 'requestId', 'must be of type string'],
  ['a balance', { units: 1, left: 100 }, 'left', 'is not a field of this request'],
])('400: %s, and nothing is written', async (_, json, field, message) => {
  const { key } = await newConsumer(app)
  app.resetCalls()
  const answer = await consume(app, key, json)
  refused(answer, 'invalid_request')
  expect(answer.body.errors[0]).toEqual({ field, message })
  // Only the key is checked: its owner and its counter.
  expect(outsideCalls(app)).toEqual({ GetItem: 2 })
})

test('400: NaN is not JSON', async () => {
  const { key } = await newConsumer(app)
  const headers = { 'content-type': 'application/json' }
  const answer = await app.request('POST', '/v1/usage', { token: key, headers, body: '{"units":NaN}' })
  refused(answer, 'malformed_body')
})

test('503: if the reply of the write is lost repeatedly, retries with the same id spend once', async () => {
  const { key } = await newConsumer(app)
  const request = { units: 1, requestId: uuidv7() }
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem' })
  refused(await consume(app, key, request), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect(told(await consume(app, key, request))).toEqual([200, 99, 1])
})

test('503: a write without an id is not retried after a lost reply, so it spends at most once', async () => {
  const person = await newConsumer(app)
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem', times: 1 })
  app.resetCalls()
  refused(await consume(app, person.key, { units: 3 }), 'temporarily_unavailable')
  expect(outsideCalls(app).UpdateItem).toBe(1)
  expect(await counterOf(app, person)).toMatchObject({ l: 97, u: 3 })
})
