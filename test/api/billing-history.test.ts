import { expect, test } from 'vitest'
import { api } from '../../functions/api/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { buy, newBuyer, shown } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()

const get = ({ accessToken: token }: SignedInPerson, id: string, query = '') =>
  app.request('GET', `/api/teams/${id}/billing-history${query}`, { token })

test('200: the payments of the account, newest first, with amounts in cents, page by page', async () => {
  const person = await newBuyer(app)
  app.advance(60_000)
  expect((await buy(app, person)).status).toBe(201)
  const own = await shown(app, person, '/v1/invoice/list')
  const answer = await get(person, person.accountId)
  expectContract(api.billingHistory, answer)
  expect(answer.body.map(({ _id }: { _id: string }) => _id)).toEqual(own.map(({ id }: { id: string }) => id))
  expect(answer.body[0]).toMatchObject({
    user: person.accountId,
    status: 'paid',
    amount: 99,
    currency: 'USD',
    invoicePdf: null,
  })
  expect(answer.headers.get('link')).toBeNull()
  const first = await get(person, person.accountId, '?limit=1')
  expect(first.headers.get('link')).toBe(
    `</api/teams/${person.accountId}/billing-history?page=2&limit=1>; rel="next"`,
  )
  const second = await get(person, person.accountId, '?page=2&limit=1')
  expect([...first.body, ...second.body]).toEqual(answer.body)
})

test('404 for every id but that of the account, whether there is such an account or not', async () => {
  const [person, other] = [await app.signUp(), await newBuyer(app)]
  for (const id of [other.accountId, 'f'.repeat(24), 'x'])
    expectError(api.billingHistory, await get(person, id), 'not_found')
})
