import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { consume, counterOf, newConsumer, uuidv7, withoutNote } from '../support/quota.ts'
import { giveBack, reserve, settle, unitsOf } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.reserve, answer, code)

test('201: units that are reserved are neither left nor used', async () => {
  const { key, accountId } = await newConsumer(app, 100)
  const { status, body } = await reserve(app, key, { units: 30 })
  expect(status).toBe(201)
  expect(body).toEqual({
    id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7000-8000-[0-9a-f]{12}$/),
    units: 30,
    expiresAt: expect.stringMatching(/:\d\d\.000Z$/),
    left: 70,
    used: 0,
    account: accountId,
    key: { id: 'default', name: 'default', scopes: [] },
  })
  expect(await unitsOf(app, key)).toEqual([70, 0, 30])
  expect((await consume(app, key, { units: 71 })).status).toBe(402)
})

test.each(['word', 'timed'])(
  '201: a %s id reserves once, also after the reservation has ended',
  async (kind) => {
    const { key } = await newConsumer(app, 100)
    const request = { units: 30, requestId: kind === 'word' ? 'a' : uuidv7() }
    const first = await reserve(app, key, request)
    const again = await reserve(app, key, { ...request, units: 50 })
    expect([again.body.id, again.body.units, again.body.replayed]).toEqual([first.body.id, 30, true])
    await settle(app, key, first.body.id, { units: 10 })
    const { status, body } = await reserve(app, key, request)
    expect([status, body.id, body.units, body.replayed]).toEqual([201, first.body.id, undefined, true])
    expect(await unitsOf(app, key)).toEqual([90, 10, 0])
  },
)

test('201: an id that has spent units may reserve too, and one that has reserved may spend', async () => {
  const { key } = await newConsumer(app, 100)
  await consume(app, key, { units: 1, requestId: 'a' })
  expect((await reserve(app, key, { units: 2, requestId: 'a' })).body.replayed).toBeUndefined()
  expect(await unitsOf(app, key)).toEqual([97, 1, 2])
})

test('201: concurrent reservations never hold more than there is, whether in the counter or beside it', async () => {
  const person = await newConsumer(app, 10)
  const answers = await Promise.all(
    Array.from({ length: 14 }, () => reserve(app, person.key, { units: 1, requestId: uuidv7() })),
  )
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(10)
  const { l, f, y, v } = await counterOf(app, person)
  expect([Number(l) + Number(f), y, (v as Set<unknown>).size]).toEqual([0, 10, OPEN_IN_COUNTER])
  for (const { body } of answers.filter(({ status }) => status === 201))
    expect((await giveBack(app, person.key, body.id)).status).toBe(200)
  expect(await unitsOf(app, person.key)).toEqual([10, 0, 0])
})

test('402: nothing is held or recorded, and the same id may succeed later', async () => {
  const person = await newConsumer(app, 4)
  const before = await counterOf(app, person)
  refused(await reserve(app, person.key, { units: 5, requestId: 'a' }), 'quota_exhausted')
  expect(withoutNote(await counterOf(app, person))).toEqual(before)
  expect((await reserve(app, person.key, { units: 4, requestId: 'a' })).status).toBe(201)
})

test.each([
  ['no units', {}, 'units'],
  ['0 units', { units: 0 }, 'units'],
  ['a lifetime of 0', { units: 1, ttlSeconds: 0 }, 'ttlSeconds'],
  ['a lifetime of more than an hour', { units: 1, ttlSeconds: 3601 }, 'ttlSeconds'],
])('400: %s', async (_, json, field) => {
  const { key } = await newConsumer(app)
  const answer = await reserve(app, key, json)
  refused(answer, 'invalid_request')
  expect(answer.body.errors[0].field).toBe(field)
})

test('401 and 403: a dead key and a blocked account reserve nothing', async () => {
  const person = await newConsumer(app)
  const token = person.accessToken
  const { body } = await app.request('POST', '/v1/keys/default/rotate', { token })
  refused(await reserve(app, person.key, { units: 1 }), 'unauthorized')
  await app.request('PUT', '/api/users/current/deactivate', { token })
  refused(await reserve(app, body.key, { units: 1 }), 'account_deactivated')
})
