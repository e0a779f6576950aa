import { expect, test } from 'vitest'
import { startApp } from '../support/app.ts'
import { newBuyer, unitsLeft } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'

const app = await startApp()

test('409 with the units left for more than are left, and nothing is taken; 200 with `owe` takes them from the next credit, and lists the account until then', async () => {
  const person = await newBuyer(app)
  const refused = await operate(app, person, 'take', { units: 1500 })
  expect([refused.status, refused.body.left]).toEqual([409, 1100])
  expect(await unitsLeft(app, person)).toBe(1100)
  const taken = await operate(app, person, 'take', { units: 1500, owe: true })
  expect(taken.body).toMatchObject({
    entry: { kind: 'take', units: -1100, amountCents: 0 },
    left: 0,
    owedUnits: 400,
    balanceCents: 0,
  })
  const owing = async () =>
    (await app.request('GET', '/ops/read/accounts?owed=true', { operator: 'read' })).body.accounts.map(
      ({ id }: { id: string }) => id,
    )
  expect(await owing()).toEqual([person.accountId])
  const granted = await operate(app, person, 'grant', { units: 1000 })
  expect(granted.body).toMatchObject({ left: 600, owedUnits: 0 })
  expect(await unitsLeft(app, person)).toBe(600)
  expect(await owing()).toEqual([])
})
