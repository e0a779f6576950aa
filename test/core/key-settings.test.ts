import { describe, expect, test } from 'vitest'
import { readAccount } from '../../core/account/account.ts'
import { changePassword } from '../../core/credentials/password.ts'
import type { DomainError } from '../../core/errors.ts'
import { createKey, deleteKey, rotateKey } from '../../core/keys/application-keys.ts'
import { changeKeySettings } from '../../core/keys/change-settings.ts'
import { isInNetworks } from '../../core/keys/networks.ts'
import { keyStamp, type SettingsChange } from '../../core/keys/settings.ts'
import type { Ports } from '../../core/ports.ts'
import { readBalance } from '../../core/quota/balance.ts'
import { consumeBatch } from '../../core/quota/batch.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { reserveUnits } from '../../core/quota/reserve.ts'
import { settleReservation } from '../../core/quota/settle-reservation.ts'
import { ConditionFailed } from '../../core/table/table.ts'
import { interleaved } from '../machine/quota-world.ts'
import { startApp } from '../support/app.ts'
import { type Consumer, counterOf, newConsumer, uuidv7 } from '../support/quota.ts'

const app = await startApp()
const ports = await app.ports()

/** Ports of another container: what it remembers of keys is its own. */
const container = (): Ports => ({ ...ports, table: new Proxy(ports.table, {}) })

const told = (outcome: Promise<unknown>): Promise<string> =>
  outcome.then(
    () => 'done',
    (error: DomainError) => error.code,
  )

/** A person with a default and a further key, and the owner's hands on both. */
async function owner() {
  const person = await newConsumer(app)
  const caller = async () => {
    const account = await readAccount(ports, person.accountId)
    if (!account) throw new Error('the account is gone')
    return { account, sessionId: Object.keys(account.sessions)[0] ?? '' }
  }
  const { id, key } = await createKey(ports, await caller(), { name: 'further' })
  return {
    person,
    caller,
    keys: [
      ['default', person.key],
      [id, key],
    ] as const,
    change: async (keyId: string, settings: SettingsChange) =>
      changeKeySettings(ports, await caller(), keyId, settings),
    rotate: async (keyId: string, graceSeconds = 0) =>
      rotateKey(ports, await caller(), keyId, { graceSeconds }),
    remove: async (keyId: string) => deleteKey(ports, await caller(), keyId),
    units: async () => {
      const { l, u, y = 0 } = await counterOf(app, person)
      return [l, u, y]
    },
  }
}

/** Everything that a key is used for, up to the write that counts, which is the only write of the counter. */
const uses: [string, (through: Ports, key: string) => Promise<unknown>][] = [
  ['a spend', (through, key) => consumeUnits(through, key, { units: 1 })],
  ['a spend with an id', (through, key) => consumeUnits(through, key, { units: 1, requestId: uuidv7() })],
  ['a batch', (through, key) => consumeBatch(through, key, [{ units: 1 }, { units: 2 }])],
]

/** Ports whose first update takes effect, but its reply is lost, and something else comes before it is sent again. */
function replyLost(through: Ports, next: () => Promise<unknown>): Ports {
  let isLost = false
  const table = new Proxy(through.table, {
    get: (object, name, receiver) => {
      const call = Reflect.get(object, name, receiver)
      if (name !== 'update' || isLost) return call
      return async (...args: Parameters<typeof through.table.update>) => {
        isLost = true
        await object.update(...args)
        await next()
        throw new ConditionFailed(new Map([[0, await object.get(args[0])]]), true)
      }
    },
  })
  return { ...through, table }
}

describe('settings that change between the check and the write', () => {
  test.each(uses)('decide about %s', async (_, use) => {
    const { keys, change, rotate, units } = await owner()
    for (const [id, key] of keys) {
      const before = await units()
      const during = async (first: () => Promise<unknown>) =>
        told(use(interleaved(container(), 'update', 1, first), key))
      expect(await during(() => change(id, { enabled: false }))).toBe('key_disabled')
      expect(await units()).toEqual(before)
      await change(id, { enabled: true })
      expect(await during(() => change(id, { ip: ['192.0.2.1'] }))).toBe('ip_not_allowed')
      expect(await units()).toEqual(before)
      await change(id, { ip: undefined })
      expect(await during(() => change(id, { metadata: '{"a":1}' }))).toBe('done')
      expect(await during(() => rotate(id, 60))).toBe('done')
      const now = await units()
      expect(await during(() => rotate(id, 0))).toBe('unauthorized')
      expect(await units()).toEqual(now)
    }
  })

  test('decide about a reservation and about its settle', async () => {
    const { keys, change, units } = await owner()
    for (const [id, key] of keys) {
      const before = await units()
      const held = (through: Ports) => reserveUnits(through, key, { units: 3, ttlSeconds: 60 })
      // The first update sets the alarm, the second takes the units.
      await held(container()).then(({ id: made }) =>
        settleReservation(container(), key, { reservationId: made, units: 0 }),
      )
      const off = () => change(id, { enabled: false })
      expect(await told(held(interleaved(container(), 'update', 1, off)))).toBe('key_disabled')
      expect(await units()).toEqual(before)
      await change(id, { enabled: true })
      const { id: reservationId } = await held(container())
      const settle = (through: Ports) => settleReservation(through, key, { reservationId, units: 2 })
      const now = await units()
      expect(await told(settle(interleaved(container(), 'update', 1, off)))).toBe('key_disabled')
      expect(await units()).toEqual(now)
      await change(id, { enabled: true })
      expect(await told(settle(container()))).toBe('done')
      expect((await units())[2]).toBe(before[2])
    }
  })

  test('a spend whose reply was lost before the change is no replay of another request', async () => {
    const { keys, change, units } = await owner()
    for (const [id, key] of keys) {
      const [left = 0] = (await units()) as number[]
      const through = replyLost(container(), () => change(id, { name: 'renamed meanwhile' }))
      const spent = await consumeUnits(through, key, { units: 1, requestId: uuidv7() })
      expect(spent).toMatchObject({ left: left - 1, key: { name: 'renamed meanwhile' } })
      expect(spent).not.toHaveProperty('replayed')
    }
  })
})

