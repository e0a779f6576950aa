import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer, paymentsOf } from '../support/buyers.ts'

const app = await startApp()
const post = (path: string, json: object) =>
  app.request('POST', `/ops/admin/coupons${path}`, { operator: 'admin', json: { reason: 'a test', ...json } })

test('200: the coupon is redeemed no more, and a repeat is answered as before', async () => {
  await post('', { code: 'STOPPED', percent: 10 })
  const { status, body } = await post('/stopped/stop', {})
  expect([status, body.coupon]).toMatchObject([200, { code: 'STOPPED', stoppedAt: expect.any(String) }])
  expect((await post('/STOPPED/stop', {})).body).toEqual(body)
  const person = await newBuyer(app)
  const answer = await app.request('POST', '/v1/user/buy', {
    token: person.accessToken,
    json: { coupon: 'STOPPED' },
  })
  expect([answer.status, answer.body.type]).toEqual([409, 'urn:bursar:problem:coupon_stopped'])
  expect(await paymentsOf(app, person)).toHaveLength(1)
})

test('404 for a code that no coupon has', async () => {
  expect((await post('/NOBODY/stop', {})).status).toBe(404)
  expect((await post('/x/stop', {})).status).toBe(404)
})
