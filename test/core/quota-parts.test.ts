import { describe, expect, test } from 'vitest'
import { keyIdOf } from '../../core/keys/key-text.ts'
import type { Ports } from '../../core/ports.ts'
import { readBalance } from '../../core/quota/balance.ts'
import { consumeBatch } from '../../core/quota/batch.ts'
import { stageGroup } from '../../core/quota/batch-commit.ts'
import { nextGroup } from '../../core/quota/batch-group.ts'
import { consumeUnits } from '../../core/quota/consume.ts'
import { cacheEntry } from '../../core/quota/container-cache.ts'
import { parseCounter } from '../../core/quota/counter.ts'
import { expireReservations } from '../../core/quota/expire-reservations.ts'
import { consumeTogether } from '../../core/quota/group-commit.ts'
import { freshKeyCaller } from '../../core/quota/key-caller.ts'
import { renewedUnits, settleWithin } from '../../core/quota/overrun.ts'
import { agreedId, epochMsAt, idTimeAt, macOf, readEntry, requestIdOf } from '../../core/quota/request-id.ts'
import { requireKey } from '../../core/quota/require-key.ts'
import { newNonces, nonceIn, readOpenReservations, reservationIdOf } from '../../core/quota/reservation.ts'
import { expr } from '../../core/table/expression.ts'
import { type Key, keys, reservationAlarmKey, reservationKey } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { DAY_MS, HOUR_MS } from '../../core/time.ts'
import { WHOLE_RUN } from '../machine/faults.ts'
import { openLotWorld } from '../machine/lot-world.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { openQuotaWorld, START_MS } from '../machine/quota-world.ts'
import { keyringOf } from '../support/keyrings.ts'
import { losingRaces } from '../support/lost-races.ts'

const keyring = keyringOf('5'.repeat(64))
const deps = { keyring } as unknown as Ports

describe('the id of a request', () => {
  const timeOf = (text: string) => requestIdOf(deps, 'account', text).time
  const AT_MS = Date.UTC(2026, 10, 21, 12, 0, 0, 123)
  const hex = AT_MS.toString(16).padStart(12, '0')
  const uuid = `${hex.slice(0, 8)}-${hex.slice(8)}-7abc-8def-0123456789ab`
  /** A ULID of this time. */
  const ulid = (ms: number) => {
    const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
    const time = Array.from({ length: 10 }, (_, at) => digits[Math.floor(ms / 32 ** (9 - at)) % 32])
    return `${time.join('')}ABCDEFGHJKMNPQRS`
  }

  test('has a time if it is a UUIDv7 or a ULID, in any case of its letters', () => {
    expect(timeOf(uuid)).toBe(idTimeAt(AT_MS))
    expect(timeOf(uuid.toUpperCase())).toBe(idTimeAt(AT_MS))
    expect(timeOf(ulid(AT_MS))).toBe(idTimeAt(AT_MS))
    expect(timeOf(ulid(AT_MS).toLowerCase())).toBe(idTimeAt(AT_MS))
    expect(epochMsAt(timeOf(uuid))).toBe(AT_MS)
    expect([epochMsAt(0), epochMsAt(5)]).toEqual([0, Date.UTC(2020, 0, 1) + 5])
  })

  test.each([
    ['another version', uuid.replace('-7', '-4')],
    ['another variant', uuid.replace('-8def', '-cdef')],
    ['something before it', `x${uuid}`],
    ['something after it', `${uuid}0`],
    ['a ULID with something before it', `0${ulid(AT_MS)}`],
    ['a ULID with something after it', `${ulid(AT_MS)}0`],
    ['a ULID of a letter that it has not', ulid(AT_MS).replace(/.$/, 'U')],
    ['a ULID beyond its range', ulid(AT_MS).replace(/^./, '8')],
    ['any other text', 'order 17'],
  ])('has no time with %s', (_, text) => {
    expect(timeOf(text)).toBe(0)
  })

  test('has no time before 2020 or after 2054, which the ring could not hold', () => {
    const at = (ms: number) => timeOf(ulid(ms))
    const first = Date.UTC(2020, 0, 1) + 0x01_00000000
    const last = Date.UTC(2020, 0, 1) + 0xfb_ffffffff
    expect([at(first - 1), at(first), at(last), at(last + 1)]).toEqual([0, 0x01_00000000, 0xfb_ffffffff, 0])
  })

  test('is the same for the same account and name, and for no other', () => {
    const entry = (account: string, ...name: Parameters<typeof requestIdOf>[2][]) =>
      requestIdOf(deps, account, name[0] ?? '').entries[0].toString('hex')
    const names = [
      entry('a', 'x'),
      entry('b', 'x'),
      entry('a', 'X'),
      entry('a', ['x', 0]),
      entry('a', ['x', 1]),
    ]
    expect(new Set([...names, entry('a', ['x', 'reserve']), entry('a', uuid)]).size).toBe(7)
    expect(entry('a', 'x')).toBe(entry('a', 'x'))
    expect(entry('a', uuid)).toBe(entry('a', uuid.toUpperCase()))
    expect(requestIdOf(deps, 'a', [uuid, 3]).time).toBe(idTimeAt(AT_MS))
  })

  test('is read again as it was stored', () => {
    const timed = requestIdOf(deps, 'a', uuid)
    expect(readEntry(timed.entries[0])).toEqual({ kind: 'timed', bytes: timed.entries[0], time: timed.time })
    expect(macOf(timed.entries[0])).toHaveLength(6)
    const untimed = requestIdOf(deps, 'a', 'x').entries[0]
    expect([untimed.length, untimed[0]]).toEqual([11, 0])
    expect(readEntry(untimed)).toEqual({ kind: 'untimed', bytes: untimed })
  })

  test('may be in the body, in the header or the same in both', () => {
    expect([
      agreedId('a', undefined),
      agreedId(undefined, 'b'),
      agreedId('c', 'c'),
      agreedId(undefined, undefined),
    ]).toEqual(['a', 'b', 'c', undefined])
    expect(() => agreedId('a', 'b')).toThrow(
      expect.objectContaining({
        code: 'invalid_request',
        fields: [{ field: 'requestId', message: 'differs from the Idempotency-Key header; send only one' }],
      }),
    )
  })
})

