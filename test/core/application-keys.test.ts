import { describe, expect, test } from 'vitest'
import { haveKeysChanged, rotateKey } from '../../core/keys/application-keys.ts'
import { changeApp, corsUrlOf, createApp } from '../../core/keys/apps.ts'
import { defaultKeyLookup } from '../../core/keys/default-key.ts'
import { changedSettings, type KeySettings, requireAllowed } from '../../core/keys/settings.ts'
import { keyIdsBySlot, keyNames } from '../../core/keys/stored-keys.ts'
import { keys } from '../../core/table/keys.ts'
import { codeOf } from '../machine/account-world.ts'
import { openKeyWorld } from '../machine/key-world.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** The attributes of the counter that are about a slot. */
const attributesOf = (counter: object, slot: number) =>
  Object.keys(counter).filter((name) => new RegExp(`^[a-z]+${slot}$`).test(name))

describe('an Idempotency-Key', () => {
  test('gives the same key for 48 hours, and then another one, even where the table has kept the answer', async () => {
    const { create, advance, list } = await openKeyWorld()
    const first = await create('mine', {}, 'k')
    advance(2 * DAY_MS - 1000)
    expect(await create('mine', {}, 'k')).toEqual({ ...first, replayed: true })
    advance(1000)
    const second = await create('mine', {}, 'k')
    expect(second.key).not.toBe(first.key)
    expect(second).not.toHaveProperty('replayed')
    expect(await list()).toHaveLength(3)
  })

  test('is refused with another name, other settings, or for something else', async () => {
    const { create, rotate, list } = await openKeyWorld()
    const { id } = await create('mine', { scopes: ['a'] }, 'k')
    for (const other of [
      () => create('another', { scopes: ['a'] }, 'k'),
      () => create('mine', { scopes: ['b'] }, 'k'),
      () => create('mine', {}, 'k'),
      () => rotate(id, { idempotencyKey: 'k' }),
    ])
      expect(await codeOf(other())).toBe('idempotency_key_reused')
    await rotate(id, { idempotencyKey: 'r' })
    expect(await codeOf(rotate('default', { idempotencyKey: 'r' }))).toBe('idempotency_key_reused')
    expect(await codeOf(rotate(id, { idempotencyKey: 'r', graceSeconds: 1 }))).toBe('idempotency_key_reused')
    expect(await list()).toHaveLength(2)
  })

  test('of an answer that no root secret opens any more says that the request has taken effect', async () => {
    const { create, ports, list } = await openKeyWorld()
    await create('mine', {}, 'k')
    const open = ports.keyring.open
    Object.assign(ports.keyring, { open: () => undefined })
    await expect(create('mine', {}, 'k')).rejects.toMatchObject({
      code: 'idempotency_key_reused',
      detail: expect.stringContaining('has taken effect'),
    })
    Object.assign(ports.keyring, { open })
    expect(await list()).toHaveLength(2)
  })

  test('of a purchase gives no key', async () => {
    const { create, id, ports, all } = await openKeyWorld()
    await create('mine', {}, 'k')
    const item = all().find(({ sk }) => String(sk).startsWith('REQUEST#'))
    const { answer: _, ...purchase } = item ?? {}
    await ports.table.put(purchase as never)
    expect(item?.pk).toBe(keys.account(id))
    expect(await codeOf(create('mine', {}, 'k'))).toBe('idempotency_key_reused')
  })
})

describe('a rotation without an Idempotency-Key', () => {
  test('shows two clicks at once one key, and clicks one after the other another key each', async () => {
    const { create, caller, ports, told, rotate } = await openKeyWorld()
    const { id } = await create('mine')
    const read = await caller()
    const [one, two] = [await rotateKey(ports, read, id), await rotateKey(ports, read, id)]
    expect(two).toEqual({ ...one, replayed: true })
    const { key } = await rotate(id)
    expect(key).not.toBe(one.key)
    expect([await told(one.key), await told(key)]).toEqual(['unauthorized', 'works'])
  })

  test('remembers a click for a minute', async () => {
    const { caller, ports, advance } = await openKeyWorld()
    const read = await caller()
    const first = await rotateKey(ports, read, 'default')
    advance(59_000)
    expect((await rotateKey(ports, read, 'default')).key).toBe(first.key)
    advance(1000)
    expect((await rotateKey(ports, read, 'default')).key).not.toBe(first.key)
  })

  test('of one key says nothing of another key', async () => {
    const { create, caller, ports } = await openKeyWorld()
    const { id } = await create('mine')
    const read = await caller()
    const [one, two] = [await rotateKey(ports, read, id), await rotateKey(ports, read, 'default')]
    expect([one.id, two.id]).toEqual([id, 'default'])
  })
})

