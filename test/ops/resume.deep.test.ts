import { expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, paymentsOf, spendTo } from '../support/buyers.ts'
import { newsTo, noticeTypes, operate, recordedOf } from '../support/operated.ts'
import { consume, newConsumer } from '../support/quota.ts'

const app = await startApp()
const ports = await app.ports()

const suspend = (accountId: string) => operate(app, accountId, 'suspend')
const resume = (accountId: string) => operate(app, accountId, 'resume')

test('200: keys spend again, the owner signs in again, and what was there is there; told and recorded once', async () => {
  const person = await newConsumer(app, 50)
  const before = await readAccount(ports, person.accountId)
  await suspend(person.accountId)
  const answers = [await resume(person.accountId), await resume(person.accountId)]
  expect(answers.map(({ status, body }) => [status, body.status])).toEqual([
    [200, 'active'],
    [200, 'active'],
  ])
  expect((await consume(app, person.key, { units: 1 })).body.left).toBe(49)
  expect((await app.request('GET', '/v1/user', { token: person.accessToken })).status).toBe(401)
  expect((await app.login(person)).accountId).toBe(person.accountId)
  const after = await readAccount(ports, person.accountId)
  const changing = { sessions: 0, generation: 0, updatedAtMs: 0, lastLoginAtMs: 0, quota: 0 }
  expect({ ...after, ...changing }).toEqual({ ...before, ...changing })
  expect(await newsTo(app, person)).toEqual([
    'Your account is suspended',
    'Your account is no longer suspended',
  ])
  expect(await noticeTypes(app, person)).toEqual(['suspended', 'resumed'])
  const { audit, events } = await recordedOf(app, person)
  expect(audit.map(({ action }) => action)).toEqual(['operator.suspended', 'operator.resumed'])
  expect(events).toEqual([
    ['account.suspended', { from: 'active' }],
    ['account.resumed', { status: 'active' }],
  ])
})

test('200: an account that was deactivated is deactivated again, and its owner restores it', async () => {
  const { accountId, email, password, accessToken: token } = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token })
  await suspend(accountId)
  expect((await resume(accountId)).body.status).toBe('deactivated')
  expect((await ports.table.get(keys.quota(accountId)))?.x).toBe('deactivated')
  expect((await app.request('POST', '/api/users/restore', { json: { email, password } })).status).toBe(200)
})

test('200: an account that its owner has deleted is erased when it was to be', async () => {
  const { accountId, accessToken: token } = await app.signUp()
  const deleted = await app.request('DELETE', '/v1/user', { token, json: { units: 'forfeit' } })
  await suspend(accountId)
  app.advance(31 * 86_400_000)
  await app.job('sweep')
  expect((await readAccount(ports, accountId))?.status).toBe('suspended')
  const { body } = await resume(accountId)
  expect(body).toEqual({ id: accountId, status: 'deactivated', eraseAt: deleted.body.eraseAt })
  app.advance(3_600_000)
  await app.job('sweep')
  expect((await readAccount(ports, accountId))?.status).toBe('erased')
})

test('200: a renewal that was due meanwhile is bought after the suspension, and not before', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 5)
  await suspend(person.accountId)
  await app.job('check-quotas')
  expect(await paymentsOf(app, person)).toHaveLength(1)
  await resume(person.accountId)
  await app.job('check-quotas')
  expect(await paymentsOf(app, person)).toHaveLength(2)
  expect((await consume(app, person.key, { units: 0 })).body.left).toBe(1005)
})
