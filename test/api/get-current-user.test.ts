import { expect, test } from 'vitest'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'

const app = await startApp()

const get = (token: string) => app.request('GET', '/api/users/current', { token })

async function store(accountId: string, values: Record<'status', string> | Record<'balanceCents', number>) {
  const { table } = await app.ports()
  const key = keys.profile(accountId)
  if ('status' in values) await table.update(key, expr`SET #status = ${values.status}`)
  else await table.update(key, expr`SET #balanceCents = ${values.balanceCents}`)
}

test('200: the caller’s account in EMCP’s format', async () => {
  const { accountId, username, email, accessToken } = await app.signUp()
  const { status, body } = await get(accessToken)
  expect(status).toBe(200)
  expect(body).toEqual({
    _id: accountId,
    email,
    name: username,
    createdAt: '2026-11-21T12:00:00.000Z',
    balance: 0,
    status: 0,
    emailVerified: true,
  })
  expect(accountId).toMatch(/^[0-9a-f]{24}$/)
})

test('200: the full name is shown whole', async () => {
  const { accountId, accessToken } = await app.signUp()
  const { table } = await app.ports()
  await table.update(keys.profile(accountId), expr`SET #name = ${'John von Doe'}`)
  expect((await get(accessToken)).body.name).toBe('John von Doe')
})

test.each([
  [-150, -1.5],
  [1999, 19.99],
])('200: %i cents are a balance of %d dollars', async (balanceCents, dollars) => {
  const { accountId, accessToken } = await app.signUp()
  await store(accountId, { balanceCents })
  expect((await get(accessToken)).body.balance).toBe(dollars)
})

test('401: the token of an ended session', async () => {
  const { accessToken } = await app.signUp()
  await app.request('POST', '/v1/auth/logout', { token: accessToken })
  const { status, body } = await get(accessToken)
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:session_ended'])
})

test('401: a token that expired while the gateway had its verdict cached', async () => {
  const { accessToken } = await app.signUp()
  app.advance(14 * 60_000)
  expect((await get(accessToken)).status).toBe(200)
  app.advance(60_000)
  const { status, body } = await get(accessToken)
  expect([status, body.type]).toEqual([401, 'urn:bursar:problem:token_expired'])
})

test.each(['deactivated', 'suspended'])(
  '403: an account that is %s, from the next request on',
  async (state) => {
    const { accountId, accessToken } = await app.signUp()
    await get(accessToken)
    await store(accountId, { status: state })
    const { status, body } = await get(accessToken)
    expect([status, body.type]).toEqual([403, `urn:bursar:problem:account_${state}`])
  },
)

test('503: no answer is guessed while the database is down', async () => {
  const { accessToken } = await app.signUp()
  app.stack.dynamo.addFault({ fault: 'error-before' })
  const { status, body } = await get(accessToken)
  app.stack.dynamo.clearFaults()
  expect([status, body.type]).toEqual([503, 'urn:bursar:problem:temporarily_unavailable'])
})
