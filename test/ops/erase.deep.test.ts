import { expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { HOUR_MS } from '../../core/time.ts'
import { ops } from '../../functions/ops/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { ALWAYS_3DS, buy, newBuyer } from '../support/buyers.ts'
import { tracesLeft } from '../support/erasure.ts'
import { newsTo, operate } from '../support/operated.ts'
import { newPerson } from '../support/people.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
const ports = await app.ports()
const { double } = stripeOf(app)
const erase = (accountId: string, confirm: string, operator?: 'support') =>
  operator
    ? app.request('POST', `/ops/admin/accounts/${accountId}/erase`, {
        operator,
        json: { reason: 'Ticket 4711', confirm },
      })
    : operate(app, accountId, 'erase', { confirm }, 'admin')

test.each(['id', 'address'])(
  '200: erased at once if the %s is typed again, with units and a payment that waits',
  async (by) => {
    const person = await newBuyer(app, { card: ALWAYS_3DS })
    expect((await buy(app, person)).status).toBe(402)
    const { accountId, email, username } = person
    const { status, body } = await erase(accountId, by === 'id' ? accountId : email.toUpperCase())
    expect([status, body]).toEqual([200, { status: 'erased' }])
    expect(await newsTo(app, person)).toContain('Your account is deleted')
    expect(await readAccount(ports, accountId)).toMatchObject({ status: 'erased', email: '', username: '' })
    expect(app.stack.cognito.users()).not.toContain(accountId)
    await double.flushWebhooks()
    app.advance(HOUR_MS)
    await app.job('sweep')
    expect(await tracesLeft(app, { username: username.toLowerCase(), address: email.toLowerCase() })).toEqual(
      [],
    )
    expect((await erase(accountId, accountId)).body).toEqual({ status: 'erased' })
    const again = await app.signUp({ email, username })
    expect(again.accountId).not.toBe(accountId)
  },
)

test('200 erasing while the provider does not answer: nobody gets back in, and the sweep goes on with it', async () => {
  const person = await newBuyer(app)
  double.addFault({ fault: '500', match: 'DELETE /v1/customers' })
  expect((await erase(person.accountId, person.accountId)).body).toEqual({ status: 'erasing' })
  const { email, password } = person
  const login = () => app.request('POST', '/v1/auth/login', { json: { email, password } })
  expect((await login()).status).toBe(401)
  expect((await operate(app, person.accountId, 'reopen')).status).toBe(404)
  double.clearFaults()
  app.advance(HOUR_MS)
  await app.job('sweep')
  expect((await readAccount(ports, person.accountId))?.status).toBe('erased')
})

test('200: a suspended account, of which nothing comes back either', async () => {
  const { accountId } = await app.signUp()
  await operate(app, accountId, 'suspend')
  expect((await erase(accountId, accountId)).body).toEqual({ status: 'erased' })
})

test('400: anything else typed; 403 for a role below admin; 404 for no account; and nothing is erased', async () => {
  const [{ accountId }, other] = [await app.signUp(), newPerson()]
  for (const typed of ['yes', other.email, '0'.repeat(24)])
    expectError(ops.erase, await erase(accountId, typed), 'invalid_request')
  expect((await erase(accountId, accountId, 'support')).status).toBe(403)
  expectError(ops.erase, await erase('0'.repeat(24), '0'.repeat(24)), 'not_found')
  expect((await readAccount(ports, accountId))?.status).toBe('active')
})
