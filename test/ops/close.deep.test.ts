import { expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { DAY_MS } from '../../core/time.ts'
import { ops } from '../../functions/ops/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'
import { newsTo, operate, recordedOf } from '../support/operated.ts'
import { consume, newConsumer } from '../support/quota.ts'

const app = await startApp()
const ports = await app.ports()
const close = (accountId: string, json: object = {}) => operate(app, accountId, 'close', json)

test('200: nobody can use it, and after 30 days it is erased; told, announced and recorded once', async () => {
  const person = await newConsumer(app)
  const eraseAt = new Date(Date.now() + 1 + 30 * DAY_MS).toISOString()
  const answers = [await close(person.accountId), await close(person.accountId)]
  expect(answers.map(({ status, body }) => [status, body])).toEqual([
    [200, { status: 'closed', eraseAt }],
    [200, { status: 'closed', eraseAt }],
  ])
  expect((await consume(app, person.key, { units: 1 })).status).toBe(403)
  expect(await newsTo(app, person)).toEqual(['Your account was closed'])
  const { audit, events } = await recordedOf(app, person)
  expect(audit).toMatchObject([{ action: 'operator.closed', before: { status: 'active' } }])
  expect(events).toEqual([['account.closing', { eraseAtMs: Date.parse(eraseAt) }]])
  app.advance(30 * DAY_MS)
  await app.job('sweep')
  expect((await readAccount(ports, person.accountId))?.status).toBe('erased')
})

test('the owner undoes it by signing in', async () => {
  const person = await app.signUp()
  await close(person.accountId)
  expect((await app.login(person)).accountId).toBe(person.accountId)
  const account = await readAccount(ports, person.accountId)
  expect([account?.status, account?.eraseAtMs]).toEqual(['active', undefined])
})

test('409: units that were paid for are left, a debt, a suspension', async () => {
  const buyer = await newBuyer(app)
  expectError(ops.close, await close(buyer.accountId), 'units_left')
  expect((await close(buyer.accountId, { units: 'forfeit' })).status).toBe(200)
  const debtor = await app.signUp()
  await ports.table.update(keys.profile(debtor.accountId), expr`SET #balanceCents = ${-1}`)
  expectError(ops.close, await close(debtor.accountId), 'balance_owed')
  const suspended = await app.signUp()
  await operate(app, suspended.accountId, 'suspend')
  expectError(ops.close, await close(suspended.accountId), 'conflict')
})
