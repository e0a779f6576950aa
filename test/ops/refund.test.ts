import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer, shown, spendTo, unitsLeft } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'
import type { SignedInPerson } from '../support/people.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)

async function refund(person: SignedInPerson, body: Record<string, unknown>, key?: string) {
  const [{ id }] = await shown(app, person, '/v1/invoice/list')
  return operate(app, person, `purchases/${id}/refund`, body, key)
}

const refundsAtStripe = () => Object.values(double.state.refunds).length

test('200 refunds what the units left are worth, once; its webhook takes nothing back again', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 400)
  const before = refundsAtStripe()
  const first = await refund(person, { what: 'units_left' }, 'order-1')
  expect([first.status, first.body]).toEqual([
    200,
    { id: expect.any(String), amountCents: 39, currency: 'USD' },
  ])
  const again = await refund(person, { what: 'units_left' }, 'order-1')
  expect([again.status, again.body]).toEqual([200, { ...first.body, replayed: true }])
  await double.flushWebhooks()
  expect(refundsAtStripe() - before).toBe(1)
  // 39 of 99 cents are 393 of 1,000 units.
  expect(await unitsLeft(app, person)).toBe(7)
  const statement = await shown(app, person, '/v1/ledger')
  expect(statement.filter(({ kind }: { kind: string }) => kind === 'refund')).toHaveLength(1)
})

test('202 while the outcome is unknown; the job settles it, and a repeat says how it ended', async () => {
  const person = await newBuyer(app)
  const before = refundsAtStripe()
  double.addFault({ fault: '500', code: 'after-commit', match: 'POST /v1/refunds', times: 2 })
  const first = await refund(person, { what: 'all' }, 'order-1')
  double.clearFaults()
  expect([first.status, first.body]).toEqual([202, { status: 'pending', id: expect.any(String) }])
  app.advance(61_000)
  expect(await app.job('settle-payments')).toMatchObject({ refunds: { done: 1, failed: 0 } })
  const again = await refund(person, { what: 'all' }, 'order-1')
  expect([again.status, again.body]).toEqual([
    200,
    { id: first.body.id, amountCents: 99, currency: 'USD', replayed: true },
  ])
  expect(refundsAtStripe() - before).toBe(1)
  expect(await unitsLeft(app, person)).toBe(100)
})

test('409 for more than was paid, and for a purchase that has gone back', async () => {
  const person = await newBuyer(app)
  const more = await refund(person, { what: 'amount', amountCents: 100 })
  expect([more.status, more.body.type]).toEqual([409, expect.stringContaining('not_refundable')])
  expect((await refund(person, { what: 'all' })).status).toBe(200)
  expect((await refund(person, { what: 'all' })).status).toBe(409)
})

test('400 for an amount without `what: amount`, and 404 for a purchase that is not there', async () => {
  const person = await newBuyer(app)
  expect((await refund(person, { what: 'amount' })).status).toBe(400)
  expect((await refund(person, { what: 'all', amountCents: 5 })).status).toBe(400)
  const { status } = await operate(app, person, `purchases/${'0'.repeat(24)}/refund`, { what: 'all' })
  expect(status).toBe(404)
})
