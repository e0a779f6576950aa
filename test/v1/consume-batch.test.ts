import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError, outsideCalls } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { consume, consumeBatch, counterOf, newConsumer, setUnits, uuidv7 } from '../support/quota.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.consumeBatch, answer, code)
const told = ({ body }: TestAnswer) =>
  body.answers.map(({ status, left, used }: Record<string, number>) => [status, left, used])
const units = (...all: number[]) => all.map((each) => ({ units: each }))
const timed = (count: number) => Array.from({ length: count }, () => ({ units: 1, requestId: uuidv7() }))

test('200: each request is answered, in order, as if the requests had come one after the other', async () => {
  const { key, accountId } = await newConsumer(app, 10)
  const answer = await consumeBatch(app, key, [
    { units: 1, requestId: 'a' },
    { units: 2 },
    { units: 9, requestId: 'b' },
    { units: 3, requestId: 'c' },
  ])
  expect(answer.body).toMatchObject({
    account: accountId,
    key: { id: 'default', name: 'default', scopes: [] },
  })
  expect(answer.body.answers).toEqual([
    { requestId: 'a', status: 200, left: 9, used: 1 },
    { status: 200, left: 7, used: 3 },
    {
      requestId: 'b',
      status: 402,
      type: 'urn:bursar:problem:quota_exhausted',
      left: 7,
      used: 3,
      needed: 9,
    },
    { requestId: 'c', status: 200, left: 4, used: 6 },
  ])
})

test('200: a batch without ids costs a read and a write; with 100 time-ordered ids a read and two writes', async () => {
  const { key } = await newConsumer(app, 1000)
  // After this request the container has the owner of the key cached.
  await consumeBatch(app, key, [{ units: 1 }])
  app.resetCalls()
  await consumeBatch(app, key, Array(100).fill({ units: 1 }))
  expect(outsideCalls(app)).toEqual({ GetItem: 1, UpdateItem: 1 })
  app.resetCalls()
  const { body } = await consumeBatch(app, key, timed(100))
  expect(body.answers.at(-1)).toMatchObject({ status: 200, left: 799, used: 201 })
  expect(outsideCalls(app)).toEqual({ GetItem: 1, PutItem: 1, UpdateItem: 1 })
})

test('200: an id that occurs twice in a batch gets its first answer again', async () => {
  const { key } = await newConsumer(app, 10)
  const answer = await consumeBatch(app, key, [
    { units: 4, requestId: 'a' },
    { units: 1, requestId: 'a' },
    { units: 9, requestId: 'b' },
    { units: 1, requestId: 'b' },
  ])
  expect(told(answer)).toEqual([
    [200, 6, 4],
    [200, 6, 4],
    [402, 6, 4],
    [402, 6, 4],
  ])
})

test('200: each request of a batch is told whether it is a repeat; a whole repeated batch has the header', async () => {
  const { key } = await newConsumer(app, 10)
  await consume(app, key, { units: 1, requestId: 'a' })
  const requests = ['a', 'b', 'b'].map((requestId) => ({ units: 1, requestId }))
  const replays = ({ body, headers }: TestAnswer) => [
    headers.get('idempotent-replayed'),
    ...body.answers.map(({ replayed }: { replayed?: true }) => replayed === true),
  ]
  expect(replays(await consumeBatch(app, key, requests))).toEqual([null, true, false, true])
  expect(replays(await consumeBatch(app, key, requests))).toEqual(['true', true, true, true])
})

test('200: a batch whose own write lost its reply is not told to be a repeat', async () => {
  const { key } = await newConsumer(app, 10)
  await consumeBatch(app, key, timed(1))
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem', times: 1 })
  const { body } = await consumeBatch(app, key, [{ units: 1, requestId: 'a' }, ...timed(5)])
  expect(body.answers.filter(({ replayed }: { replayed?: true }) => replayed)).toEqual([])
})

