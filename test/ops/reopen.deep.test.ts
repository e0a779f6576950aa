import { expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { ops } from '../../functions/ops/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newsTo, operate, recordedOf } from '../support/operated.ts'
import { consume, newConsumer } from '../support/quota.ts'

const app = await startApp()
const ports = await app.ports()
const reopen = (accountId: string) => operate(app, accountId, 'reopen')

test('204: a closed account is active again, with its units; told, announced and recorded once', async () => {
  const person = await newConsumer(app, 50)
  await operate(app, person.accountId, 'close')
  expect([(await reopen(person.accountId)).status, (await reopen(person.accountId)).status]).toEqual([
    204, 204,
  ])
  expect((await consume(app, person.key, { units: 1 })).body.left).toBe(49)
  const account = await readAccount(ports, person.accountId)
  expect([account?.status, account?.eraseAtMs]).toEqual(['active', undefined])
  expect(await newsTo(app, person)).toEqual(['Your account was closed', 'Your account is open again'])
  const { audit, events } = await recordedOf(app, person)
  expect(audit.map(({ action }) => action)).toEqual(['operator.closed', 'operator.reopened'])
  expect(events.map(([type]) => type)).toEqual(['account.closing', 'account.restored'])
})

test('204: an account that its owner has deactivated', async () => {
  const person = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token: person.accessToken })
  expect((await reopen(person.accountId)).status).toBe(204)
  expect((await readAccount(ports, person.accountId))?.status).toBe('active')
})

test('409: a suspended account stays suspended', async () => {
  const { accountId } = await app.signUp()
  await operate(app, accountId, 'suspend')
  expectError(ops.reopen, await reopen(accountId), 'conflict')
  expect((await readAccount(ports, accountId))?.status).toBe('suspended')
})