test('a bounded memory keeps the newest entries, and one that is set again counts as new', () => {
  const map = new Map<string, number>()
  for (const [at, name] of ['a', 'b', 'c'].entries()) cacheEntry(map, name, at, 3)
  cacheEntry(map, 'a', 9, 3)
  expect([...map]).toEqual([
    ['b', 1],
    ['c', 2],
    ['a', 9],
  ])
  cacheEntry(map, 'd', 4, 3)
  expect([...map.keys()]).toEqual(['c', 'a', 'd'])
})

describe('the balance', () => {
  test('has what is left, used, reserved, and what expires when', async () => {
    const world = await openLotWorld(openQuotaWorld, { left: 100 })
    const balance = async () => {
      const { left, used, reserved, expiring } = await readBalance(world.ports, world.keys[0] ?? '')
      return { left, used, reserved, expiring }
    }
    await world.spend(7)
    await world.reserve(20, { ttlSeconds: 3600 })
    expect(await balance()).toEqual({ left: 73, used: 7, reserved: 20, expiring: undefined })
    await world.credit(50, 2)
    await world.credit(30, 5)
    const endMs = (days: number) => Math.ceil(START_MS / DAY_MS + days) * DAY_MS
    expect(await balance()).toEqual({
      left: 153,
      used: 7,
      reserved: 20,
      expiring: [
        { units: 30, atMs: endMs(2) },
        { units: 30, atMs: endMs(5) },
      ],
    })
    // Three days later the first have expired, although nobody has spent since.
    world.advance(3 * DAY_MS)
    expect(await balance()).toMatchObject({ left: 123, expiring: [{ units: 30, atMs: endMs(5) }] })
  })

  test('counts units that return after their end until the next day', async () => {
    const world = await openLotWorld(openQuotaWorld, { left: 0 })
    await world.credit(50, 2)
    const { id } = await world.reserve(20, { ttlSeconds: 4 * 86_400 })
    world.advance(3 * DAY_MS)
    await world.endLots()
    expect(await world.numbers()).toMatchObject({ left: 0, held: 20, expired: 30 })
    expect((await world.settle(id, 5)).covered).toBe(5)
    const { left, expiring } = await readBalance(world.ports, world.keys[0] ?? '')
    expect([left, expiring]).toEqual([
      15,
      [{ units: 15, atMs: Math.ceil(START_MS / DAY_MS + 2) * DAY_MS + DAY_MS }],
    ])
    world.advance(DAY_MS)
    expect(await readBalance(world.ports, world.keys[0] ?? '')).toMatchObject({ left: 0 })
  })

  test('and a check of a key are for a live key of an account that is not blocked', async () => {
    const world = await openQuotaWorld()
    const key = world.keys[0] ?? ''
    await requireKey(world.ports, { text: key })
    await expect(requireKey(world.ports, { text: `${key}0` })).rejects.toMatchObject({ code: 'unauthorized' })
    for (const blocked of ['deactivated', 'suspended']) {
      await world.table.update(keys.quota(world.accountId), expr`SET #x = ${blocked}`)
      const code = `account_${blocked}`
      await expect(requireKey(world.ports, { text: key })).rejects.toMatchObject({ code })
      await expect(readBalance(world.ports, key)).rejects.toMatchObject({ code })
      expect(await world.spend(1)).toBe(code)
    }
  })
})

