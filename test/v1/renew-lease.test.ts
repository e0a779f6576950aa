import { beforeEach, describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../core/errors.ts'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { createKey } from '../support/keys.ts'
import { type Consumer, consume, counterOf, newConsumer, uuidv7 } from '../support/quota.ts'
import { giveBack, lease, report, reserve, unitsOf } from '../support/reservations.ts'
import type { TestAnswer } from '../support/send.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const refused = (answer: TestAnswer, code: ErrorCode) => expectError(v1.renewLease, answer, code)
const use = (...units: number[]) => ({ use: units.map((each) => ({ units: each })) })

/** A lease of 30 of 100 units, in the counter or, behind reservations, in an item of its own. */
async function leasedBy(person: Consumer, isMoved: boolean, json: object = {}) {
  const others: string[] = []
  for (let n = 0; isMoved && n < OPEN_IN_COUNTER; n++)
    others.push((await reserve(app, person.key, { units: 1 })).body.id)
  const { body } = await lease(app, person.key, { units: 30, ttlSeconds: 60, ...json })
  for (const id of others) await giveBack(app, person.key, id)
  return body.id as string
}

describe.each([
  ['in the counter', false],
  ['in an item of its own', true],
])('a lease %s', (_, isMoved) => {
  test.each([
    ['as many units again', use(3, 7), 30, [60, 10, 30], 30, 10],
    ['more units', use(10), 50, [40, 10, 50], 50, 10],
    ['fewer units', use(10), 5, [85, 10, 5], 5, 10],
    ['as many units as are there', use(30), 1000, [0, 30, 70], 70, 30],
    ['what is left of more use than the lease', use(60), 1000, [0, 60, 40], 40, 60],
    ['nothing, if nothing is left', use(100), 10, [0, 100, 0], 0, 100],
    ['nothing, and covers what is there, if more was used', use(120), 10, [0, 100, 0], 0, 100],
  ])(
    '200: a renewal keeps %s; its repeat changes nothing',
    async (_, used, units, after, granted, covered) => {
      const person = await newConsumer(app, 100)
      const id = await leasedBy(person, isMoved)
      const request = { ...used, units, requestId: uuidv7() }
      const { status, body: first } = await report(app, person.key, id, 'renew', request)
      expect([status, first.units, first.covered, first.replayed]).toEqual([200, granted, covered, undefined])
      expect([first.id === id, first.expiresAt === undefined]).toEqual([granted === 0, granted === 0])
      const { body: again } = await report(app, person.key, id, 'renew', request)
      expect([again.id, again.units, again.covered, again.replayed]).toEqual([
        first.id,
        granted,
        covered,
        true,
      ])
      expect(await unitsOf(app, person.key)).toEqual(after)
      // The id of before the renewal has ended, with other units too.
      refused(await report(app, person.key, id, 'renew', { ...request, ...use(1) }), 'lease_ended')
      if (granted === 0) return
      expect((await report(app, person.key, first.id, 'return', use(1))).body.covered).toBe(1)
      expect(await unitsOf(app, person.key)).toEqual([100 - covered - 1, covered + 1, 0])
    },
  )

  test('200: a renewal without an id takes effect once', async () => {
    const person = await newConsumer(app, 100)
    const id = await leasedBy(person, isMoved)
    const { body } = await report(app, person.key, id, 'renew', { ...use(4), units: 30 })
    const again = await report(app, person.key, id, 'renew', { ...use(4), units: 30 })
    expect([again.body.id, again.body.replayed]).toEqual([body.id, true])
    expect(await unitsOf(app, person.key)).toEqual([66, 4, 30])
  })

  test('of two renewals and a return at once exactly one takes effect', async () => {
    const person = await newConsumer(app, 100)
    const id = await leasedBy(person, isMoved)
    const answers = await Promise.all([
      report(app, person.key, id, 'renew', { ...use(1), units: 20, requestId: uuidv7() }),
      report(app, person.key, id, 'renew', { ...use(2), units: 20, requestId: uuidv7() }),
      report(app, person.key, id, 'return', { ...use(3), requestId: uuidv7() }),
    ])
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409])
    const { covered, units } = answers.find(({ status }) => status === 200)?.body ?? {}
    expect(await unitsOf(app, person.key)).toEqual([100 - covered - units, covered, units])
  })

  test.each([
    ['return', [100, 0, 0], 12, [88, 12, 0]],
    ['charge', [70, 30, 0], 12, [70, 30, 0]],
    ['charge', [70, 30, 0], 40, [60, 40, 0]],
  ])(
    'unreported units of an expired lease %s, and its use can be reported once, late',
    async (unreported, expired, late, after) => {
      const person = await newConsumer(app, 100)
      const id = await leasedBy(person, isMoved, { unreported })
      app.advance(61_000)
      expect(await app.job('expire-reservations')).toMatchObject({ failed: 0 })
      expect(await unitsOf(app, person.key)).toEqual(expired)
      const request = { ...use(late), units: 30, requestId: uuidv7() }
      const { status, body } = await report(app, person.key, id, 'renew', request)
      expect([status, body.units, body.covered, body.expiresAt]).toEqual([200, 0, late, undefined])
      expect((await report(app, person.key, id, 'renew', request)).body).toMatchObject({
        covered: late,
        replayed: true,
      })
      refused(await report(app, person.key, id, 'renew', { ...use(1), units: 1 }), 'lease_ended')
      expect(await unitsOf(app, person.key)).toEqual(after)
    },
  )

  test('a late report is covered as far as units are left, never below zero', async () => {
    const person = await newConsumer(app, 100)
    const id = await leasedBy(person, isMoved)
    app.advance(61_000)
    await app.job('expire-reservations')
    await consume(app, person.key, { units: 95 })
    const request = { ...use(12), requestId: uuidv7() }
    for (const replayed of [undefined, true]) {
      const { body } = await report(app, person.key, id, 'return', request)
      expect([body.covered, body.left, body.used, body.replayed]).toEqual([5, 0, 100, replayed])
    }
  })

  test('a lease that has expired can be renewed until its units have returned', async () => {
    const person = await newConsumer(app, 100)
    const id = await leasedBy(person, isMoved)
    app.advance(61_000)
    const { body } = await report(app, person.key, id, 'renew', { ...use(5), units: 30, ttlSeconds: 60 })
    await app.job('expire-reservations')
    expect(await unitsOf(app, person.key)).toEqual([65, 5, 30])
    app.advance(61_000)
    await app.job('expire-reservations')
    expect([body.units, await unitsOf(app, person.key)]).toEqual([30, [95, 5, 0]])
  })
})

