import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { buy, newBuyer, paymentsOf, refund, shown, signUpFor, spendTo } from '../support/buyers.ts'
import type { Consumer } from '../support/quota.ts'
import { fingerprintOf } from '../support/shared-tries.ts'
import { newCard, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)
beforeEach(app.startAfresh)

const NUMBER = '4242424242424242'
const unblock = () =>
  app.request('POST', '/ops/admin/blocked-cards/unblock', {
    operator: 'admin',
    json: { card: fingerprintOf(NUMBER), reason: 'the holder has shown that it is theirs' },
  })
const listed = async () =>
  (await app.request('GET', '/ops/read/blocked-cards', { operator: 'read' })).body.cards
const entries = async () => (await app.ports()).table.list('OPERATOR#local-admin', 'AUDIT#')

async function disputed(): Promise<Consumer> {
  const person = await newBuyer(app)
  const [payment] = await paymentsOf(app, person)
  double.dispute({ charge: String(payment?.latest_charge) })
  await double.flushWebhooks()
  return person
}

test('200: reports of fraud are withdrawn for good, in their accounts too, once', async () => {
  const [first, second, other] = [await disputed(), await disputed(), await app.signUp()]
  expect((await listed())[0].reports.map(({ account }: { account: string }) => account).sort()).toEqual(
    [first.accountId, second.accountId].sort(),
  )
  expect((await unblock()).body).toMatchObject({ blockedAt: null, byOperator: false, reports: [], owing: [] })
  expect((await unblock()).status).toBe(200)
  expect((await entries()).map(({ action }) => action)).toEqual(['operator.card_unblocked'])
  expect(await listed()).toEqual([])
  // The jobs compare the disputes of the last days, and report nothing anew.
  await app.job('sweep')
  await app.job('settle-payments')
  expect(await listed()).toEqual([])
  expect((await buy(app, first)).status).toBe(201)
  expect((await shown(app, second)).renewal.state).toBe('on')
  expect((await signUpFor(app, other, 'STARTER', await newCard(app, NUMBER))).status).toBe(204)
})

test('200: a debt of another account keeps nobody from buying any more, and is still owed', async () => {
  const owing = await newBuyer(app)
  await spendTo(app, owing, 0)
  const [payment] = await paymentsOf(app, owing)
  await refund(app, payment!)
  await double.flushWebhooks()
  const other = await app.signUp()
  const signUp = async () => (await signUpFor(app, other, 'STARTER', await newCard(app, NUMBER))).status
  expect(await signUp()).toBe(402)
  expect((await unblock()).body.owing).toEqual([])
  expect(await signUp()).toBe(204)
  expect((await shown(app, owing, '/api/users/current')).balance).toBeLessThan(0)
})

test('200: what ended early because Stripe was down is done by a repeat', async () => {
  const person = await disputed()
  double.addFault({ fault: '500', match: 'GET /v1/charges/*' })
  expect((await unblock()).status).toBe(503)
  expect(await listed()).toHaveLength(1)
  double.clearFaults()
  expect((await unblock()).status).toBe(200)
  expect(await listed()).toEqual([])
  expect((await buy(app, person)).status).toBe(201)
})
