import { expect, test } from 'vitest'
import { api } from '../../functions/api/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { buy, newBuyer, shown } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'

const app = await startApp()

const get = ({ accessToken: token }: SignedInPerson, id: string) =>
  app.request('GET', `/api/teams/${id}/last-invoice`, { token })

test('200: the newest payment, with the link to its receipt', async () => {
  const person = await newBuyer(app, { bundle: 'DEVELOPER' })
  app.advance(60_000)
  expect((await buy(app, person)).status).toBe(201)
  const answer = await get(person, person.accountId)
  expectContract(api.lastInvoice, answer)
  const [newest] = await shown(app, person, '/v1/invoice/list')
  const { payment } = await shown(app, person, `/v1/invoice/${newest.id}`)
  expect(answer.body).toMatchObject({
    ...{ _id: newest.id, invoiceId: newest.id, user: person.accountId, status: 'paid' },
    ...{ amount: 999, currency: 'USD', invoicePdf: payment.receiptUrl },
  })
})

test('404 before the first payment, and for every id but that of the account', async () => {
  const [person, other] = [await app.signUp(), await newBuyer(app)]
  for (const id of [person.accountId, other.accountId, 'f'.repeat(24)])
    expectError(api.lastInvoice, await get(person, id), 'not_found')
})
