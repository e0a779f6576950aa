import { beforeEach, expect, test } from 'vitest'
import { askAs, newAdminKey, newUser, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { signUpFor } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'read')
})

const read = (id: string) => askAs(app, key, 'GET', `/users/${id}/quota`)

test('200 tells left, used, reserved and owed units apart, and names the bundle', async () => {
  const person = await newUser(app)
  const spend = (path: string, units: number) =>
    app.request('POST', path, { token: person.key, json: { units } })
  await spend('/v1/usage', 30)
  await spend('/v1/usage/reservations', 20)
  const { status, body } = await read(person.accountId)
  expect([status, body]).toEqual([
    200,
    { left: 50, used: 30, reserved: 20, owed: 0, bundle: null, bundleUnits: 0 },
  ])
  await signUpFor(app, person, 'STARTER', 'pm_card_visa')
  expect((await read(person.accountId)).body).toMatchObject({
    ...{ left: 1050, bundle: 'STARTER', bundleUnits: 1000 },
  })
  await operate(app, person, 'take', { units: 1100, owe: true })
  expect((await read(person.accountId)).body).toMatchObject({ left: 0, owed: 50 })
})

test('404 for an unknown account', async () => {
  expect((await read('0'.repeat(24))).status).toBe(404)
})
