import { beforeEach, expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer, paymentsOf, refund } from '../support/buyers.ts'
import { stripeOf } from '../support/stripe.ts'

const app = await startApp()
beforeEach(app.startAfresh)

const DAY_MS = 86_400_000
const totals = (search = '') => app.request('GET', `/ops/read/totals${search}`, { operator: 'read' })
const lastDay = async () => (await totals()).body.days.at(-1)

test('200: registrations, first payments, units and revenue of a day are counted once, however often the job runs', async () => {
  const person = await newBuyer(app)
  await app.request('POST', '/v1/user/buy', { token: person.accessToken })
  for (let runs = 0; runs < 3; runs++)
    await Promise.all([app.job('publish-events'), app.job('publish-events')])
  expect(await lastDay()).toMatchObject({
    ...{ day: '2026-11-21', accounts: 1, confirmed: 1, paying: 1, purchases: 2, refunds: 0 },
    ...{ unitsGiven: 100, unitsSold: 2000, revenueCents: { USD: 198 }, refundedCents: {} },
  })
})

test('200: a refund goes back on its own day, and revenue stays', async () => {
  const person = await newBuyer(app)
  app.advance(DAY_MS)
  const [payment] = await paymentsOf(app, person)
  if (payment) await refund(app, payment)
  await stripeOf(app).double.flushWebhooks()
  await app.job('publish-events')
  const days = (await totals()).body.days.slice(-2)
  expect(days).toMatchObject([
    { purchases: 1, refunds: 0, revenueCents: { USD: 99 } },
    { purchases: 0, refunds: 1, refundedCents: { USD: 99 }, unitsTaken: 1000 },
  ])
})

test('200: 30 days without a span; 400 for one of more than 400 days or one that ends before it begins', async () => {
  expect((await totals()).body.days).toHaveLength(30)
  expect((await totals('?from=2025-01-01&to=2026-11-21')).status).toBe(400)
  expect((await totals('?from=2026-11-21&to=2026-11-20')).status).toBe(400)
})
