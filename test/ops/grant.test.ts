import { expect, test } from 'vitest'
import { AUDIT_PREFIX, keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import { startApp } from '../support/app.ts'
import { newBuyer, shown, unitsLeft } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'
import { newPerson } from '../support/people.ts'
import { accountIdOf } from '../support/state.ts'

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

test('409 before the address is confirmed, and the confirmation gives the trial all the same', async () => {
  const person = newPerson()
  await app.register(person)
  const accountId = await accountIdOf(app, person.username)
  const { status, body } = await operate(app, { accountId }, 'grant', { units: 500 }, 'order-1')
  expect([status, body.type]).toEqual([409, 'urn:bursar:problem:conflict'])
  expect((await app.confirm(person)).status).toBe(200)
  expect((await table.get(keys.quota(accountId)))?.l).toBe(100)
})

test('200 with `expiresAt`: what is left of the units expires when the next day begins, and a repeat answers the same', async () => {
  const person = await newBuyer(app)
  const order = { units: 500, expiresAt: '2026-12-01T13:30:00+01:00' }
  const entry = { seq: 4, kind: 'grant', units: 500, amountCents: 0, expiresAt: '2026-12-02T00:00:00.000Z' }
  const first = await operate(app, person, 'grant', order, 'order-1')
  expect([first.status, first.body]).toMatchObject([200, { entry, left: 1600 }])
  const again = await operate(app, person, 'grant', order, 'order-1')
  expect(again.body).toEqual({ ...first.body, replayed: true })
  expect((await operate(app, person, 'grant', { units: 500 }, 'order-1')).status).toBe(422)
  const [notice] = await shown(app, person, '/api/users/current/notifications')
  expect(notice.message).toBe('We gave you 500 units. Use them before 2026-12-02 00:00 UTC.')
  expect((await shown(app, person, '/v1/ledger')).at(-1)).toMatchObject({
    kind: 'grant',
    expiresAt: entry.expiresAt,
  })
  const events = await table.list(keys.account(person.accountId), OUT_EVENT_PREFIX)
  expect(events.find(({ type }) => type === 'units.granted')?.data).toEqual({
    ...{ seq: 4, units: 500, owedUnits: 0 },
    expiresAtMs: Date.parse(entry.expiresAt),
  })
  app.advance(12 * 86_400_000)
  const late = await operate(app, person, 'grant', order, 'order-1')
  expect([late.status, late.body.errors?.[0]?.detail ?? late.body.detail]).toEqual([400, expect.anything()])
  await app.job('expire-lots')
  const owner = { ...person, ...(await app.login(person)) }
  expect(await unitsLeft(app, owner)).toBe(1100)
})

test('400 for an expiry that has passed or is more than ten years ahead, and nothing is given', async () => {
  const person = await newBuyer(app)
  for (const expiresAt of ['2026-11-21T12:00:00Z', '2036-12-31T00:00:00Z', 'tomorrow']) {
    const { status, body } = await operate(app, person, 'grant', { units: 500, expiresAt })
    expect([expiresAt, status, JSON.stringify(body)]).toEqual([
      expiresAt,
      400,
      expect.stringContaining('expiresAt'),
    ])
  }
  expect(await unitsLeft(app, person)).toBe(1100)
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
