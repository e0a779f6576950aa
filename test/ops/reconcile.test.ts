import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'

const app = await startApp()

const reconcile = () =>
  app.request('POST', '/ops/admin/reconcile', { operator: 'admin', json: { reason: 'a ticket' } })

test('200 compares the payments since the last comparison, each once', async () => {
  await reconcile()
  await newBuyer(app)
  app.advance(11 * 60_000)
  const first = await reconcile()
  expect([first.status, first.body]).toMatchObject([200, { failed: 0, found: [], isDone: true }])
  expect(first.body.payments).toBeGreaterThan(0)
  expect((await reconcile()).body).toMatchObject({ payments: 0, isDone: true })
})
