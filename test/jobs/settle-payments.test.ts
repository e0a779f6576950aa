import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { readPurchase } from '../../core/purchases/purchase.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import { dueShards, keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import {
  ALWAYS_3DS,
  buy,
  expectBooksAgree,
  expectNothingOpen,
  ledgerOf,
  newBuyer,
  paymentsOf,
  signUpFor,
  unitsLeft,
  waitingPayment,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume } from '../support/quota.ts'
import { atStripe, defaultCard, later, newCard, stripeOf } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)
const { double } = stripeOf(app)
beforeEach(() => double.addFault({ fault: 'drop-webhooks' }))
afterEach(() => {
  double.clearFaults()
  app.stack.dynamo.clearFaults()
})

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const CONFIRM = 'POST /v1/payment_intents/*/confirm'
const CREATE = 'POST /v1/payment_intents$'
const NOTHING = { credited: 0, ended: 0, waiting: 0, failed: 0 }

const settle = () => app.job('settle-payments')

/** A buyer with a purchase whose outcome is unknown because of the fault. */
async function unknown(fault: Parameters<typeof double.addFault>[0]) {
  const person = await newBuyer(app)
  double.addFault(fault)
  expect((await buy(app, person)).status).toBe(202)
  double.clearFaults()
  double.addFault({ fault: 'drop-webhooks' })
  return person
}

const openSlot = async ({ accountId }: SignedInPerson) =>
  (await (await app.ports()).table.get(keys.profile(accountId)))?.openPurchase

test.each([
  ['charged, with the answer lost', { fault: 'torn-body', match: CONFIRM }, 'credited'],
  ['never confirmed', { fault: '500', match: CONFIRM }, 'ended'],
  ['never made', { fault: '500', match: CREATE }, 'ended'],
  ['made, with its id lost', { fault: 'torn-body', match: CREATE }, 'ended'],
] as const)('a payment that was %s is %s', async (_, fault, outcome) => {
  const person = await unknown(fault)
  app.advance(MINUTE_MS)
  expect(await settle()).toEqual({ ...NOTHING, [outcome === 'ended' ? 'ended' : 'credited']: 1 })
  await expectNothingOpen(app, person)
  await expectBooksAgree(app, person)
  expect(await unitsLeft(app, person)).toBe(outcome === 'credited' ? 2100 : 1100)
  app.advance(HOUR_MS)
  app.resetCalls()
  expect(await settle()).toEqual(NOTHING)
  expect(app.calls().stripe).toEqual({})
})

test('a purchase whose decline was lost is declined, and its payment is canceled', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: 'decline', match: CONFIRM, times: 1 })
  double.addFault({ fault: 'lose-reply-after-commit', match: CONFIRM, times: 2 })
  await buy(app, person, 'k')
  double.clearFaults()
  app.advance(MINUTE_MS)
  await settle()
  await expectNothingOpen(app, person)
  expect((await buy(app, person, 'k')).status).toBe(402)
  await expectBooksAgree(app, person)
})

test('a purchase is not settled in its first minute, when its own request may be in progress', async () => {
  const person = await unknown({ fault: '500', match: CONFIRM })
  app.advance(MINUTE_MS - 1)
  expect(await settle()).toEqual(NOTHING)
  await waitingPayment(app, person)
  app.advance(1)
  expect(await settle()).toEqual({ ...NOTHING, ended: 1 })
})

test('two concurrent runs settle a purchase once, and neither fails', async () => {
  const person = await unknown({ fault: 'torn-body', match: CONFIRM })
  app.advance(MINUTE_MS)
  const runs = await Promise.all([settle(), settle(), settle()])
  expect(runs.map(({ failed }) => failed)).toEqual([0, 0, 0])
  expect((await ledgerOf(app, person)).filter(({ kind }) => kind === 'sale')).toHaveLength(2)
  await expectBooksAgree(app, person)
})