describe('a key that is switched off once units are spent: nobody is told that nothing was spent', () => {
  test('by a write whose reply was lost', async () => {
    const { keys, change, units } = await owner()
    for (const [id, key] of keys) {
      const off = () => change(id, { enabled: false })
      const request = () => ({ units: 1, requestId: uuidv7() })
      const { id: reservationId } = await reserveUnits(container(), key, { ...request(), ttlSeconds: 60 })
      const asked: ((through: Ports) => Promise<unknown>)[] = [
        (through) => consumeUnits(through, key, request()),
        (through) => consumeBatch(through, key, [request(), request()]),
        (through) => settleReservation(through, key, { reservationId, units: 1 }),
        // The alarm is on already, so the first update takes the units.
        (through) => reserveUnits(through, key, { ...request(), ttlSeconds: 60 }),
      ]
      for (const ask of asked) {
        const before = await units()
        expect(await told(ask(replyLost(container(), off)))).toBe('temporarily_unavailable')
        expect(await units()).not.toEqual(before)
        await change(id, { enabled: true })
      }
    }
  })

  test('by the first of the writes that a batch takes', async () => {
    const { keys, change, units } = await owner()
    for (const [id, key] of keys) {
      const [before = 0] = (await units()) as number[]
      const batch = Array.from({ length: 30 }, (_, n) => ({ units: 1, requestId: `${id} ${n}` }))
      const ask = (through: Ports) => told(consumeBatch(through, key, batch))
      const off = () => change(id, { enabled: false })
      expect(await ask(interleaved(container(), 'update', 2, off))).toBe('temporarily_unavailable')
      expect((await units())[0]).toBe(before - 24)
      expect(await ask(container())).toBe('key_disabled')
      await change(id, { enabled: true })
      expect(await ask(container())).toBe('done')
      expect((await units())[0]).toBe(before - 30)
    }
  })
})

describe('a container that remembers other settings', () => {
  test('never lets a spend pass that the settings forbid, nor refuses one that they allow', async () => {
    const { keys, change, units } = await owner()
    for (const [id, key] of keys) {
      const [one, other] = [container(), container()]
      const spend = (through: Ports) => told(consumeUnits(through, key, { units: 1 }))
      expect([await spend(one), await spend(other)]).toEqual(['done', 'done'])
      for (let times = 0; times < 3; times++) {
        await change(id, { enabled: false })
        const before = await units()
        expect([await spend(one), await spend(one)]).toEqual(['key_disabled', 'key_disabled'])
        expect(await units()).toEqual(before)
        await change(id, { enabled: true })
        // The first has the refusal in mind, the second the time before it.
        expect([await spend(one), await spend(other)]).toEqual(['done', 'done'])
      }
    }
  })

  test('knows a key that was rotated elsewhere, with and without a grace period', async () => {
    const { keys, change, rotate } = await owner()
    for (const [id, key] of keys) {
      await change(id, { scopes: ['a'] })
      const one = container()
      const spend = (text: string) => told(consumeUnits(one, text, { units: 1 }))
      expect(await spend(key)).toBe('done')
      const { key: second } = await rotate(id, 60)
      expect([await spend(second), await spend(key)]).toEqual(['done', 'done'])
      app.advance(1)
      const { key: third } = await rotate(id)
      expect([await spend(key), await spend(second), await spend(third)]).toEqual([
        'unauthorized',
        'unauthorized',
        'done',
      ])
    }
  })

  test('reads a balance with the settings of now, and refuses a deleted key', async () => {
    const { keys, change, remove } = await owner()
    const one = container()
    for (const [id, key] of keys) {
      expect(await told(readBalance(one, key))).toBe('done')
      await change(id, { enabled: false })
      expect(await told(readBalance(one, key))).toBe('key_disabled')
    }
    await change(keys[1][0], { enabled: true })
    expect(await told(readBalance(one, keys[1][1]))).toBe('done')
    await remove(keys[1][0])
    expect(await told(consumeUnits(one, keys[1][1], { units: 1 }))).toBe('unauthorized')
  })
})

