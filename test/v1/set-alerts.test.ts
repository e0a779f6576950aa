import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectContract, expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { buy, newBuyer, shown, spendTo } from '../support/buyers.ts'
import type { SignedInPerson } from '../support/people.ts'
import { consume, counterOf, newConsumer, sizeOf } from '../support/quota.ts'

const app = await startApp()

const put = ({ accessToken: token }: SignedInPerson, json: unknown) =>
  app.request('PUT', '/v1/user/alerts', { token, json })
const choose = (person: SignedInPerson, ...below: unknown[]) =>
  put(person, { alerts: below.map((each) => ({ below: each })) })
const alertsOf = async (person: SignedInPerson) => (await shown(app, person)).alerts

const MANY = [1, 1_000_000_000, '0.01%', '12.5%', '99.99%']

test('204: five alerts are shown in their order, before the first bundle too', async () => {
  const person = await newConsumer(app, 100)
  expect(await alertsOf(person)).toEqual([])
  const answer = await choose(person, ...MANY)
  expect([answer.status, answer.text]).toEqual([204, ''])
  expectContract(v1.setAlerts, answer)
  // A share is of the bundle held, of which there is none yet: no balance is below it.
  expect(await alertsOf(person)).toEqual(MANY.map((below) => ({ below, armed: below !== 1_000_000_000 })))
  expect(sizeOf((await counterOf(app, person)).i)).toBeLessThanOrEqual(40)
})

test('204: an empty list removes the alerts of this account and of no other', async () => {
  const [person, other] = [await newConsumer(app), await newConsumer(app)]
  await choose(person, 50)
  await choose(other, 60)
  expect((await choose(person)).status).toBe(204)
  expect([await alertsOf(person), await alertsOf(other)]).toEqual([[], [{ below: 60, armed: true }]])
})

test.each(
  [
    ...[0, -1, 1.5, 1_000_000_001, 1e300, '0%', '0.001%', '100%', '150%', '-1%', '20', '1 %', '%', ''],
    ...[true, null, undefined, [5], {}],
  ].map((below) => [{ alerts: [{ below: 70 }, { below }] }] as const),
)('400: %j, and the alerts stay', async (json) => {
  const person = await newConsumer(app)
  await choose(person, 50)
  expectError(v1.setAlerts, await put(person, json), 'invalid_request')
  expect(await alertsOf(person)).toEqual([{ below: 50, armed: true }])
})

test.each([
  {},
  { alerts: null },
  { alerts: { below: 5 } },
  { alerts: [5] },
  { alerts: [{ below: 5, armed: true }] },
  { alerts: [1, 2, 3, 4, 5, 6].map((below) => ({ below })) },
  { alerts: [{ below: 20 }, { below: 20 }] },
  { alerts: [{ below: '20%' }, { below: '20.00%' }] },
  { alerts: [], below: 5 },
])('400: %j', async (json) => {
  expectError(v1.setAlerts, await put(await newConsumer(app), json), 'invalid_request')
})

test('an alert above what is left waits for a credit that lifts the balance above it', async () => {
  const person = await newBuyer(app)
  await spendTo(app, person, 300)
  await choose(person, 500, 200)
  expect(await alertsOf(person)).toEqual([
    { below: 500, armed: false },
    { below: 200, armed: true },
  ])
  await buy(app, person)
  expect(await alertsOf(person)).toEqual([
    { below: 500, armed: true },
    { below: 200, armed: true },
  ])
})

test('the same alerts again, and one that stays among others, keep their state', async () => {
  const person = await newBuyer(app)
  await choose(person, 500)
  await spendTo(app, person, 499)
  const { i, ...before } = await counterOf(app, person)
  await choose(person, 500)
  expect(await counterOf(app, person)).toEqual({ i, ...before })
  await choose(person, 400, 500)
  expect(await alertsOf(person)).toEqual([
    { below: 400, armed: true },
    { below: 500, armed: false },
  ])
})

test('changes at once, and beside spends, are each whole, and no unit is lost', async () => {
  const person = await newBuyer(app)
  await Promise.all(
    [900, 700, 500, 300].flatMap((below) => [
      choose(person, below, below - 50),
      consume(app, person.key, { units: 150 }),
    ]),
  )
  const { alerts, usage } = await shown(app, person)
  expect(usage).toMatchObject({ left: 500, used: 600 })
  expect(alerts).toHaveLength(2)
  expect(alerts[0].below - alerts[1].below).toBe(50)
})
