import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { type Consumer, counterOf, newConsumer, setUnits, uuidv7 } from '../support/quota.ts'
import { giveBack, reserve, settle, unitsOf } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.settleReservation, answer, code)

/** A reservation of 30 of 100 units, in the counter or, behind others, in an item of its own. */
async function reservedBy(person: Consumer, isMoved: boolean): Promise<string> {
  const others: string[] = []
  for (let n = 0; isMoved && n < OPEN_IN_COUNTER; n++)
    others.push((await reserve(app, person.key, { units: 1 })).body.id)
  const { body } = await reserve(app, person.key, { units: 30 })
  for (const id of others) await giveBack(app, person.key, id)
  return body.id
}

describe.each([
  ['in the counter', false],
  ['in an item of its own', true],
])('a reservation %s', (_, isMoved) => {
  test.each([
    ['less is kept, and the rest returns', 10, [90, 10, 0], 10],
    ['all of it is kept', 30, [70, 30, 0], 30],
    ['more is taken from what is left', 50, [50, 50, 0], 50],
    ['more is taken as far as it goes, never below zero', 1000, [0, 100, 0], 100],
    ['nothing is kept', 0, [100, 0, 0], 0],
  ])('200: %s; a repeat changes nothing and gets the same answer', async (_, units, after, covered) => {
    const person = await newConsumer(app, 100)
    const id = await reservedBy(person, isMoved)
    const request = { units, requestId: uuidv7() }
    for (const replayed of [undefined, true]) {
      const { status, body } = await settle(app, person.key, id, request)
      expect([status, body.id, body.units, body.covered, body.replayed]).toEqual([
        200,
        id,
        units,
        covered,
        replayed,
      ])
      expect(await unitsOf(app, person.key)).toEqual(after)
    }
    refused(await settle(app, person.key, id, { ...request, requestId: uuidv7() }), 'reservation_ended')
    expect((await giveBack(app, person.key, id)).status).toBe(409)
    expect(await unitsOf(app, person.key)).toEqual(after)
  })

  test('of a settle and a return from two sides at once exactly one takes effect', async () => {
    const person = await newConsumer(app, 100)
    const id = await reservedBy(person, isMoved)
    const answers = await Promise.all([
      settle(app, person.key, id, { units: 10, requestId: uuidv7() }),
      settle(app, person.key, id, { units: 20, requestId: uuidv7() }),
      giveBack(app, person.key, id),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409])
    const used = answers.find(({ status }) => status === 200)?.body.covered
    expect(await unitsOf(app, person.key)).toEqual([100 - used, used, 0])
  })
})

test('200: without a request id the same units are a repeat, and other units are refused', async () => {
  const person = await newConsumer(app, 100)
  const id = await reservedBy(person, false)
  await settle(app, person.key, id, { units: 5 })
  expect((await settle(app, person.key, id, { units: 5 })).body.replayed).toBe(true)
  refused(await settle(app, person.key, id, { units: 6 }), 'reservation_ended')
})

test('200: a settle whose own write lost its reply is not told to be a repeat', async () => {
  const person = await newConsumer(app, 100)
  const id = await reservedBy(person, false)
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem', times: 1 })
  const { status, body } = await settle(app, person.key, id, { units: 5 })
  expect([status, body.left, body.used, body.replayed]).toEqual([200, 95, 5, undefined])
})

test('200: after the key that reserved was rotated or deleted, any other key settles', async () => {
  const person = await newConsumer(app, 100)
  const further = await createKey(app, person)
  const token = person.accessToken
  const [first, second] = [
    (await reserve(app, further.key, { units: 10 })).body.id,
    (await reserve(app, further.key, { units: 10 })).body.id,
  ]
  const { body } = await app.request('POST', `/v1/keys/${further.id}/rotate`, { token })
  refused(await settle(app, further.key, first, { units: 3 }), 'unauthorized')
  expect((await settle(app, body.key, first, { units: 3 })).body.used).toBe(3)
  await app.request('DELETE', `/v1/keys/${further.id}`, { token })
  expect((await settle(app, person.key, second, { units: 4 })).body).toMatchObject({ left: 93, used: 7 })
  const counter = await counterOf(app, person)
  expect([counter.u, counter.c0, counter.c1]).toEqual([7, undefined, undefined])
})

test('403: a deactivated account settles nothing until it is restored', async () => {
  const person = await newConsumer(app, 100)
  const id = await reservedBy(person, false)
  await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  refused(await settle(app, person.key, id, { units: 3 }), 'account_deactivated')
  const { email, password } = person
  await app.request('POST', '/api/users/restore', { json: { email, password } })
  expect((await settle(app, person.key, id, { units: 3 })).body.used).toBe(3)
})

test('404: what is no id of a reservation; 409: the id of another account’s', async () => {
  const [mine, theirs] = [await newConsumer(app), await newConsumer(app)]
  const id = await reservedBy(mine, false)
  refused(await settle(app, theirs.key, id, { units: 0 }), 'reservation_ended')
  for (const wrong of ['x', uuidv7().replace('-7000', '-7001'), `${id}0`, ` ${id}`])
    refused(await settle(app, mine.key, wrong, { units: 0 }), 'not_found')
  expect(await unitsOf(app, mine.key)).toEqual([70, 0, 30])
})

test('units count as used on the day on which they are settled', async () => {
  const person = await newConsumer(app, 100)
  const id = await reservedBy(person, false)
  app.advance(24 * 3_600_000)
  await settle(app, person.key, id, { units: 12 })
  const { accessToken: token } = await app.login(person)
  const { body } = await app.request('GET', '/v1/usage', { token })
  expect(body.days.map(({ units }: { units: number }) => units)).toEqual([12])
})

test('the thresholds follow: a reservation calls for the notice, and units that return lift the floor again', async () => {
  const person = await newConsumer(app, 150)
  await setUnits(app, person, 150, 1000)
  const { body } = await reserve(app, person.key, { units: 149 })
  const low = await counterOf(app, person)
  expect([low.l, low.f, low.r]).toEqual([1, 0, 1])
  await giveBack(app, person.key, body.id)
  const back = await counterOf(app, person)
  expect([back.l, back.f]).toEqual([50, 100])
})