test.each(['timed', 'untimed', 'old and new', 'future'])(
  '200: %s ids are spent once, whether a batch is repeated or concurrent or its requests are sent alone',
  async (kind) => {
    const person = await newConsumer(app, 1000)
    const name = (n: number) => {
      if (kind === 'untimed') return `word-${n}`
      if (kind === 'timed') return uuidv7()
      return uuidv7(Date.now() + (kind === 'future' ? 1 : -1) * n * 7_000_000)
    }
    const requests = Array.from({ length: 60 }, (_, n) => ({ units: 1, requestId: name(n) }))
    for (const request of requests.slice(0, 3)) await consume(app, person.key, request)
    const batches = await Promise.all([
      consumeBatch(app, person.key, requests),
      consumeBatch(app, person.key, requests.toReversed()),
    ])
    for (const { status, body } of batches) {
      expect(status).toBe(200)
      expect(body.answers.filter((each: { status: number }) => each.status !== 200)).toEqual([])
    }
    await consumeBatch(app, person.key, requests)
    for (const request of requests.slice(-3)) await consume(app, person.key, request)
    expect(await counterOf(app, person)).toMatchObject({ u: 60, c0: 60, l: 940 })
  },
)

test('200: a request that was refused for lack of units is not recorded, and succeeds after a refill', async () => {
  const person = await newConsumer(app, 50)
  const requests = timed(60)
  const first = await consumeBatch(app, person.key, requests)
  expect(told(first).filter(([status]: number[]) => status === 402)).toHaveLength(10)
  await setUnits(app, person, 30)
  const second = await consumeBatch(app, person.key, requests)
  expect(told(second).filter(([status]: number[]) => status === 200)).toHaveLength(60)
  expect(await counterOf(app, person)).toMatchObject({ u: 60, l: 20 })
})

test('401 and 403: the same as for a single request', async () => {
  const person = await newConsumer(app)
  refused(await consumeBatch(app, undefined, units(1)), 'unauthorized')
  app.resetCalls()
  refused(await consumeBatch(app, person.accessToken, units(1)), 'unauthorized')
  expect(outsideCalls(app)).toEqual({})
  await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  refused(await consumeBatch(app, person.key, units(1)), 'account_deactivated')
})

test.each([
  ['no requests', undefined, 'requests'],
  ['an empty list', [], 'requests'],
  ['101 requests', units(...Array(101).fill(1)), 'requests'],
  ['-1 among them', units(1, -1), 'requests.1.units'],
  ['1.5 among them', units(1.5), 'requests.0.units'],
  ['a bad id', [{ units: 1, requestId: ' ' }], 'requests.0.requestId'],
  ['an internal field', [{ units: 1, status: 200 }], 'requests.0.status'],
])('400: %s, and nothing is written', async (_, requests, field) => {
  const { key } = await newConsumer(app)
  app.resetCalls()
  const answer = await consumeBatch(app, key, requests)
  refused(answer, 'invalid_request')
  expect(answer.body.errors[0].field).toBe(field)
  // Only the key is checked: its owner and its counter.
  expect(outsideCalls(app)).toEqual({ GetItem: 2 })
})

test('503: after a lost reply of the write a retry of the batch spends nothing twice', async () => {
  const person = await newConsumer(app, 1000)
  const requests = timed(20)
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem' })
  refused(await consumeBatch(app, person.key, requests), 'temporarily_unavailable')
  app.stack.dynamo.clearFaults()
  expect((await consumeBatch(app, person.key, requests)).status).toBe(200)
  expect(await counterOf(app, person)).toMatchObject({ u: 20, l: 980 })
})

test('200: a repeated batch with the same Idempotency-Key spends nothing, and ids in the batch count as given', async () => {
  const { key } = await newConsumer(app, 20)
  const ask = () =>
    app.request('POST', '/v1/usage/batch', {
      headers: { authorization: `Bearer ${key}`, 'idempotency-key': 'batch-1' },
      json: { requests: [{ units: 2 }, { units: 3 }, { units: 1, requestId: 'own' }] },
    })
  expect(told(await ask()).map(([status]: number[]) => status)).toEqual([200, 200, 200])
  expect(told(await ask()).map(([, left]: number[]) => left)).toEqual([14, 14, 14])
  expect((await consume(app, key, { units: 1, requestId: 'own' })).body.left).toBe(14)
})

test('503: units without an id are not spent again after a lost reply, whatever else is in the batch', async () => {
  const person = await newConsumer(app, 100)
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem', times: 1 })
  const answer = await consumeBatch(app, person.key, [{ units: 10 }, { units: 1, requestId: uuidv7() }])
  refused(answer, 'temporarily_unavailable')
  expect(await counterOf(app, person)).toMatchObject({ l: 89, u: 11 })
})
