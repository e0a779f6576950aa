import { expect, test } from 'vitest'
import { v1 } from '../../functions/v1/routes.ts'
import { expectError } from '../conformance/contract.ts'
import { startApp } from '../support/app.ts'
import { newConsumer, uuidv7 } from '../support/quota.ts'
import { lease, report, unitsOf } from '../support/reservations.ts'

const app = await startApp()

test('200: what was used is kept, the rest returns, and a repeat changes nothing', async () => {
  const { key } = await newConsumer(app, 100)
  const { id } = (await lease(app, key, { units: 30 })).body
  const request = { use: [{ units: 3, tag: 'chat' }, { units: 4 }], requestId: uuidv7() }
  for (const replayed of [undefined, true]) {
    const { status, body } = await report(app, key, id, 'return', request)
    expect([status, body.id, body.units, body.covered, body.replayed]).toEqual([200, id, 0, 7, replayed])
  }
  const other = { ...request, use: [{ units: 8 }] }
  expectError(v1.returnLease, await report(app, key, id, 'return', other), 'lease_ended')
  expect(await unitsOf(app, key)).toEqual([93, 7, 0])
})

test('200: a return whose own write lost its reply is not told to be a repeat', async () => {
  const { key } = await newConsumer(app, 100)
  const { id } = (await lease(app, key, { units: 30 })).body
  app.stack.dynamo.addFault({ fault: 'lose-reply-after-commit', match: 'UpdateItem', times: 1 })
  const { body } = await report(app, key, id, 'return', { use: [{ units: 5 }] })
  expect([body.covered, body.left, body.replayed]).toEqual([5, 95, undefined])
})
