import { expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, shown, unitsLeft } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { table } = await app.ports()
const { double, dashboard } = stripeOf(app)

test('200 with nothing found for an account whose books are right', async () => {
  const { status, body } = await operate(app, await newBuyer(app), 'reconcile', {})
  expect([status, body]).toEqual([
    200,
    { entries: 3, purchases: 1, payments: 1, mended: [], found: [], next: null },
  ])
})

test('200 mends a refund of which no event told, and finds a balance that somebody has edited', async () => {
  const person = await newBuyer(app)
  const [{ id }] = await shown(app, person, '/v1/invoice/list')
  const { paymentId } = (await table.get(keys.purchase(person.accountId, id))) ?? {}
  await dashboard.refunds.create({ payment_intent: String(paymentId) })
  for (const event of Object.values(double.state.events)) event.pending_webhooks = 0
  await table.update(keys.profile(person.accountId), expr`SET #balanceCents = ${7}`)
  const { body } = await operate(app, person, 'reconcile', {})
  expect(body.mended).toEqual([{ about: id, text: 'A refund or dispute was not in the ledger.' }])
  expect(body.found).toEqual([{ about: 'balance', text: 'It is 7 cents, and the ledger sums to 0.' }])
  expect(await unitsLeft(app, person)).toBe(100)
})

test('404 for an account that is not there', async () => {
  expect((await operate(app, { accountId: '0'.repeat(24) }, 'reconcile', {})).status).toBe(404)
})