test('a sign-up whose card cannot be saved yet has its units, and later the card', async () => {
  const person = await app.signUp()
  const card = await newCard(app, '4242424242424242')
  double.addFault({ fault: '500', match: 'GET /v1/payment_methods/*' })
  expect((await signUpFor(app, person, 'STARTER', card)).status).toBe(204)
  expect(await unitsLeft(app, person)).toBe(1100)
  expect(await defaultCard(app, person)).toBeNull()
  double.clearFaults()
  app.advance(MINUTE_MS)
  expect(await settle()).toEqual({ ...NOTHING, credited: 1 })
  expect(await unitsLeft(app, person)).toBe(1100)
  expect(await defaultCard(app, person)).toBe(card)
  await expectBooksAgree(app, person)
  expect(await settle()).toEqual(NOTHING)
})

test('a payment that waits for 3-D Secure is checked every five minutes, abandoned after a day', async () => {
  double.clearFaults()
  let person = await newBuyer(app, { card: ALWAYS_3DS })
  double.addFault({ fault: 'drop-webhooks' })
  expect((await buy(app, person)).status).toBe(402)
  const { id } = await waitingPayment(app, person)
  app.advance(5 * MINUTE_MS)
  expect(await settle()).toEqual({ ...NOTHING, waiting: 1 })
  app.resetCalls()
  app.advance(4 * MINUTE_MS)
  expect(await settle()).toEqual(NOTHING)
  expect(app.calls().stripe).toEqual({})
  double.authenticate({ paymentIntent: id, outcome: 'succeed' })
  person = await later(app, person, 20 * MINUTE_MS)
  expect(await settle()).toEqual({ ...NOTHING, credited: 1 })
  await expectBooksAgree(app, person)
  app.advance(11_000)
  expect((await buy(app, person)).status).toBe(402)
  person = await later(app, person, 24 * HOUR_MS)
  expect(await settle()).toEqual({ ...NOTHING, ended: 1 })
  await expectNothingOpen(app, person)
  await expectBooksAgree(app, person)
})

test('during an outage of Stripe nothing is abandoned, and the purchase settles afterwards', async () => {
  let person = await unknown({ fault: 'torn-body', match: CONFIRM })
  double.addFault({ fault: '500' })
  for (let hours = 0; hours < 30; hours += 5) {
    app.advance(5 * HOUR_MS)
    expect(await settle()).toEqual({ ...NOTHING, failed: 1 })
  }
  double.clearFaults()
  person = await later(app, person, HOUR_MS)
  expect(await settle()).toEqual({ ...NOTHING, credited: 1 })
  expect(await paymentsOf(app, person)).toHaveLength(2)
  await expectBooksAgree(app, person)
})

describe('the clock is wrong, and Stripe has forgotten the idempotency keys', () => {
  const faults = [
    { fault: 'torn-body', match: CONFIRM },
    { fault: '500', match: CONFIRM },
    { fault: 'torn-body', match: CREATE },
    { fault: '500', match: CREATE },
  ] as const

  const ORDERS = ['both', 'request', 'job']

  test.each([
    ['25 hours', 25 * HOUR_MS],
    ['73 hours', 73 * HOUR_MS],
    ['8 days', 8 * 24 * HOUR_MS],
  ])('%s later: the same request again, the job, or both charge no second time', async (_, ms) => {
    for (const [nth, fault] of faults.entries()) {
      // Each fault meets one order; the deep tests try every pair.
      for (const order of process.env.DEEP ? ORDERS : ORDERS.slice(nth % 3, (nth % 3) + 1)) {
        let person = await unknown(fault)
        person = await later(app, person, ms)
        const again = order === 'job' ? [] : [buy(app, person)]
        await Promise.all([...again, ...(order === 'request' ? [] : [settle()])])
        for (let minutes = 0; minutes < 3; minutes++) {
          app.advance(MINUTE_MS)
          await settle()
        }
        // A payment whose id was lost and whose key is forgotten stays unconfirmed, because nobody knows its
        // id.
        const { intents } = await atStripe(app, person)
        const left = new Set(intents.map(({ status }) => status))
        expect(['succeeded', 'canceled', 'requires_confirmation']).toEqual(expect.arrayContaining([...left]))
        await expectBooksAgree(app, person)
        expect((await paymentsOf(app, person)).length).toBeLessThanOrEqual(2)
        expect((await openSlot(person)) ?? 'free').toBe('free')
      }
    }
  })

  test('backwards: a purchase stays open longer and is charged once', async () => {
    for (const fault of faults) {
      const person = await unknown(fault)
      app.advance(-2 * HOUR_MS)
      expect(await settle()).toEqual(NOTHING)
      app.advance(2 * HOUR_MS + MINUTE_MS)
      await settle()
      await expectNothingOpen(app, person)
      await expectBooksAgree(app, person)
    }
  })
})

