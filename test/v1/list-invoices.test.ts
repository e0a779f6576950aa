import { afterEach, expect, test } from 'vitest'
import { keys } from '../../core/table/keys.ts'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { buy, changeTo, newBuyer, paymentsOf, refund, shown } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import type { TestAnswer } from '../support/send.ts'
import { later, stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)
afterEach(() => double.clearFaults())

const LIST = '/v1/invoice/list'
const DAY_MS = 24 * 3_600_000
const CONFIRM = 'POST /v1/payment_intents/*/confirm'

const get = ({ accessToken: token }: SignedInPerson, path = LIST) => app.request('GET', path, { token })

const linkOf = ({ headers }: TestAnswer) => headers.get('link')

test('200: every payment is listed, newest first, with its currency and date', async () => {
  let person = await newBuyer(app)
  person = await later(app, person, DAY_MS)
  expect((await changeTo(app, person, 'DEVELOPER')).status).toBe(204)
  const answer = await get(person)
  expectContract(v1.listInvoices, answer)
  const paid = (ms: number) => ({
    ...{ currency: 'USD', status: 'succeeded', state: 'paid' },
    paidDay: expect.any(String),
    paidOn: new Date(ms).toISOString().slice(0, 10),
  })
  expect(answer.body).toEqual([
    { id: expect.any(String), amount: 9.99, ...paid(Date.now()) },
    { id: expect.any(String), amount: 0.99, ...paid(Date.now() - DAY_MS) },
  ])
  const payments = await paymentsOf(app, person)
  const seconds = answer.body.map(({ paidDay }: { paidDay: string }) => paidDay)
  expect(seconds).toEqual(payments.map(({ created }) => String(created)).reverse())
  expect(answer.body.map(({ id }: { id: string }) => id)).toEqual(
    payments.map(({ metadata }) => metadata.purchase).reverse(),
  )
})

test('200: payments that were declined or have an unknown outcome are not listed', async () => {
  const nobody = await app.signUp()
  expect(await shown(app, nobody, LIST)).toEqual([])
  const person = await newBuyer(app)
  double.addFault({ fault: 'decline', match: CONFIRM, times: 1 })
  expect((await buy(app, person)).status).toBe(402)
  app.advance(11_000)
  double.addFault({ fault: '500', match: CONFIRM })
  expect((await buy(app, person)).status).toBe(202)
  expect(await shown(app, person, LIST)).toHaveLength(1)
})

test('200: the state shows refunds and disputes', async () => {
  const person = await newBuyer(app)
  const [payment] = await paymentsOf(app, person)
  const states = async () => {
    await double.flushWebhooks()
    return (await shown(app, person, LIST)).map(({ state }: { state: string }) => state)
  }
  await refund(app, payment!, 40)
  expect(await states()).toEqual(['partially_refunded'])
  await refund(app, payment!, 59)
  expect(await states()).toEqual(['refunded'])
  const disputed = await newBuyer(app, { card: '4000000000000259' })
  await double.flushWebhooks()
  expect((await shown(app, disputed, LIST))[0].state).toBe('disputed')
})

test('200: the pages along the Link header show each payment once, without a call to Stripe', async () => {
  const person = await newBuyer(app)
  for (let times = 0; times < 4; times++) {
    expect((await buy(app, person)).status).toBe(201)
    app.advance(11_000)
  }
  app.resetCalls()
  const ids: string[] = []
  let path: string | undefined = `${LIST}?limit=2`
  while (path !== undefined) {
    const answer = await get(person, path)
    expectContract(v1.listInvoices, answer)
    ids.push(...answer.body.map(({ id }: { id: string }) => id))
    path = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  expect(app.calls().stripe).toEqual({})
  expect(ids).toEqual((await shown(app, person, LIST)).map(({ id }: { id: string }) => id))
  expect(new Set(ids).size).toBe(5)
})

test('200: a page is full unless it is the last, at the same cost however many purchases were never paid', async () => {
  const person = await newBuyer(app)
  for (const _ of [1, 2, 3]) {
    expect((await buy(app, person)).status).toBe(201)
    app.advance(11_000)
  }
  const cost = async () => {
    app.resetCalls()
    const pages = [await get(person, `${LIST}?limit=2`), await get(person, `${LIST}?limit=4`)]
    return {
      rows: pages.map(({ body }) => body.length),
      next: pages.map(linkOf),
      reads: app.calls().readUnits,
    }
  }
  const before = await cost()
  expect(before.rows).toEqual([2, 4])
  expect(before.next).toEqual([expect.stringContaining('cursor='), null])
  const { table } = await app.ports()
  const [paid] = await table.list(keys.account(person.accountId), 'PURCHASE#')
  const abandoned = Array.from({ length: 60 }, (_, n) => {
    const id = String(paid?.id).slice(0, 12) + n.toString(16).padStart(12, 'f')
    return { ...paid, ...keys.purchase(person.accountId, id), id, state: 'abandoned' }
  })
  await app.fixtures.put(abandoned)
  expect(await cost()).toEqual(before)
})

test('200: the list has nothing of other accounts', async () => {
  await newBuyer(app)
  expect(await shown(app, await app.signUp(), LIST)).toEqual([])
})

test.each(['limit=0', 'limit=1001', 'limit=x', 'cursor=x', 'cursor=%23', 'page=1'])(
  '400: %s',
  async (query) => {
    expectError(v1.listInvoices, await get(await app.signUp(), `${LIST}?${query}`), 'invalid_request')
  },
)

test('200: the list is shown while Stripe is down', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: '500' })
  expect(await shown(app, person, LIST)).toHaveLength(1)
})
