import { expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { consume, counterOf, newConsumer, setUnits, uuidv7 } from '../support/quota.ts'
import { lease, report, settle, unitsOf } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.lease, answer, code)

test('201: units that are leased are neither left nor used', async () => {
  const { key, accountId } = await newConsumer(app, 100)
  const { status, body } = await lease(app, key, { units: 30, ttlSeconds: 60 })
  expect([status, body]).toEqual([
    201,
    {
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7000-9000-[0-9a-f]{12}$/),
      units: 30,
      expiresAt: expect.stringMatching(/:\d\d\.000Z$/),
      left: 70,
      used: 0,
      account: accountId,
      key: { id: 'default', name: 'default', scopes: [] },
    },
  ])
  expect(await unitsOf(app, key)).toEqual([70, 0, 30])
  expect((await consume(app, key, { units: 71 })).status).toBe(402)
})

test('201: a lease takes what is left if that is less, and a unit that is not left is refused', async () => {
  const person = await newConsumer(app, 20)
  const { status, body } = await lease(app, person.key, { units: 1000 })
  expect([status, body.units, body.left]).toEqual([201, 20, 0])
  const none = await lease(app, person.key, { units: 1000 })
  refused(none, 'quota_exhausted')
  expect(none.body.needed).toBe(1)
  expect(await unitsOf(app, person.key)).toEqual([0, 0, 20])
})

test('201: an id makes a lease once; a repeat after its end has no units', async () => {
  const { key } = await newConsumer(app, 100)
  const request = { units: 30, requestId: uuidv7() }
  const first = await lease(app, key, request)
  const again = await lease(app, key, { ...request, units: 50 })
  expect([again.body.id, again.body.units, again.body.replayed]).toEqual([first.body.id, 30, true])
  await report(app, key, first.body.id, 'return', {})
  const { status, body } = await lease(app, key, request)
  expect([status, body.units, body.expiresAt, body.replayed]).toEqual([201, 0, undefined, true])
  expect(await unitsOf(app, key)).toEqual([100, 0, 0])
})

test('a lease of more units than a bundle holds still calls for a renewal when nothing is left', async () => {
  const person = await newConsumer(app, 0)
  await setUnits(app, person, 0, 1000)
  const { table } = await app.ports()
  // The owner wants no renewal before a request is refused.
  await table.update(keys.quota(person.accountId), expr`SET #b = ${0}`)
  refused(await lease(app, person.key, { units: 1_000_000 }), 'quota_exhausted')
  const counter = await counterOf(app, person)
  expect([counter.k, counter.j]).toEqual([counter.s, undefined])
})

test('404: a lease is no reservation, and a reservation no lease', async () => {
  const { key } = await newConsumer(app, 100)
  const { id } = (await lease(app, key, { units: 5 })).body
  expectError(v1.settleReservation, await settle(app, key, id, { units: 1 }), 'not_found')
  expect(await unitsOf(app, key)).toEqual([95, 0, 5])
})

test.each([
  ['no units', { units: 0 }, 'units'],
  ['a lifetime of more than an hour', { units: 1, ttlSeconds: 3601 }, 'ttlSeconds'],
  ['another word for what is unreported', { units: 1, unreported: 'keep' }, 'unreported'],
])('400: %s', async (_, json, field) => {
  const { key } = await newConsumer(app)
  const answer = await lease(app, key, json)
  refused(answer, 'invalid_request')
  expect(answer.body.errors[0].field).toBe(field)
})

test('401 and 403: a dead key and a blocked account take no lease', async () => {
  const person = await newConsumer(app)
  const token = person.accessToken
  const { body } = await app.request('POST', '/v1/keys/default/rotate', { token })
  refused(await lease(app, person.key, { units: 1 }), 'unauthorized')
  await app.request('PUT', '/api/users/current/deactivate', { token })
  refused(await lease(app, body.key, { units: 1 }), 'account_deactivated')
})