describe('changes of one key at once', () => {
  test('a rotation and a change of settings both hold, whichever is first', async () => {
    const { keys, change, rotate } = await owner()
    for (const [id] of keys) {
      const [rotated] = await Promise.all([rotate(id), change(id, { scopes: ['kept'] })])
      const spent = await consumeUnits(container(), { text: rotated.key, requires: ['kept'] }, { units: 1 })
      expect(spent.key.scopes).toEqual(['kept'])
    }
  })

  test('the first settings of the default key, made while it is rotated or replaced, leave a key that works', async () => {
    const works = async (key: string, account: Consumer) => {
      expect((await consumeUnits(container(), key, { units: 1 })).account).toBe(account.accountId)
      return Object.keys(await counterOf(app, account)).includes('h0')
    }
    const first = await owner()
    const settled = interleaved(ports, 'transact', 1, () => first.change('default', { scopes: ['a'] }))
    const { key } = await rotateKey(settled, await first.caller(), 'default')
    expect(await works(key, first.person)).toBe(true)
    const second = await owner()
    const rotated = interleaved(ports, 'transact', 1, () => second.rotate('default'))
    await changeKeySettings(rotated, await second.caller(), 'default', { scopes: ['a'] })
    const { body } = await app.request('GET', '/v1/user', { token: second.person.accessToken })
    expect(await works(body.apiKey, second.person)).toBe(true)
    const third = await owner()
    const replaced = interleaved(ports, 'transact', 1, () => third.change('default', { scopes: ['a'] }))
    const { password, email } = third.person
    const change = { newPassword: 'Changed1!', oldPassword: password, replaceKeys: true }
    await changePassword(replaced, await third.caller(), change)
    const { accessToken: token } = await app.login({ ...third.person, email, password: 'Changed1!' })
    expect(await works((await app.request('GET', '/v1/user', { token })).body.apiKey, third.person)).toBe(
      true,
    )
  })

  test('a deletion and a change of settings leave no key', async () => {
    const { keys, change, remove, person } = await owner()
    const [, [id, key]] = keys
    await Promise.all([remove(id), told(change(id, { scopes: ['kept'] }))])
    expect(await told(consumeUnits(container(), key, { units: 1 }))).toBe('unauthorized')
    expect(Object.keys(await counterOf(app, person)).filter((name) => /^h\d/.test(name))).toEqual(['h0'])
  })
})

test('a key that never had settings has the same bytes in the counter and costs the same calls', async () => {
  const { keys, change, person } = await owner()
  const one = container()
  const lengths = async () => {
    const { h0, h1 } = (await counterOf(app, person)) as Record<string, Uint8Array>
    return [h0?.length, h1?.length]
  }
  expect(await lengths()).toEqual([12, 12])
  for (const [id, key] of keys) {
    const calls = async () => {
      app.resetCalls()
      await consumeUnits(one, key, { units: 1 })
      return app.calls().dynamodb
    }
    expect(await calls()).toEqual({ GetItem: 1, UpdateItem: 1 })
    expect(await calls()).toEqual({ UpdateItem: 1 })
    await change(id, { scopes: ['a'] })
    // One write fails, one read brings the settings.
    expect(await calls()).toEqual({ GetItem: 1, UpdateItem: 2 })
    expect(await calls()).toEqual({ UpdateItem: 1 })
  }
  expect(await lengths()).toEqual([14, 14])
})

test.each([
  ['203.0.113.7', ['203.0.113.7'], true],
  ['203.0.113.8', ['203.0.113.7'], false],
  ['203.0.113.255', ['203.0.113.0/24'], true],
  ['203.0.114.0', ['203.0.113.9/24'], false],
  ['198.51.100.1', ['0.0.0.0/0'], true],
  ['2001:db8::1', ['0.0.0.0/0'], false],
  ['2001:DB8:0:0::1', ['2001:db8::/32'], true],
  ['2001:db9::1', ['2001:db8::/32', '::1'], false],
  ['::ffff:203.0.113.7', ['203.0.113.0/24'], true],
  ['10.0.0.1', ['::ffff:10.0.0.1'], true],
  // All of IPv6 includes the IPv4 addresses in the notation of IPv6.
  ['203.0.113.7', ['::/0'], true],
  ['203.0.113.7', ['2001:db8::/32'], false],
  ['', ['0.0.0.0/0', '::/0'], false],
  ['unknown', ['0.0.0.0/0', '::/0'], false],
])('the address %j is in %j: %j', (ip, networks, expected) => {
  expect(isInNetworks(networks, ip)).toBe(expected)
})

test('no two revisions of a key have the same stamp, and the first 65,535 take two bytes', () => {
  const hash = Buffer.alloc(12, 7)
  const stamps = [0, 1, 255, 256, 65_535, 65_536, 2 ** 32 - 1].map((revision) => keyStamp(hash, revision))
  expect(stamps.map(({ length }) => length)).toEqual([12, 14, 14, 14, 14, 16, 16])
  expect(new Set(stamps.map((stamp) => stamp.toString('hex'))).size).toBe(stamps.length)
})