describe('the list', () => {
  test('has every key once, the default key first, and the others by slot, whatever their ids and names are', async () => {
    const { create, change, list } = await openKeyWorld()
    const made = []
    for (const name of ['c', 'a', 'b', 'e', 'd', 'g', 'f']) made.push(await create(name))
    const names = async () => (await list()).map(({ name }) => name)
    expect(await names()).toEqual(['default', 'c', 'a', 'b', 'e', 'd', 'g', 'f'])
    await change('default', { scopes: ['a'] })
    await change(made[1]?.id ?? '', { scopes: ['a'] })
    expect(await names()).toEqual(['default', 'c', 'a', 'b', 'e', 'd', 'g', 'f'])
  })

  test('says when each key was made and when it was last changed', async () => {
    const { create, change, rotate, list, advance, nowMs } = await openKeyWorld()
    const startMs = nowMs()
    advance(1000)
    const { id } = await create('mine')
    advance(1000)
    await change(id, { name: 'renamed' })
    const times = async () =>
      (await list()).map(({ createdAtMs, updatedAtMs }) => [createdAtMs - startMs, updatedAtMs - startMs])
    expect(await times()).toEqual([
      [0, 0],
      [1000, 2000],
    ])
    advance(1000)
    await rotate(id)
    advance(1000)
    await rotate('default')
    expect(await times()).toEqual([
      [4000, 4000],
      [3000, 3000],
    ])
  })

  test('shows one key as the list does, and no key that is unknown', async () => {
    const { create, list, read } = await openKeyWorld()
    const { id } = await create('mine', { scopes: ['a'] })
    for (const key of ['default', id]) {
      const { lastUsedDayMs: _, ...shown } = (await list()).find((each) => each.id === key) ?? {}
      expect(await read(key)).toEqual(shown)
    }
    for (const unknown of ['DEFAULT', '0'.repeat(24), '', `${id}0`, `0${id}`])
      expect([unknown, await codeOf(read(unknown))]).toEqual([unknown, 'not_found'])
  })

  test('names keys by slot and by id, with those that have no item', async () => {
    const { create, change, id: accountId, ports } = await openKeyWorld()
    const { id } = await create('mine')
    await change('default', { name: 'main' })
    expect([...(await keyIdsBySlot(ports, accountId))]).toEqual([
      [0, 'default'],
      [1_000_000, 'service'],
      [1, id],
    ])
    expect(Object.fromEntries(await keyNames(ports, accountId))).toEqual({
      default: 'main',
      service: 'service',
      [id]: 'mine',
    })
  })
})

describe('a new key', () => {
  test('is stored without settings if it has none, and with them otherwise', async () => {
    const { create, items } = await openKeyWorld()
    await create('plain', { scopes: [], metadata: undefined })
    await create('set', { scopes: ['a'] })
    const stored = (await items('KEY#')).map(({ name, settings }) => [name, settings])
    expect(Object.fromEntries(stored)).toEqual({ plain: undefined, set: { scopes: ['a'] } })
  })

  test('is announced, and its owner is told', async () => {
    const { announced, create, list } = await openKeyWorld()
    const told = await announced(() => create('mine'))
    const [, { id } = { id: '' }] = await list()
    expect(told).toMatchObject({ events: [['key.created', { keyId: id }]], notices: ['key-created'] })
  })

  test('that is one too many, or too late, writes nothing', async () => {
    const full = await openKeyWorld({ keyCount: 8 })
    expect(await codeOf(full.create('ninth'))).toBe('key_limit_reached')
    const late = await openKeyWorld({ nextKeySlot: 1_000_000 })
    await expect(late.create('late')).rejects.toMatchObject({
      code: 'key_limit_reached',
      detail: expect.stringContaining('as many application keys as an account can ever make'),
    })
    for (const { all } of [full, late])
      expect(all().filter(({ sk }) => String(sk).startsWith('KEY#'))).toEqual([])
    const eighth = await openKeyWorld({ keyCount: 7 })
    expect(await codeOf(eighth.create('eighth'))).toBe('done')
    const last = await openKeyWorld({ nextKeySlot: 999_999 })
    expect(await codeOf(last.create('last'))).toBe('done')
  })
})

