import { describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { ops } from '../../functions/ops/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { ALWAYS_3DS, buy, newBuyer } from '../support/buyers.ts'
import { newsTo, noticeTypes, operate, recordedOf } from '../support/operated.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, consumeBatch, newConsumer } from '../support/quota.ts'
import { lease, reserve, settle } from '../support/reservations.ts'
import { atStripe } from '../support/stripe.ts'

const app = await startApp()
const ports = await app.ports()

const suspend = (accountId: string, json: object = {}) => operate(app, accountId, 'suspend', json)
const problemOf = ({ status, body }: { status: number; body: { type?: string } }) => [
  status,
  body.type?.replace('urn:bursar:problem:', ''),
]
const openPayments = async (person: SignedInPerson): Promise<number> =>
  (await atStripe(app, person)).intents.filter(({ status }) => !['succeeded', 'canceled'].includes(status))
    .length
const REFUSED = [403, 'account_suspended']

test('200: from the very next request on, whatever the account has is refused as account_suspended', async () => {
  const person = await newConsumer(app)
  const { accessToken: token, refreshToken, accountId, email, password, key } = person
  const held = await reserve(app, key, { units: 2, ttlSeconds: 600 })
  const { status, body } = await suspend(accountId)
  expect([status, body]).toEqual([200, { id: accountId, status: 'suspended', eraseAt: null }])
  const answers = [
    await consume(app, key, { units: 1 }),
    await consume(app, key, { units: 1, requestId: 'a' }),
    await consume(app, key, { units: 0 }),
    await consumeBatch(app, key, [{ units: 1, requestId: 'b' }]),
    await reserve(app, key, { units: 1, ttlSeconds: 600 }),
    await lease(app, key, { units: 1, ttlSeconds: 600 }),
    await settle(app, key, held.body.id, { units: 1 }),
    await app.request('GET', '/v1/usage/balance', { token: key }),
    await app.request('GET', '/v1/user', { token }),
    await app.request('POST', '/v1/auth/refresh', { json: { refreshToken } }),
    await app.request('POST', '/v1/auth/login', { json: { email, password } }),
    await app.request('POST', '/api/users/restore', { json: { email, password } }),
    await app.request('PUT', '/api/users/current/deactivate', { token }),
    await app.request('DELETE', '/v1/user', { token, json: { units: 'forfeit' } }),
  ]
  expect(answers.map(problemOf)).toEqual(answers.map(() => REFUSED))
  expect((await readAccount(ports, accountId))?.sessions).toEqual({})
  expect(await ports.table.get(keys.quota(accountId))).toMatchObject({ x: 'suspended', u: 0, y: 2 })
})

test('200: the owner is told by mail and notice, others by an event, and the audit log says who and why; once', async () => {
  const person = await app.signUp()
  const answers = [await suspend(person.accountId), await suspend(person.accountId, { reason: 'Again' })]
  expect(answers.map(({ status }) => status)).toEqual([200, 200])
  expect(answers[1]?.body).toEqual(answers[0]?.body)
  expect(await newsTo(app, person)).toEqual(['Your account is suspended'])
  expect(await noticeTypes(app, person)).toEqual(['suspended'])
  expect(await recordedOf(app, person)).toEqual({
    audit: [
      {
        action: 'operator.suspended',
        by: 'operator',
        name: 'local-support',
        reason: 'Ticket 4711',
        before: { status: 'active' },
        after: { status: 'suspended', silent: false },
      },
    ],
    events: [['account.suspended', { from: 'active' }]],
  })
})

test('200: silent tells the owner nothing, neither now nor when the suspension ends', async () => {
  const person = await app.signUp()
  expect((await suspend(person.accountId, { silent: true })).status).toBe(200)
  expect((await operate(app, person.accountId, 'resume')).status).toBe(200)
  expect([await newsTo(app, person), await noticeTypes(app, person)]).toEqual([[], []])
  expect((await recordedOf(app, person)).audit).toHaveLength(2)
})

test('200: of a deactivated account, which its owner cannot restore then', async () => {
  const { accountId, email, password, accessToken: token } = await app.signUp()
  await app.request('PUT', '/api/users/current/deactivate', { token })
  expect((await suspend(accountId)).body.status).toBe('suspended')
  const restored = await app.request('POST', '/api/users/restore', { json: { email, password } })
  expect(problemOf(restored)).toEqual(REFUSED)
  expect((await readAccount(ports, accountId))?.status).toBe('suspended')
})

test('200: a payment that waits for its customer is canceled', async () => {
  const person = await newBuyer(app, { card: ALWAYS_3DS })
  expect((await buy(app, person)).status).toBe(402)
  expect(await openPayments(person)).toBe(1)
  await suspend(person.accountId)
  expect(await openPayments(person)).toBe(0)
  expect((await readAccount(ports, person.accountId))?.openPurchase).toBeUndefined()
})

test('200: a sign-in that has begun before does not finish, and its session opens nothing', async () => {
  const person = await app.signUp()
  const { email, password } = person
  const signIn = app.request('POST', '/v1/auth/login', { json: { email, password } })
  const [{ status }] = await Promise.all([suspend(person.accountId), signIn])
  expect(status).toBe(200)
  expect((await readAccount(ports, person.accountId))?.sessions).toEqual({})
})

describe('refused', () => {
  test('404: an id of no account, and of a registration that has not finished', async () => {
    expectError(ops.suspend, await suspend('0'.repeat(24)), 'not_found')
    const { accountId } = await app.signUp()
    await ports.table.update(keys.profile(accountId), expr`SET #status = ${'pending'}`)
    expectError(ops.suspend, await suspend(accountId), 'not_found')
  })

  test('400: a reason that says nothing', async () => {
    const { accountId } = await app.signUp()
    for (const reason of [undefined, '', '  a ', 'x'.repeat(501)])
      expectError(ops.suspend, await suspend(accountId, { reason }), 'invalid_request')
    expect((await readAccount(ports, accountId))?.status).toBe('active')
  })

  test('403: an operator who may only read, and no customer by token or key', async () => {
    const person = await newConsumer(app)
    const path = `/ops/support/accounts/${person.accountId}/suspend`
    const json = { reason: 'Ticket 4711' }
    const answers = [
      await app.request('POST', path, { operator: 'read', json }),
      await app.request('POST', path, { token: person.accessToken, json }),
      await app.request('POST', path, { token: person.key, json }),
      await app.request('POST', path, { json }),
    ]
    expect(answers.every(({ status }) => status === 403 || status === 401)).toBe(true)
    expect((await readAccount(ports, person.accountId))?.status).toBe('active')
  })
})