test('the use of an expired lease can be reported for three days', async () => {
  const person = await newConsumer(app, 100)
  const ids = [await leasedBy(person, false), await leasedBy(person, false)] as const
  app.advance(61_000)
  await app.job('expire-reservations')
  app.advance(3 * 86_400_000 - 61_000)
  expect((await report(app, person.key, ids[0], 'return', use(5))).status).toBe(200)
  app.advance(61_000)
  refused(await report(app, person.key, ids[1], 'return', use(5)), 'lease_ended')
})

test('a lease in an item moves into the counter when that has room', async () => {
  const person = await newConsumer(app, 100)
  const id = await leasedBy(person, true)
  const { body } = await report(app, person.key, id, 'renew', { units: 30, ttlSeconds: 60 })
  expect(((await counterOf(app, person)).v as Set<unknown>).size).toBe(1)
  app.advance(61_000)
  await app.job('expire-reservations')
  expect([body.units, await unitsOf(app, person.key)]).toEqual([30, [100, 0, 0]])
})

test('use counts for the key that made the lease, on the day of the report, or of the expiry', async () => {
  const person = await newConsumer(app, 100)
  const further = await createKey(app, person)
  const { body } = await lease(app, further.key, { units: 30, unreported: 'charge', ttlSeconds: 60 })
  await report(app, person.key, body.id, 'renew', { ...use(4), units: 6, ttlSeconds: 60 })
  app.advance(86_400_000)
  await app.job('expire-reservations')
  const { accessToken: token } = await app.login(person)
  const usage = await app.request('GET', '/v1/usage', { token })
  const days = usage.body.days.map(({ units, keys }: { units: number; keys: unknown }) => ({ units, keys }))
  expect(days).toEqual([
    { units: 4, keys: [{ id: further.id, units: 4 }] },
    { units: 6, keys: [{ id: further.id, units: 6 }] },
  ])
})

test('404 and 409: what is no id of a lease, and the lease of another account', async () => {
  const [mine, theirs] = [await newConsumer(app, 100), await newConsumer(app, 100)]
  const id = await leasedBy(mine, false)
  refused(await report(app, theirs.key, id, 'renew', { units: 1 }), 'lease_ended')
  const reservation = (await reserve(app, mine.key, { units: 1 })).body.id
  for (const wrong of ['x', reservation, `${id}0`])
    refused(await report(app, mine.key, wrong, 'renew', { units: 1 }), 'not_found')
  expect(await unitsOf(app, mine.key)).toEqual([69, 0, 31])
})

test.each([
  ['no units', {}, 'units'],
  ['use that is negative', { units: 1, ...use(-1) }, 'use.0.units'],
  ['a tag with a space', { units: 1, use: [{ units: 1, tag: 'a b' }] }, 'use.0.tag'],
  ['101 entries of use', { units: 1, use: Array.from({ length: 101 }, () => ({ units: 1 })) }, 'use'],
])('400: %s', async (_, json, field) => {
  const person = await newConsumer(app, 100)
  const id = await leasedBy(person, false)
  const answer = await report(app, person.key, id, 'renew', json)
  refused(answer, 'invalid_request')
  expect(answer.body.errors[0].field).toBe(field)
})