describe.each(['default', 'further'])('a rotation of a %s key', (kind) => {
  async function open() {
    const world = await openKeyWorld()
    const made = kind === 'default' ? undefined : await world.create('mine')
    return { ...world, keyId: made?.id ?? 'default', text: made?.key ?? (await world.defaultText()) }
  }

  test('shows the end of a grace period only as long as the old key works', async () => {
    const { rotate, read, told, advance, nowMs, text, keyId } = await open()
    const endMs = nowMs() + 60_000
    const { graceUntilMs, key } = await rotate(keyId, { graceSeconds: 60 })
    expect([graceUntilMs, (await read(keyId)).graceUntilMs]).toEqual([endMs, endMs])
    advance(59_999)
    expect([await told(text), await told(key), (await read(keyId)).graceUntilMs]).toEqual([
      'works',
      'works',
      endMs,
    ])
    advance(1)
    expect([await told(text), await told(key)]).toEqual(['unauthorized', 'works'])
    expect(await read(keyId)).not.toHaveProperty('graceUntilMs')
  })

  test('is announced with the end of the grace period, if there is one, and its owner is told', async () => {
    const { announced, rotate, nowMs, advance, keyId } = await open()
    const graceUntilMs = nowMs() + 60_000
    expect(await announced(() => rotate(keyId, { graceSeconds: 60 }))).toEqual({
      events: [['key.rotated', { keyId, graceUntilMs }]],
      notices: ['key-created'],
      audit: ['account.key-created'],
    })
    advance(1000)
    expect((await announced(() => rotate(keyId))).events).toEqual([['key.rotated', { keyId }]])
  })

  test('has no grace period if the key is switched off, and keeps it off', async () => {
    const { change, rotate, told, text, keyId } = await open()
    await change(keyId, { enabled: false })
    const rotated = await rotate(keyId, { graceSeconds: 60 })
    expect(rotated).not.toHaveProperty('graceUntilMs')
    expect([await told(text), await told(rotated.key)]).toEqual(['unauthorized', 'key_disabled'])
  })

  test('ends the grace period before it, whose key leads to no account any more', async () => {
    const { rotate, told, text, keyId, all } = await open()
    const second = await rotate(keyId, { graceSeconds: 60 })
    const third = await rotate(keyId, { graceSeconds: 60 })
    const fourth = await rotate(keyId)
    expect(await Promise.all([text, second.key, third.key, fourth.key].map((key) => told(key)))).toEqual([
      'unauthorized',
      'unauthorized',
      'unauthorized',
      'works',
    ])
    expect(all().filter(({ sk }) => sk === '#KEY')).toHaveLength(1)
  })

  test('keeps the settings, and a key without an item gets none for a rotation at once', async () => {
    const { rotate, change, items, keyId } = await open()
    await rotate(keyId)
    expect(await items('KEY#')).toHaveLength(kind === 'default' ? 0 : 1)
    await change(keyId, { scopes: ['a'] })
    expect((await rotate(keyId)).settings).toEqual({ scopes: ['a'] })
    expect((await items('KEY#')).map(({ settings }) => settings)).toEqual([{ scopes: ['a'] }])
  })

  test('is counted for each day (UTC) by itself, up to 20', async () => {
    const { rotate, profile, advance, keyId } = await open()
    const counted = async () => (await profile())?.keyRotations
    for (let n = 1; n <= 20; n++) await rotate(keyId)
    expect(await counted()).toEqual({ day: 20_778, count: 20 })
    await expect(rotate(keyId)).rejects.toMatchObject({
      code: 'too_many_requests',
      retryAfterSeconds: 12 * 3600,
    })
    advance(12 * HOUR_MS - 1)
    await expect(rotate(keyId)).rejects.toMatchObject({ retryAfterSeconds: 1 })
    advance(1)
    await rotate(keyId)
    expect(await counted()).toEqual({ day: 20_779, count: 1 })
  })
})

