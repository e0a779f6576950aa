import { beforeEach, expect, test } from 'vitest'
import { ops } from '../../functions/ops/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { signUpFor } from '../support/buyers.ts'
import { cardOnFile, newCard } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const block = (json: object) =>
  app.request('POST', '/ops/admin/blocked-cards', {
    operator: 'admin',
    json: { reason: 'stolen numbers', ...json },
  })
const entries = async () => (await app.ports()).table.list('OPERATOR#local-admin', 'AUDIT#')

test('200: a card of an account is blocked for every account; a repeat is answered alike and recorded once', async () => {
  const person = await app.signUp()
  const named = { card: `${person.accountId}/${await cardOnFile(app, person, 'pm_card_visa')}` }
  const first = await block(named)
  expect([first.status, first.body]).toMatchObject([200, { byOperator: true, reports: [], owing: [] }])
  app.advance(60_000)
  expect((await block(named)).body).toEqual(first.body)
  expect(await entries()).toMatchObject([{ action: 'operator.card_blocked', reason: 'stolen numbers' }])
  const other = await app.signUp()
  expect((await signUpFor(app, other, 'STARTER', await newCard(app, '4242424242424242'))).status).toBe(402)
})

test('400 for what names no card', async () => {
  for (const card of ['', 'a b', 'a/b/c', '/pm_1'])
    expectError(ops.blockCard, await block({ card }), 'invalid_request')
})

test('404 for a card that the account does not have', async () => {
  const { accountId } = await app.signUp()
  expectError(ops.blockCard, await block({ card: `${accountId}/pm_neverwas` }), 'not_found')
  expect(await entries()).toEqual([])
})
