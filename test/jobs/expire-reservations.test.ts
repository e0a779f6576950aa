import { beforeEach, describe, expect, test } from 'vitest'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import { reservationAlarmKey } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { expectBooksAgree, newBuyer, noticesOf, paymentsOf, refund, shown } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { newConsumer } from '../support/quota.ts'
import { giveBack, reserve, settle, unitsOf } from '../support/reservations.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const expire = () => app.job('expire-reservations')
const alarmOf = async (accountId: string) => (await app.ports()).table.get(reservationAlarmKey(accountId))

test.each([
  ['in the counter', 1],
  ['in items of their own', OPEN_IN_COUNTER + 3],
])(
  'reservations %s return at expiry, though no request for the account ever comes again',
  async (_, count) => {
    const { key, accountId } = await newConsumer(app, 100)
    const ids: string[] = []
    for (let n = 0; n < count; n++) ids.push((await reserve(app, key, { units: 2, ttlSeconds: 60 })).body.id)
    const longer = (await reserve(app, key, { units: 5, ttlSeconds: 120 })).body.id
    app.advance(59_000)
    expect(await expire()).toMatchObject({ done: 0, failed: 0 })
    app.advance(2_000)
    const { done, failed } = await expire()
    expect([done > 0, failed]).toEqual([true, 0])
    expect(await unitsOf(app, key)).toEqual([95, 0, 5])
    for (const id of ids) expect((await settle(app, key, id, { units: 1 })).status).toBe(409)
    expect((await settle(app, key, longer, { units: 5 })).status).toBe(200)
    expect(await expire()).toMatchObject({ done: 0, failed: 0 })
    expect(await unitsOf(app, key)).toEqual([95, 5, 0])
    expect(await alarmOf(accountId)).toBeUndefined()
  },
)

test('the reservations of a deactivated account return too', async () => {
  const person = await newConsumer(app, 100)
  await reserve(app, person.key, { units: 2, ttlSeconds: 1 })
  await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  app.advance(3_000)
  await expire()
  const { email, password } = person
  await app.request('POST', '/api/users/restore', { json: { email, password } })
  expect(await unitsOf(app, person.key)).toEqual([100, 0, 0])
})

test('a settle after the expiry counts as long as the units have not been returned', async () => {
  const { key } = await newConsumer(app, 100)
  const { id } = (await reserve(app, key, { units: 2, ttlSeconds: 1 })).body
  app.advance(3_000)
  expect((await settle(app, key, id, { units: 1 })).status).toBe(200)
  await expire()
  expect(await unitsOf(app, key)).toEqual([99, 1, 0])
})

test('an account whose reservations have all ended is looked at once more, and one that reserves again, again', async () => {
  const { key, accountId } = await newConsumer(app, 100)
  for (let times = 0; times < 2; times++) {
    const { id } = (await reserve(app, key, { units: 2 })).body
    expect(await alarmOf(accountId)).toBeDefined()
    await giveBack(app, key, id)
    await expire()
    expect(await alarmOf(accountId)).toBeUndefined()
    app.resetCalls()
    await expire()
    expect(app.calls().dynamodb).toEqual({ Query: 4 })
  }
})

describe('what a refund could not take because it was reserved is taken once it returns', () => {
  /** A buyer whose 1,100 units are all reserved when the payment for 1,000 of them is refunded. */
  async function refunded(others: number) {
    const person = await newBuyer(app)
    const ids: string[] = []
    for (let n = 0; n < others; n++) ids.push((await reserve(app, person.key, { units: 1 })).body.id)
    const last = await reserve(app, person.key, { units: 1100 - others, ttlSeconds: 600 })
    const [payment] = await paymentsOf(app, person)
    await refund(app, payment ?? { id: '' })
    await stripeOf(app).double.flushWebhooks()
    expect(await unitsOf(app, person.key)).toEqual([0, 0, 1100])
    return { person, ids, last: last.body.id as string }
  }

  const balanceOf = async (person: SignedInPerson) => (await shown(app, person, '/api/users/current')).balance

  test.each([
    ['in the counter', 0],
    ['in an item of its own', OPEN_IN_COUNTER],
  ])('by a settle, of a reservation %s', async (_, others) => {
    const { person, ids, last } = await refunded(others)
    for (const id of ids) await giveBack(app, person.key, id)
    await expire()
    expect(await alarmOf(person.accountId)).toBeDefined()
    await settle(app, person.key, last, { units: 0 })
    expect(await expire()).toMatchObject({ failed: 0 })
    expect(await unitsOf(app, person.key)).toEqual([100, 0, 0])
    expect(await balanceOf(person)).toBe(0)
    const reversed = (await noticesOf(app, person)).filter((kind) => kind === 'payment_reversed')
    expect(reversed.length).toBeGreaterThan(1)
    await expectBooksAgree(app, person)
    await expire()
    expect(await alarmOf(person.accountId)).toBeUndefined()
  })

  test('by an expiry; what was used stays owed', async () => {
    const { person, last } = await refunded(0)
    const { body } = await settle(app, person.key, last, { units: 600 })
    expect(body).toMatchObject({ left: 500, used: 600 })
    const id = (await reserve(app, person.key, { units: 200, ttlSeconds: 60 })).body.id
    await expire()
    expect(await unitsOf(app, person.key)).toEqual([0, 600, 200])
    app.advance(61_000)
    await expire()
    expect(await unitsOf(app, person.key)).toEqual([0, 600, 0])
    expect((await settle(app, person.key, id, { units: 1 })).status).toBe(409)
    expect(await balanceOf(person)).toBeLessThan(0)
    await expectBooksAgree(app, person)
    await expire()
    expect(await alarmOf(person.accountId)).toBeUndefined()
  })
})