describe('the look-up of a default key', () => {
  test('lasts as long as its grace period, and goes at once without one', async () => {
    const { rotate, ports, account, nowMs, advance } = await openKeyWorld()
    const first = defaultKeyLookup(await account())
    const endMs = nowMs() + 60_000
    await rotate('default', { graceSeconds: 60 })
    expect(await ports.table.get(first)).toMatchObject({ ttl: endMs / 1000 })
    advance(1000)
    const second = defaultKeyLookup(await account())
    expect(await ports.table.get(second)).not.toHaveProperty('ttl')
    await rotate('default')
    expect([await ports.table.get(first), await ports.table.get(second)]).toEqual([undefined, undefined])
    expect(await ports.table.get(defaultKeyLookup(await account()))).toBeDefined()
  })
})

describe('a change of settings', () => {
  test.each(['default', 'further'])('to what a %s key has already writes nothing', async (kind) => {
    const { create, change, all } = await openKeyWorld()
    const id = kind === 'default' ? kind : (await create('mine')).id
    const name = kind === 'default' ? kind : 'mine'
    const nothing = [{ name }, { scopes: [] }, { ip: undefined, enabled: true }, {}]
    for (const same of nothing) {
      const before = structuredClone(all())
      const shown = await change(id, same)
      expect([shown.settings, all()]).toEqual([{}, before])
    }
    await change(id, { scopes: ['a'] })
    const before = structuredClone(all())
    await change(id, { scopes: ['a'], name, metadata: undefined })
    expect(all()).toEqual(before)
  })

  test.each(['default', 'further'])(
    'tells the owner of a %s key, unless only its name or its notes change',
    async (kind) => {
      const { create, change, announced } = await openKeyWorld()
      const keyId = kind === 'default' ? kind : (await create('mine')).id
      const told = (settings: Parameters<typeof change>[1]) => announced(() => change(keyId, settings))
      const silent = { events: [['key.changed', { keyId }]], notices: [], audit: [] }
      expect(await told({ name: 'renamed' })).toEqual(silent)
      expect(await told({ metadata: '{"a":1}' })).toEqual(silent)
      const loud = { ...silent, notices: ['key-changed'], audit: ['account.key-changed'] }
      expect(await told({ scopes: ['a'] })).toEqual(loud)
      expect(await told({ metadata: '{"a":2}', ip: ['192.0.2.1'] })).toEqual(loud)
      expect(await told({ name: 'again', scopes: undefined })).toEqual(loud)
      const off = { ...loud, events: [['key.changed', { keyId, disabled: true }]] }
      expect(await told({ enabled: false })).toEqual(off)
      expect(await told({ enabled: true })).toEqual(loud)
    },
  )

  test('leaves what it does not name, and shows the settings and the time', async () => {
    const { create, change, advance, nowMs } = await openKeyWorld()
    const { id, createdAtMs } = await create('mine', { scopes: ['a'], ip: ['192.0.2.1'] })
    advance(1000)
    const changed = await change(id, { ip: ['192.0.2.2'] })
    expect(changed).toMatchObject({
      ...{ name: 'mine', createdAtMs, updatedAtMs: nowMs() },
      settings: { scopes: ['a'], ip: ['192.0.2.2'] },
    })
    expect((await change(id, { name: 'other' })).settings).toEqual(changed.settings)
  })

  test('of a key in its grace period keeps both keys, and the last of the settings stay stored', async () => {
    const { rotate, change, defaultText, told, items } = await openKeyWorld()
    const old = await defaultText()
    const { key } = await rotate('default', { graceSeconds: 60 })
    await change('default', { scopes: ['a'] })
    expect([await told(old), await told(key)]).toEqual(['works', 'works'])
    await change('default', { scopes: [] })
    expect([await told(old), await told(key)]).toEqual(['works', 'works'])
    expect(await items('KEY#')).toMatchObject([{ settings: {}, revision: 2 }])
  })

  test('that switches a default key off takes the earlier key’s look-up away for good', async () => {
    const { rotate, change, defaultText, told, all } = await openKeyWorld()
    const old = await defaultText()
    const { key } = await rotate('default', { graceSeconds: 60 })
    await change('default', { enabled: false })
    expect(all().filter(({ sk }) => sk === '#KEY')).toHaveLength(1)
    await change('default', { enabled: true })
    expect([await told(old), await told(key)]).toEqual(['unauthorized', 'works'])
  })

  test('of an unknown key is refused', async () => {
    const { change } = await openKeyWorld()
    for (const id of ['0'.repeat(24), 'DEFAULT', ''])
      expect(await codeOf(change(id, { name: 'x' }))).toBe('not_found')
  })
})

