import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer, shown } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'

const app = await startApp()

test('200 puts money on the balance, which the owner sees in the account and in the statement', async () => {
  const person = await newBuyer(app)
  const { status, body } = await operate(app, person, 'credit', { amountCents: 1250 })
  expect([status, body.balanceCents, body.left]).toEqual([200, 1250, 1100])
  expect(await shown(app, person, '/api/users/current')).toMatchObject({ balance: 12.5 })
  expect((await shown(app, person, '/v1/ledger')).at(-1)).toMatchObject({
    kind: 'credit',
    amount: 12.5,
    units: 0,
    currency: 'USD',
  })
})