test('a key is checked out of the table, with its stamp, for a caller who must not rely on a memory', async () => {
  const world = await openQuotaWorld({ keyCount: 2 })
  const caller = await freshKeyCaller(world.ports, { text: world.keys[1] ?? '' })
  expect(caller).toMatchObject({ accountId: world.accountId, slot: 1, stamp: expect.any(Buffer) })
  await world.table.remove(keys.key(world.accountId, caller.key.id))
  await expect(freshKeyCaller(world.ports, { text: world.keys[1] ?? '' })).rejects.toMatchObject({
    code: 'unauthorized',
  })
})

describe('the ids of a batch that share an archive item', () => {
  async function open(count: number, offsetMs = 0) {
    const world = await openQuotaWorld({ left: 1000 })
    const ids = Array.from({ length: count }, () =>
      requestIdOf(world.ports, world.accountId, world.timed(offsetMs)),
    )
    const requests = ids.map((id) => ({ units: 1, tag: undefined, id }))
    const counter = parseCounter(await world.counter())
    const group = (over: Partial<typeof counter> = {}, isCrowded = false) =>
      nextGroup(requests, { ...counter, ...over }, idTimeAt(world.nowMs()), isCrowded)
    return { world, ids, group }
  }

  test('stay in the item of an earlier try if they are the same, and else get another one', async () => {
    const { world, group } = await open(8)
    const puts: unknown[] = []
    const table = {
      ...world.table,
      put: (...request: Parameters<typeof world.table.put>) => {
        puts.push(request[0])
        return world.table.put(...request)
      },
    }
    const through = { ...world.ports, table }
    const first = await stageGroup(through, world.accountId, group(), undefined)
    expect(first).toBeDefined()
    expect(await stageGroup(through, world.accountId, group(), first)).toBe(first)
    expect(puts).toHaveLength(1)
    const fewer = { ...group(), ids: group().ids.slice(1) }
    const second = await stageGroup(through, world.accountId, fewer, first)
    expect(second?.ids).toEqual(fewer.ids)
    const reversed = { ...group(), ids: [...group().ids].reverse() }
    await stageGroup(through, world.accountId, reversed, first)
    expect(puts).toHaveLength(3)
    expect(await stageGroup(through, world.accountId, { ...group(), span: undefined }, first)).toBeUndefined()
  })

  test('get another nonce if theirs is taken, and another failure is told', async () => {
    const { world, group } = await open(8)
    const { table, lost } = losingRaces(world.table, (_, { sk }) => sk.startsWith('SPENT#'), 2)
    expect(await stageGroup({ ...world.ports, table }, world.accountId, group(), undefined)).toBeDefined()
    expect(lost()).toBe(2)
    const put = () => Promise.reject(new TypeError('torn'))
    const torn = { ...world.ports, table: { ...world.table, put } }
    await expect(stageGroup(torn, world.accountId, group(), undefined)).rejects.toThrow('torn')
  })

  test('are none that are ahead of the clock, and none among older ones where these are crowded', async () => {
    const now = await open(8)
    expect(now.group().span).toBeDefined()
    const [{ time = 0 } = {}] = now.ids
    expect(now.group({ newestArchived: time }).span).toBeDefined()
    expect(now.group({ newestArchived: time }, true).span).toBeUndefined()
    expect(now.group({ newestArchived: time - 1 }, true).span).toBeDefined()
    // Ids ahead of the clock were archived, and these are not newer than all else.
    expect(now.group({ firstAhead: time, newestArchived: 0 }).span).toBeUndefined()
    expect(now.group({ firstAhead: time, newestArchived: time }).span).toBeDefined()
    expect((await open(8, HOUR_MS)).group().span).toBeUndefined()
  })
})