test('units that wait for the counter are added while the account consumes', async () => {
  const person = await newBuyer(app)
  app.stack.dynamo.addFault({ fault: 'error-before', match: 'UpdateItem', times: 6 })
  const answer = await buy(app, person)
  app.stack.dynamo.clearFaults()
  expect([201, 202, 503]).toContain(answer.status)
  app.advance(MINUTE_MS)
  const [run] = await Promise.all([
    settle(),
    ...Array.from({ length: 10 }, () => consume(app, person.key, { units: 1 })),
  ])
  expect(run.failed).toBe(0)
  await expectBooksAgree(app, person)
})

test('purchases in every shard are settled', async () => {
  const shards = new Set<string>()
  const people = []
  while (shards.size < dueShards('PURCHASE').length) {
    const person = await unknown({ fault: '500', match: CONFIRM })
    const { table } = await app.ports()
    const [item] = (await table.list(keys.account(person.accountId), 'PURCHASE#')).slice(-1)
    shards.add(String(item?.due))
    people.push(person)
  }
  app.advance(MINUTE_MS)
  expect(await settle()).toEqual({ ...NOTHING, ended: people.length })
  for (const person of people) {
    expect((await atStripe(app, person)).intents[0]?.status).toBe('canceled')
  }
})

test('a run that is out of time starts nothing', async () => {
  await unknown({ fault: '500', match: CONFIRM })
  app.advance(MINUTE_MS)
  const { handler } = await import('../../functions/jobs/settle-payments.ts')
  expect(await handler({}, { getRemainingTimeInMillis: () => 0 })).toEqual(NOTHING)
  expect(await handler({}, { getRemainingTimeInMillis: () => 21_000 })).toEqual({ ...NOTHING, ended: 1 })
})

test('a payment that is confirmed while the job runs is not both abandoned and charged', async () => {
  let person = await unknown({ fault: 'torn-body', match: CREATE })
  // Stripe has forgotten the idempotency key, so a retry makes another payment.
  person = await later(app, person, 25 * HOUR_MS)
  const ports = await app.ports()
  const open = async () => readPurchase(ports, person.accountId, String(await openSlot(person)))
  const stale = await open()
  double.addFault({ fault: 'delay', match: CONFIRM, delayMs: 400, times: 1 })
  let request: Promise<unknown> | undefined
  const listPayments: Ports['payments']['listPayments'] = async (filter, cursor) => {
    const listed = await ports.payments.listPayments(filter, cursor)
    request ??= buy(app, person)
    while ((await open())?.paymentId === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
    return listed
  }
  const payments = new Proxy(ports.payments, {
    get: (all, name) => (name === 'listPayments' ? listPayments : Reflect.get(all, name)),
  })
  expect(stale?.state).toBe('created')
  await settlePayments({ ...ports, payments }, { untilMs: Date.now() + HOUR_MS, width: 1 })
  await request
  app.advance(MINUTE_MS)
  await settle()
  await expectBooksAgree(app, person)
  expect((await paymentsOf(app, person)).length).toBeLessThanOrEqual(2)
})
