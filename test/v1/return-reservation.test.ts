import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newConsumer } from '../support/quota.ts'
import { giveBack, reserve, settle, unitsOf } from '../support/reservations.ts'

const app = await startApp()

test('200: all units return, once; to settle 0 units repeats it', async () => {
  const { key } = await newConsumer(app, 100)
  const { id } = (await reserve(app, key, { units: 30 })).body
  expect((await giveBack(app, key, id)).body).toMatchObject({ id, units: 0, covered: 0, left: 100, used: 0 })
  expect((await giveBack(app, key, id)).body).toMatchObject({ left: 100, replayed: true })
  expect((await settle(app, key, id, { units: 0 })).body.replayed).toBe(true)
  expect(await unitsOf(app, key)).toEqual([100, 0, 0])
})

test('409: a reservation that was settled is not given back', async () => {
  const { key } = await newConsumer(app, 100)
  const { id } = (await reserve(app, key, { units: 30 })).body
  await settle(app, key, id, { units: 30 })
  expectError(v1.returnReservation, await giveBack(app, key, id), 'reservation_ended')
  expectError(v1.returnReservation, await giveBack(app, key, 'x'), 'not_found')
  expect(await unitsOf(app, key)).toEqual([70, 30, 0])
})
