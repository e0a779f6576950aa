import { beforeEach, describe, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { expectBooksAgree, newBuyer, paymentsOf, shown, unitsLeft } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const add = (json: object) =>
  app.request('POST', '/ops/admin/coupons', { operator: 'admin', json: { reason: 'a test', ...json } })
const buyWith = ({ accessToken: token }: SignedInPerson, coupon: string) =>
  app.request('POST', '/v1/user/buy', { token, json: { coupon } })
const used = async (code: string) =>
  (await app.request('GET', '/ops/read/coupons', { operator: 'read' })).body.coupons.find(
    (coupon: { code: string }) => coupon.code === code,
  ).used

describe('200', () => {
  test('a coupon takes per cent off one purchase; invoice and statement show it, and it is counted once', async () => {
    expect((await add({ code: 'half-off', percent: 40, limit: 1 })).body.coupon).toMatchObject({
      code: 'HALF-OFF',
      limit: 1,
      perAccount: 1,
      used: 0,
    })
    const person = await newBuyer(app)
    expect((await buyWith(person, 'Half-Off')).status).toBe(201)
    expect((await paymentsOf(app, person)).at(-1)?.amount).toBe(60)
    expect(await unitsLeft(app, person)).toBe(2100)
    const [invoice] = await shown(app, person, '/v1/invoice/list')
    const coupon = { code: 'HALF-OFF', discount: 0.39, units: 0 }
    expect(await shown(app, person, `/v1/invoice/${invoice.id}`)).toMatchObject({ amount: 0.6, coupon })
    const sale = (await shown(app, person, '/v1/ledger')).at(-1)
    expect(sale).toMatchObject({ kind: 'sale', amount: -0.6, coupon: 'HALF-OFF', discount: 0.39 })
    expect(await used('HALF-OFF')).toBe(1)
    await expectBooksAgree(app, person)
  })

  test('a coupon adds units on top, and never lowers a price below what Stripe charges', async () => {
    await add({ code: 'MORE', units: 500 })
    await add({ code: 'MUCH', amountCents: 90, currency: 'USD' })
    const person = await newBuyer(app)
    expect((await buyWith(person, 'MORE')).status).toBe(201)
    expect(await unitsLeft(app, person)).toBe(2600)
    expect((await buyWith(person, 'MUCH')).status).toBe(201)
    expect((await paymentsOf(app, person)).map(({ amount }) => amount)).toEqual([99, 99, 50])
  })

  test('the same coupon again is the one that there is, and without a code a random one is made', async () => {
    const first = await add({ code: 'AGAIN', percent: 10 })
    expect((await add({ code: 'AGAIN', percent: 10 })).body).toEqual(first.body)
    expect((await add({ percent: 10 })).body.coupon.code).toMatch(/^[A-Z2-9]{10}$/)
  })
})

describe('a coupon that cannot be redeemed charges nothing', () => {
  test.each([
    ['coupon_unknown', 422, undefined],
    ['coupon_expired', 409, { percent: 10, from: '2099-01-01T00:00:00Z' }],
    ['coupon_not_applicable', 422, { amountCents: 50, currency: 'EUR' }],
  ])('%s', async (code, status, coupon) => {
    if (coupon) await add({ code: 'WRONG', ...coupon })
    const person = await newBuyer(app)
    const answer = await buyWith(person, 'WRONG')
    expect([answer.status, answer.body.type]).toEqual([status, `urn:bursar:problem:${code}`])
    expect(await paymentsOf(app, person)).toHaveLength(1)
  })

  test('coupon_used_up by another account, and coupon_already_used by the same', async () => {
    await add({ code: 'ONCE', percent: 10, limit: 1 })
    const [person, other] = [await newBuyer(app), await newBuyer(app)]
    expect((await buyWith(person, 'ONCE')).status).toBe(201)
    expect((await buyWith(other, 'ONCE')).body.type).toBe('urn:bursar:problem:coupon_used_up')
    app.advance(60_000)
    expect((await buyWith(person, 'ONCE')).body.type).toBe('urn:bursar:problem:coupon_already_used')
    expect(await used('ONCE')).toBe(1)
  })

  test('429 after 20 tries within an hour', async () => {
    const person = await newBuyer(app)
    for (let tries = 0; tries < 20; tries++) expect((await buyWith(person, `GUESS${tries}`)).status).toBe(422)
    expect((await buyWith(person, 'GUESS20')).status).toBe(429)
  })
})

test.each([
  {},
  { percent: 100 },
  { percent: 10, units: 5 },
  { amountCents: 5 },
  { percent: 10, currency: 'USD' },
  { percent: 10, code: 'a b' },
  { percent: 10, limit: 0 },
  { percent: 10, to: '2001-01-01T00:00:00Z' },
])('400 for %j', async (coupon) => {
  expect((await add(coupon)).status).toBe(400)
})

test('409 for another coupon with the same code', async () => {
  await add({ code: 'TAKEN', percent: 10 })
  expect((await add({ code: 'taken', percent: 11 })).status).toBe(409)
})