describe('open reservations that have items of their own', () => {
  test('are read page by page, without those that have ended', async () => {
    const table = memoryTable()
    const nonce = (n: number) => n.toString(16).padStart(12, '0')
    for (let n = 0; n < 401; n++) {
      const item = {
        units: n,
        slot: 0,
        expiresAtMs: 5000,
        ...(n % 2 === 0 && { due: 'RESERVED#1', dueAtMs: 1 }),
      }
      await table.put({ ...reservationKey('account', nonce(n)), ...item })
    }
    const pages: number[] = []
    const seen: number[] = []
    let after: Key | undefined
    do {
      const page = await readOpenReservations({ table } as unknown as Ports, 'account', after)
      pages.push(page.open.length)
      seen.push(...page.open.map(({ units }) => units))
      after = page.next
    } while (after)
    expect(pages).toEqual([100, 100, 1])
    expect(seen).toEqual(Array.from({ length: 201 }, (_, n) => 2 * n))
  })

  test('have ids that name them, and leases others', () => {
    const nonce = Buffer.from('0123456789ab', 'hex')
    const [reservation, lease] = [reservationIdOf(START_MS, nonce), reservationIdOf(START_MS, nonce, '9000')]
    expect(nonceIn(reservation)).toEqual(nonce)
    expect(nonceIn(lease, '9000')).toEqual(nonce)
    expect([
      nonceIn(lease),
      nonceIn(reservation, '9000'),
      nonceIn(`${reservation}0`),
      nonceIn(`0${reservation}`),
    ]).toEqual([undefined, undefined, undefined, undefined])
  })

  test('have the nonces that each live secret gives their request', () => {
    const macs = keyring.macs
    const rotating = {
      keyring: {
        ...keyring,
        macs: (...parts: Parameters<typeof macs>) => {
          const [mac] = macs(...parts)
          return [mac, Buffer.from(mac).reverse(), Buffer.from(mac).fill(7)]
        },
      },
    } as unknown as Ports
    const id = requestIdOf(rotating, 'account', 'r-1')
    expect(id.entries).toHaveLength(3)
    const nonces = newNonces(rotating, 'account', id)
    expect(nonces).toHaveLength(3)
    const of = (at: number) =>
      rotating.keyring
        .macs('mac:reservation', 'account', id.entries[at]?.toString('hex') ?? '')
        [at]?.subarray(0, 6)
    expect(nonces).toEqual([of(0), of(1), of(2)])
  })
})

describe('requests of a key that come together', () => {
  test('are told where the key stands with its rate, and whose they are', async () => {
    const limits = [{ rate: { unitsPerSecond: 10, burst: 100 } }]
    const world = await openQuotaWorld({ left: 1000, limits })
    const spend = (units: number) =>
      consumeTogether(world.ports, world.keys[0] ?? '', { units, requestId: world.timed() })
    const answers = await Promise.all([1, 2, 3, 4].map(spend))
    expect(answers).toMatchObject(
      answers.map(() => ({
        account: world.accountId,
        key: { id: 'default' },
        rate: { left: expect.any(Number) },
      })),
    )
    expect(answers.map(({ used }) => used).sort((a, b) => a - b)).toEqual([1, 3, 6, 10])
    expect(Math.min(...answers.map(({ rate }) => rate?.left ?? 0))).toBe(90)
  })

  test('with and without an id are no part of one write', async () => {
    const world = await openQuotaWorld({ left: 1000 })
    const writes: boolean[] = []
    const table = {
      ...world.table,
      update: (...request: Parameters<typeof world.table.update>) => {
        writes.push(request[3]?.once === true)
        return world.table.update(...request)
      },
    }
    const through = { ...world.ports, table }
    const spend = (requestId?: string) => world.spendTogether(1, requestId, { through })
    const ids = [undefined, world.timed(), undefined, world.timed(), undefined, world.timed()]
    expect(await Promise.all(ids.map(spend))).toEqual(ids.map(() => 200))
    // What has no id must not be sent again after a lost reply.
    expect(writes.toSorted()).toEqual([false, false, true, true])
  })
})

