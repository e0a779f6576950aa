import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import {
  buy,
  changeTo,
  expectBooksAgree,
  ledgerOf,
  newBuyer,
  paymentsOf,
  refund,
  shown,
  spendTo,
} from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const { double } = stripeOf(app)

const get = ({ accessToken: token }: SignedInPerson, path = '/v1/ledger') =>
  app.request('GET', path, { token })

test('200: every credit and debit is listed, oldest first, numbered without a gap', async () => {
  const person = await newBuyer(app)
  expect((await changeTo(app, person, 'DEVELOPER')).status).toBe(204)
  const answer = await get(person)
  expectContract(v1.listLedger, answer)
  const [first, second] = (await shown(app, person, '/v1/invoice/list'))
    .map(({ id }: { id: string }) => id)
    .reverse()
  const at = expect.stringMatching(/^2026-11-21T.*Z$/)
  expect(answer.body).toEqual([
    { seq: 1, at, kind: 'trial', units: 100, amount: 0, currency: 'USD' },
    { seq: 2, at, kind: 'payment', units: 0, amount: 0.99, currency: 'USD', purchaseId: first },
    { seq: 3, at, kind: 'sale', units: 1000, amount: -0.99, currency: 'USD', purchaseId: first },
    { seq: 4, at, kind: 'payment', units: 0, amount: 9.99, currency: 'USD', purchaseId: second },
    { seq: 5, at, kind: 'sale', units: 100_000, amount: -9.99, currency: 'USD', purchaseId: second },
  ])
})

test('200: amounts sum to the balance, and units to those left and used, after every kind of entry', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 700)
  await buy(app, person)
  const [first, second] = await paymentsOf(app, person)
  await refund(app, first!, 50)
  await double.flushWebhooks()
  await expectBooksAgree(app, person)
  await spendTo(app, person, 3)
  await refund(app, second!)
  await double.flushWebhooks()
  await expectBooksAgree(app, person)
  expect((await shown(app, person, '/api/users/current')).balance).toBeLessThan(0)
  app.advance(11_000)
  await buy(app, person)
  await expectBooksAgree(app, person)
  expect((await shown(app, person, '/api/users/current')).balance).toBe(0)
  const kinds = (await ledgerOf(app, person)).map(({ kind }) => kind)
  expect(new Set(kinds)).toEqual(new Set(['trial', 'payment', 'sale', 'refund', 'return']))
})

test('200: spent units make no entries', async () => {
  const person = await newBuyer(app)
  const before = await ledgerOf(app, person)
  await spendTo(app, person, 500)
  expect(await ledgerOf(app, person)).toEqual(before)
})

test('200: the pages along the Link header show each entry once', async () => {
  const person = await newBuyer(app)
  await buy(app, person)
  const entries: unknown[] = []
  let path: string | undefined = '/v1/ledger?limit=2'
  while (path !== undefined) {
    const answer = await get(person, path)
    expectContract(v1.listLedger, answer)
    expect(answer.body.length).toBeLessThanOrEqual(2)
    entries.push(...answer.body)
    path = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  expect(entries).toHaveLength(5)
  expect(entries).toEqual(await ledgerOf(app, person))
})

test('200: the list has nothing of other accounts and needs no call to Stripe', async () => {
  await newBuyer(app)
  const person = await app.signUp()
  app.resetCalls()
  expect((await ledgerOf(app, person)).map(({ kind }) => kind)).toEqual(['trial'])
  expect(app.calls().stripe).toEqual({})
})

test.each([
  'limit=0',
  'limit=1001',
  'cursor=x',
  'cursor=-1',
  'cursor=1e3',
  `cursor=${'9'.repeat(13)}`,
  'a=b',
])('400: %s', async (query) => {
  expectError(v1.listLedger, await get(await app.signUp(), `/v1/ledger?${query}`), 'invalid_request')
})

test('200: the page after the last entry is empty', async () => {
  expect((await get(await app.signUp(), `/v1/ledger?cursor=${'9'.repeat(12)}`)).body).toEqual([])
})
