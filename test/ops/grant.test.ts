import { expect, test } from 'vitest'
import { AUDIT_PREFIX, keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, shown, unitsLeft } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'

const app = await startApp()
const { table } = await app.ports()

test('200 gives the units once, however often it is sent with its key, and tells owner, audit log and other systems', async () => {
  const person = await newBuyer(app)
  const first = await operate(app, person, 'grant', { units: 500 }, 'order-1')
  expect([first.status, first.body]).toEqual([
    200,
    {
      entry: { seq: 4, kind: 'grant', units: 500, amountCents: 0 },
      left: 1600,
      owedUnits: 0,
      balanceCents: 0,
      currency: 'USD',
    },
  ])
  const again = await operate(app, person, 'grant', { units: 500 }, 'order-1')
  expect([again.status, again.body]).toEqual([200, { ...first.body, replayed: true }])
  expect(again.headers.get('idempotent-replayed')).toBe('true')
  expect(await unitsLeft(app, person)).toBe(1600)
  const [notice] = await shown(app, person, '/api/users/current/notifications')
  expect(notice.message).toBe('We gave you 500 units.')
  const partition = keys.account(person.accountId)
  const audited = (await table.list(partition, AUDIT_PREFIX)).filter(({ by }) => by === 'operator')
  expect(audited).toHaveLength(1)
  expect(audited[0]).toMatchObject({
    action: 'operator.granted',
    name: 'local-support',
    reason: 'a ticket',
    before: { left: 1100 },
    after: { left: 1600 },
  })
  const events = (await table.list(partition, OUT_EVENT_PREFIX)).filter(
    ({ type }) => type === 'units.granted',
  )
  expect(events.map(({ data }) => data)).toEqual([{ seq: 4, units: 500, owedUnits: 0 }])
})

test('422 for another order with the same key, and nothing is taken', async () => {
  const person = await newBuyer(app)
  await operate(app, person, 'grant', { units: 500 }, 'order-1')
  expect((await operate(app, person, 'take', { units: 500 }, 'order-1')).status).toBe(422)
  expect(await unitsLeft(app, person)).toBe(1600)
})

test('404 for an account that is not there', async () => {
  expect((await operate(app, { accountId: '0'.repeat(24) }, 'grant', { units: 1 })).status).toBe(404)
})
