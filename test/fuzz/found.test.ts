import { expect, test } from 'vitest'
import { startApp, type TestRequest } from '../support/app.ts'
import { addedEndpoint } from '../support/event-endpoints.ts'
import { newConsumer } from '../support/quota.ts'

/** Requests that were once answered wrongly. Each says what the answer was, and what it has to be. */

const app = await startApp()
const person = await newConsumer(app)
const { accessToken: token, key } = person

const OPERATOR: TestRequest = { operator: 'read' }

test.each<[request: string, was: string, options: TestRequest, status: number]>([
  ['GET /v1/usage?from=2243-10-01&to=2243-11-30', '500: days of more than five digits', { token }, 400],
  ['GET /v1/usage?to=9999-12-31&from=9999-01-01', '200, of days out of order', { token }, 400],
  ['GET /ops/read/operators/reader/audit?day=0001-01-01', '500: times before 1970', OPERATOR, 400],
  ['GET /ops/read/operators/reader/audit?day=2026-02-31', '200, of another day', OPERATOR, 400],
  ['GET /ops/read/accounts?to=9999-12-31', '200 without any account', OPERATOR, 400],
  ['GET /ops/read/totals?from=0001-01-01&to=0001-06-01', '500: days before 1970', OPERATOR, 400],
  ['GET /ops/read/totals?from=2099-12-31', '500: a span that ends before it begins', OPERATOR, 400],
  ['GET /ops/read/totals?from=2001-01-01', '200, of as many days as there are', OPERATOR, 400],
  ['POST /v1/usage', '400 to a wrong key', { token: `${key.slice(0, -1)}x`, json: { units: -1 } }, 401],
])('%s, which was answered %s', async (request, _, options, status) => {
  const [method = '', target = ''] = request.split(' ')
  expect((await app.request(method, target, options)).status).toBe(status)
})

test('a replay of a span that ends before it begins, which was answered 500', async () => {
  const { id } = await addedEndpoint(app)
  for (const span of [
    { since: '2026-01-01T00:00:00Z', until: '1970-01-01T00:00:00Z' },
    { since: '9999-12-31T23:59:59.999Z' },
  ]) {
    const json = { ...span, reason: 'it was down' }
    const { status, body } = await app.request('POST', `/ops/support/endpoints/${id}/replay`, {
      operator: 'support',
      json,
    })
    expect([status, body.errors?.[0].field]).toEqual([400, 'until'])
  }
})