describe('settings after a change', () => {
  const NOW_MS = 1000

  test('have no expiry that has passed, unless they had the same before', () => {
    for (const [before, after, outcome] of [
      [undefined, 1001, { expiresAtMs: 1001 }],
      [undefined, 1000, 'has passed already'],
      [999, 999, { expiresAtMs: 999 }],
      [999, 998, 'has passed already'],
      [999, undefined, {}],
    ] as const) {
      const settings: KeySettings = before === undefined ? {} : { expiresAtMs: before }
      const change = () => changedSettings(settings, { expiresAtMs: after }, NOW_MS)
      if (typeof outcome === 'object') expect(change()).toEqual(outcome)
      else
        expect(change).toThrow(
          expect.objectContaining({
            code: 'invalid_request',
            fields: [{ field: 'expiresAt', message: outcome }],
          }),
        )
    }
  })

  test('stay switched off until they are switched on', () => {
    const off = changedSettings({}, { enabled: false }, NOW_MS)
    expect(off).toEqual({ disabled: true })
    expect(changedSettings(off, { scopes: ['a'] }, NOW_MS)).toEqual({ disabled: true, scopes: ['a'] })
    expect(changedSettings(off, { enabled: true }, NOW_MS)).toEqual({})
  })

  test('hold no name and no empty list', () => {
    expect(changedSettings({ ip: ['192.0.2.1'] }, { name: 'x', ip: [], scopes: [] }, NOW_MS)).toEqual({})
  })
})

describe('a request is refused by the settings of its key', () => {
  const refusal = (settings: KeySettings, demands = {}) => {
    try {
      requireAllowed(settings, demands, 1000)
      return undefined
    } catch (error) {
      return error as { code: string; members?: object; detail?: string }
    }
  }

  test('from the moment of the expiry on', () => {
    expect(refusal({ expiresAtMs: 1000 })?.code).toBe('key_expired')
    expect(refusal({ expiresAtMs: 1001 })).toBeUndefined()
  })

  test('in the order of expiry, switch, network and scopes', () => {
    const ip = ['192.0.2.1']
    const demands = { requires: ['a'], ip: '192.0.2.2' }
    expect(refusal({ expiresAtMs: 0, disabled: true, ip }, demands)?.code).toBe('key_expired')
    expect(refusal({ disabled: true, ip }, demands)?.code).toBe('key_disabled')
    expect(refusal({ ip }, demands)?.code).toBe('ip_not_allowed')
    expect(refusal({}, demands)?.code).toBe('insufficient_scope')
    expect(refusal({ scopes: ['a', 'b'], ip }, { ...demands, ip: '192.0.2.1' })).toBeUndefined()
    expect(refusal({ ip })?.code).toBe('ip_not_allowed')
  })

  test('with the scopes that are missing, each once', () => {
    const missing = refusal({ scopes: ['b'] }, { requires: ['a', 'b', 'c', 'a'] })
    expect(missing?.members).toEqual({ missing: ['a', 'c'] })
    expect(missing?.detail).toContain('lacks: a, c. Nothing was spent.')
  })
})

describe('a replacement of every key', () => {
  test('leaves one default key without settings, and nothing of the others', async () => {
    const { create, rotate, change, replaceAll, list, told, defaultText, ...world } = await openKeyWorld()
    const made = [await create('one', { budget: { units: 5, per: 'day' } }), await create('two')]
    const first = await defaultText()
    const { key: second } = await rotate('default', { graceSeconds: 600 })
    await change('default', { scopes: ['a'], rate: { unitsPerSecond: 1, burst: 2 } })
    const { events, notices } = await world.announced(replaceAll)
    const fresh = await defaultText()
    const texts = [first, second, ...made.map(({ key }) => key), fresh]
    expect(await Promise.all(texts.map((text) => told(text)))).toEqual([
      ...Array(4).fill('unauthorized'),
      'works',
    ])
    expect(await list()).toMatchObject([{ id: 'default', settings: {} }])
    expect(await world.items('KEY#')).toEqual([])
    expect(world.all().filter(({ sk }) => sk === '#KEY')).toHaveLength(1)
    const counter = await world.counter()
    expect([0, 1, 2].map((slot) => attributesOf(counter, slot))).toEqual([['h0'], [], []])
    expect(await world.profile()).toMatchObject({ keyCount: 1, nextKeySlot: 5 })
    expect(notices).toEqual(['keys-replaced'])
    expect(events).toEqual(
      expect.arrayContaining([
        ['key.rotated', { keyId: 'default' }],
        ...made.map(({ id }) => ['key.revoked', { keyId: id }]),
      ]),
    )
    expect(events).toHaveLength(3)
  })

  test('that another change of the keys has overtaken is noticed, and a change of nothing is none', async () => {
    const { account, create, rotate, remove, change } = await openKeyWorld()
    const { id } = await create('mine')
    for (const [work, expected] of [
      [() => change(id, { name: 'renamed' }), false],
      [() => rotate(id), true],
      [() => create('another'), true],
      [() => remove(id), true],
    ] as const) {
      const before = await account()
      await work()
      expect(haveKeysChanged(before, await account())).toBe(expected)
    }
  })
})

