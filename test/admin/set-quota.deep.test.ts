import { beforeEach, describe, expect, test } from 'vitest'
import { askAs, entriesOf, newAdminKey, newUser, type TestAdminKey } from '../support/admin-keys.ts'
import { startApp } from '../support/app.ts'
import { shown } from '../support/buyers.ts'
import { operate } from '../support/operate.ts'

const app = await startApp()
let key: TestAdminKey
beforeEach(async () => {
  await app.startAfresh()
  key = await newAdminKey(app, 'support')
})

const set = (id: string, left: unknown, more: object = {}, name?: string) =>
  askAs(
    ...([app, key, 'PUT', `/users/${id}/quota`, { left, ...more }] as const),
    name === undefined ? {} : { 'idempotency-key': name },
  )
const read = async (id: string) => (await askAs(app, key, 'GET', `/users/${id}/quota`)).body

const spend = (token: string, units: number) => app.request('POST', '/v1/usage', { token, json: { units } })

/** The kinds and the units of an account's ledger, in their order, without the trial. */
const ledgerOf = async (person: Parameters<typeof shown>[1]) =>
  (await shown(app, person, '/v1/ledger'))
    .map(({ kind, units }: { kind: string; units: number }) => [kind, units])
    .slice(1)

describe('200', () => {
  test('grants what is missing, in one entry of the ledger, which can be spent at once', async () => {
    const person = await newUser(app)
    const { status, body } = await set(person.accountId, 500)
    expect([status, body]).toEqual([200, { left: 500, owed: 0 }])
    expect(await ledgerOf(person)).toEqual([['grant', 400]])
    expect((await spend(person.key, 500)).body.left).toBe(0)
  })

  test('takes what is too much, down to nothing', async () => {
    const person = await newUser(app)
    expect((await set(person.accountId, 0)).body).toEqual({ left: 0, owed: 0 })
    expect(await ledgerOf(person)).toEqual([['take', -100]])
    expect((await spend(person.key, 1)).status).toBe(402)
  })

  test('changes nothing for an account that has so many left', async () => {
    const person = await newUser(app)
    expect((await set(person.accountId, 100)).body).toEqual({ left: 100, owed: 0 })
    expect([await ledgerOf(person), await entriesOf(app, key)]).toEqual([[], []])
  })

  test('pays what the account owes, so that exactly so many units are left', async () => {
    const person = await newUser(app)
    await operate(app, person, 'take', { units: 130, owe: true })
    expect((await set(person.accountId, 20)).body).toEqual({ left: 20, owed: 0 })
    expect(await ledgerOf(person)).toEqual([
      ['take', -100],
      ['grant', 50],
      ['take', -30],
    ])
  })

  test('leaves reserved units reserved', async () => {
    const person = await newUser(app)
    await app.request('POST', '/v1/usage/reservations', { token: person.key, json: { units: 40 } })
    await set(person.accountId, 5)
    expect(await read(person.accountId)).toMatchObject({ left: 5, reserved: 40 })
  })

  test('the audit log has the key, the units before and after, and the reason', async () => {
    const { accountId } = await newUser(app)
    await set(accountId, 500, { reason: 'a trial of ours' })
    expect(await entriesOf(app, key)).toMatchObject([
      {
        ...{ action: 'operator.units_set', accountId, name: key.name, reason: 'a trial of ours' },
        ...{ before: { left: 100 }, after: { left: 500 } },
      },
    ])
  })
})

describe('with an Idempotency-Key', () => {
  test('a repeat changes nothing, although units were spent meanwhile', async () => {
    const person = await newUser(app)
    await set(person.accountId, 500, {}, 'once')
    await spend(person.key, 50)
    const { status, body } = await set(person.accountId, 500, {}, 'once')
    expect([status, body]).toEqual([200, { left: 450, owed: 0, replayed: true }])
    expect(await ledgerOf(person)).toEqual([['grant', 400]])
  })

  test('so does the repeat of one that had nothing to change', async () => {
    const person = await newUser(app)
    expect((await set(person.accountId, 100, {}, 'once')).body).toEqual({ left: 100, owed: 0 })
    await spend(person.key, 50)
    expect((await set(person.accountId, 100, {}, 'once')).body).toEqual({ left: 50, owed: 0, replayed: true })
    expect(await ledgerOf(person)).toEqual([])
  })

  test('422 for another number under the same key', async () => {
    const { accountId } = await newUser(app)
    await set(accountId, 500, {}, 'once')
    expect((await set(accountId, 600, {}, 'once')).status).toBe(422)
    expect((await read(accountId)).left).toBe(500)
  })
})

test('sixteen at once, while units are spent, leave a number that one of them has set, less what came after', async () => {
  const person = await newUser(app)
  const setting = Array.from({ length: 8 }, (_, nth) => set(person.accountId, 300 + nth * 100))
  const spending = Array.from({ length: 8 }, () => spend(person.key, 1))
  const statuses = (await Promise.all([...setting, ...spending])).map(({ status }) => status)
  expect(new Set(statuses)).toEqual(new Set([200]))
  const { left, used } = await read(person.accountId)
  expect(used).toBe(8)
  expect([300, 400, 500, 600, 700, 800, 900, 1000].some((each) => each - left >= 0 && each - left <= 8)).toBe(
    true,
  )
  const sum = (await shown(app, person, '/v1/ledger')).reduce(
    (all: number, { units }: { units: number }) => all + units,
    0,
  )
  expect(sum).toBe(left + used)
})

test.each([-1, 1.5, 1_000_000_001, '5', null])('400 for %j, and nothing changes', async (left) => {
  const { accountId } = await newUser(app)
  expect((await set(accountId, left)).status).toBe(400)
  expect((await read(accountId)).left).toBe(100)
})

test('404 for an unknown account', async () => {
  expect((await set('0'.repeat(24), 5)).status).toBe(404)
})
