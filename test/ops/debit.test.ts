import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'

const app = await startApp()

test('200 undoes a credit; 409 with the credit left for more, so that no debit makes a debt', async () => {
  const person = await newBuyer(app)
  await operate(app, person, 'credit', { amountCents: 500 })
  const more = await operate(app, person, 'debit', { amountCents: 501 })
  expect([more.status, more.body.creditCents]).toEqual([409, 500])
  const { status, body } = await operate(app, person, 'debit', { amountCents: 500 })
  expect([status, body.balanceCents]).toEqual([200, 0])
  expect((await operate(app, person, 'debit', { amountCents: 1 })).status).toBe(409)
})