describe('a deletion', () => {
  test('takes all that the counter has of the key, is announced, and is no error again for 48 hours', async () => {
    const { create, remove, announced, counter, items, told, advance, nowMs } = await openKeyWorld()
    const [gone, kept] = [
      await create('gone', { rate: { unitsPerSecond: 1, burst: 1 } }),
      await create('kept'),
    ]
    expect(await announced(() => remove(gone.id))).toEqual({
      events: [['key.revoked', { keyId: gone.id }]],
      notices: [],
      audit: ['account.key-revoked'],
    })
    expect([attributesOf(await counter(), 1), attributesOf(await counter(), 2)]).toEqual([[], ['h2']])
    expect([await told(gone.key), await told(kept.key)]).toEqual(['unauthorized', 'works'])
    expect(await items('REVOKED#')).toMatchObject([{ ttl: (nowMs() + 2 * DAY_MS) / 1000 }])
    advance(1000)
    expect(await announced(() => remove(gone.id))).toEqual({ events: [], notices: [], audit: [] })
    expect(await codeOf(remove('0'.repeat(24)))).toBe('not_found')
    expect(await codeOf(remove('default'))).toBe('default_key_required')
    expect((await items('AUDIT#')).map(({ action, before }) => [action, before])).toContainEqual([
      'account.key-revoked',
      { key: gone.id, last4: gone.last4 },
    ])
  })
})

describe('a key of Skylink’s page', () => {
  test('keeps its domain in the metadata, with what else is there', async () => {
    const { ports, caller, change } = await openKeyWorld()
    const none = await createApp(ports, await caller(), { name: 'a' }, undefined)
    expect([none.settings, corsUrlOf(none)]).toEqual([{}, undefined])
    const made = await createApp(ports, await caller(), { name: 'b', corsUrl: 'b.example' }, undefined)
    expect([made.settings, corsUrlOf(made)]).toEqual([{ metadata: '{"corsurl":"b.example"}' }, 'b.example'])
    await change(made.id, { metadata: '{"team":"blue","corsurl":"b.example"}' })
    const renamed = await changeApp(ports, await caller(), made.id, { name: 'c' })
    expect([renamed.name, renamed.settings.metadata]).toEqual(['c', '{"team":"blue","corsurl":"b.example"}'])
    const moved = await changeApp(ports, await caller(), made.id, { corsUrl: 'c.example' })
    expect([moved.name, moved.settings.metadata]).toEqual(['c', '{"team":"blue","corsurl":"c.example"}'])
    const without = await changeApp(ports, await caller(), made.id, { corsUrl: '' })
    expect(without.settings.metadata).toBe('{"team":"blue"}')
    await change(made.id, { metadata: '{"corsurl":7}' })
    expect(corsUrlOf(await changeApp(ports, await caller(), made.id, { name: 'd' }))).toBeUndefined()
  })

  test('takes a domain as long as the metadata has room for it, and not a byte more', async () => {
    const { ports, caller } = await openKeyWorld()
    const { id } = await createApp(ports, await caller(), { name: 'a' }, undefined)
    const room = 1024 - Buffer.byteLength('{"corsurl":""}')
    await changeApp(ports, await caller(), id, { corsUrl: 'x'.repeat(room) })
    await expect(
      changeApp(ports, await caller(), id, { corsUrl: 'x'.repeat(room + 1) }),
    ).rejects.toMatchObject({ code: 'invalid_request', fields: [{ field: 'corsurl' }] })
    const without = await changeApp(ports, await caller(), id, { corsUrl: '' })
    expect(without.settings).toEqual({})
  })
})
