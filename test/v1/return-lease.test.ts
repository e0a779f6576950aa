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

test('use is counted by tag, and what is not paid for is not counted', async () => {
  const person = await newConsumer(app, 20)
  const { id } = (await lease(app, person.key, { units: 10 })).body
  const chat = { tag: 'chat', units: 4 }
  await report(app, person.key, id, 'return', { use: [chat, { units: 3 }, { tag: 'draw', units: 50 }] })
  const { body } = await app.request('GET', '/v1/usage', { token: person.accessToken })
  expect(body.days[0].keys[0].tags).toEqual(
    expect.arrayContaining([chat, { tag: 'draw', units: 13 }, { tag: null, units: 3 }]),
  )
})

test('units of an expired lease that count as used already have no tag', async () => {
  const person = await newConsumer(app, 20)
  const { id } = (await lease(app, person.key, { units: 10, unreported: 'charge', ttlSeconds: 60 })).body
  app.advance(61_000)
  await app.job('expire-reservations')
  await report(app, person.key, id, 'return', { use: [{ tag: 'chat', units: 12 }] })
  const { body } = await app.request('GET', '/v1/usage', { token: person.accessToken })
  expect(body.days[0].keys[0]).toMatchObject({
    units: 12,
    tags: [
      { tag: 'chat', units: 2 },
      { tag: null, units: 10 },
    ],
  })
})