describe('the job that ends units', () => {
  test('first applies the ledger, and fails if the counter does not come to rest', async () => {
    const world = await openLotWorld(openQuotaWorld, { left: 10 })
    await world.sell(50, 2)
    world.advance(3 * DAY_MS)
    expect(await world.endLots()).toEqual({ done: 1, failed: 0 })
    expect(await world.numbers()).toMatchObject({ left: 10, expired: 50, unbooked: 0 })
    await world.checkBooks('ended', 10)
    await world.credit(20, 1)
    world.advance(2 * DAY_MS)
    const counter = keys.quota(world.accountId)
    const { table, lost } = losingRaces(world.table, (_, { sk }) => sk === counter.sk)
    expect(await world.endLots({ ...world.ports, table })).toEqual({ done: 0, failed: 1 })
    expect(lost()).toBe(20)
    expect(await world.endLots()).toEqual({ done: 1, failed: 0 })
  })
})

describe('the job that ends reservations', () => {
  /** Units of an expired reservation return to an account that owes, of which `owing` are still owed then. */
  async function ended(heldMore: number, stillOwes: boolean) {
    const world = await openQuotaWorld({ left: 100 })
    await world.reserve(20)
    if (heldMore > 0) await world.reserve(heldMore, { ttlSeconds: 3600 })
    const alarm = reservationAlarmKey(world.accountId)
    await world.table.update(alarm, expr`SET #owes = ${true}`)
    world.advance(HOUR_MS / 2)
    const asked: string[] = []
    const worked = await expireReservations(world.ports, WHOLE_RUN, async (accountId) => {
      asked.push(accountId)
      return stillOwes
    })
    return { worked, asked: asked.length, alarm: (await world.table.get(alarm)) !== undefined }
  }

  test('collects what is owed, and looks again only while units are held that are owed', async () => {
    expect(await ended(0, true)).toMatchObject({ worked: { done: 1 }, asked: 1, alarm: false })
    expect(await ended(0, false)).toMatchObject({ worked: { done: 1 }, asked: 1, alarm: false })
    expect(await ended(5, true)).toMatchObject({ asked: 1, alarm: true })
  })
})

test('a key that expires is refused from that moment on, by what a container remembers as well', async () => {
  const world = await openQuotaWorld({ keyCount: 2 })
  const id = keyIdOf(world.accountId, 1)
  const key = keys.key(world.accountId, id)
  const item = (await world.table.get(key)) ?? {}
  const expiresAtMs = world.nowMs() + HOUR_MS
  await world.table.put({ ...item, settings: { expiresAtMs, metadata: JSON.stringify({ team: 'a' }) } })
  const spend = () => consumeUnits(world.ports, world.keys[1] ?? '', { units: 1 })
  expect((await spend()).key).toEqual({ id, name: 'key 1', scopes: [], metadata: { team: 'a' } })
  expect(await freshKeyCaller(world.ports, { text: world.keys[1] ?? '' })).toMatchObject({ expiresAtMs })
  world.advance(HOUR_MS - 1)
  expect((await spend()).used).toBe(2)
  world.advance(1)
  await expect(spend()).rejects.toMatchObject({ code: 'key_expired' })
})

describe('a batch', () => {
  test('writes its ids in the order of their times, whatever its own order', async () => {
    const world = await openQuotaWorld({ left: 1000 })
    const ids = [3, 1, 2].map((ms) => requestIdOf(world.ports, world.accountId, world.timed(-ms * 1000)))
    const requests = ids.map((id) => ({ units: 1, tag: undefined, id }))
    const counter = parseCounter(await world.counter())
    const group = nextGroup(requests, counter, idTimeAt(world.nowMs()), false)
    expect(group.ids).toEqual([ids[0], ids[2], ids[1]])
    expect(group.requests).toEqual(requests)
  })

  test('tells of an id that it has twice that the second has spent nothing', async () => {
    const world = await openQuotaWorld({ left: 1000 })
    const [one, two] = [world.timed(), world.timed()]
    const { answers } = await consumeBatch(
      world.ports,
      world.keys[0] ?? '',
      [one, two, one].map((requestId) => ({ units: 4, requestId })),
    )
    expect(answers.map((answer) => answer?.replayed)).toEqual([undefined, undefined, true])
    expect(await world.counter()).toMatchObject({ u: 8 })
  })

  test('of requests for no units writes nothing', async () => {
    const world = await openQuotaWorld({ left: 10 })
    let writes = 0
    const update: typeof world.table.update = (...request) => {
      writes++
      return world.table.update(...request)
    }
    const through = { ...world.ports, table: { ...world.table, update } }
    expect(await world.batch([{ units: 0 }, { units: 0 }], { through })).toEqual([200, 200])
    expect(writes).toBe(0)
  })
})

test('the percentages of a plan are those of the last sale, and go with a plan that has none', async () => {
  const world = await openLotWorld(openQuotaWorld, { left: 10 })
  const percentages = async (plan: object) => {
    await world.sell(100)
    const entries = (await world.table.list(keys.account(world.accountId), 'LEDGER#', {})) as Item[]
    await world.table.put({ ...entries.at(-1), size: 100, ...plan } as never)
    await world.applyLedger()
    const { L: lowPercent, R: renewalPercent } = await world.counter()
    return { lowPercent, renewalPercent }
  }
  const both = { lowPercent: 30, renewalPercent: 7 }
  expect(await percentages(both)).toEqual(both)
  expect(await percentages(both)).toEqual(both)
  expect(await percentages({ lowPercent: 40, renewalPercent: 8 })).toEqual({
    lowPercent: 40,
    renewalPercent: 8,
  })
  expect(await percentages({ lowPercent: 40 })).toEqual({ lowPercent: 40, renewalPercent: undefined })
  expect(await percentages(both)).toEqual(both)
  expect(await percentages({})).toEqual({ lowPercent: undefined, renewalPercent: undefined })
})

test('units that were held when they expired are looked at again after the day', async () => {
  const world = await openLotWorld(openQuotaWorld, { left: 0 })
  await world.credit(50, 2)
  await world.reserve(20, { ttlSeconds: 4 * 86_400 })
  world.advance(3 * DAY_MS)
  await world.endLots()
  const [lot] = (await world.table.list(keys.account(world.accountId), 'LOT#', {})) as Item[]
  expect(lot?.dueAtMs).toBe((Math.floor(world.nowMs() / DAY_MS) + 1) * DAY_MS)
})

test('a reservation of a key without a budget leaves the day of the counter to those who spend', async () => {
  const world = await openQuotaWorld({ left: 100 })
  await world.spend(1)
  world.advance(DAY_MS)
  let writes = 0
  const update: typeof world.table.update = (...request) => {
    if (request[0].sk === '#QUOTA') writes++
    return world.table.update(...request)
  }
  await world.reserve(5, { through: { ...world.ports, table: { ...world.table, update } } })
  expect([writes, (await world.counter()).y]).toEqual([1, 5])
})

describe('a settle of a key with a budget', () => {
  const allowance = { limits: {}, ceiling: 100, taken: 90, periodEndMs: undefined, arrivalUs: 0, nowUs: 0 }
  const holder = { slot: 1, allowance, stamp: Buffer.alloc(8) }

  test('renews its lease with what the budget has left, and with what it gives back', async () => {
    const world = await openQuotaWorld({ left: 1000 })
    const counter = parseCounter(await world.counter())
    const renewed = (before: number, counted: number, wanted: number) =>
      renewedUnits({ units: counted, before, charged: 0, wanted }, counted, counter, holder)
    expect(renewed(20, 15, 50)).toBe(15)
    expect(renewed(20, 20, 50)).toBe(10)
    expect(renewed(20, 25, 50)).toBe(5)
    expect(renewed(20, 40, 50)).toBe(0)
    expect(renewed(20, 0, 7)).toBe(7)
  })

  test('takes units, or a new lease, only within the budget', async () => {
    const world = await openQuotaWorld({ left: 1000 })
    const counter = parseCounter(await world.counter())
    const conditions = (growth: number, opened: number, isPartial = false) =>
      settleWithin(holder, counter, { growth, opened, isPartial }).conditions.length
    const least = conditions(0, 0)
    expect(conditions(-5, 0)).toBe(least)
    expect(conditions(0, 5)).toBe(least + 1)
    expect(conditions(-5, 5)).toBe(least + 1)
    expect(conditions(5, 0)).toBeGreaterThan(least)
    expect(conditions(0, 5, true)).toBe(least + 2)
  })
})
