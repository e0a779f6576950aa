import { describe, expect, test } from 'vitest'
import { AHEAD_MS } from '../../core/quota/archive.ts'
import { cacheOf } from '../../core/quota/container-cache.ts'
import { parseCounter } from '../../core/quota/counter.ts'
import { entriesToEvict, groupBySpan, LATE_TOGETHER, makeRoom } from '../../core/quota/evict.ts'
import { type Entry, readEntry } from '../../core/quota/request-id.ts'
import { RING_MOST, ringMost } from '../../core/quota/ring-size.ts'
import { expr } from '../../core/table/expression.ts'
import { type Key, keys } from '../../core/table/keys.ts'
import type { Item, Table } from '../../core/table/table.ts'
import { openQuotaWorld, type QuotaWorld } from '../machine/quota-world.ts'

const NOW = 10_000_000
/** The archive has ids up to this time. */
const ARCHIVED = NOW - 60_000

const timed = (time: number) => ({ kind: 'timed', time }) as Entry
const batch = (time: number) => ({ kind: 'batch', time }) as Entry
const untimed = { kind: 'untimed' } as unknown as Entry

/** The times of what leaves a ring that keeps `kept` entries. */
function leaving(ring: Entry[], kept: number, newestArchived = ARCHIVED) {
  const { inOrder, behind, alone, batches } = entriesToEvict(ring, { newestArchived }, NOW, kept)
  const times = (entries: readonly Entry[]) =>
    entries.map((each) => ('time' in each ? each.time - NOW : each.kind))
  return { inOrder: times(inOrder), behind: times(behind), alone: times(alone), batches: times(batches) }
}

const inOrder = (...agoMs: number[]) => agoMs.map((ms) => timed(NOW - ms))

describe('what leaves a full ring', () => {
  test('are the oldest of those in order, however the set has them, until the newest are left', () => {
    expect(leaving(inOrder(1, 5, 3, 4, 2), 2)).toEqual({
      inOrder: [-5, -4, -3],
      behind: [],
      alone: [],
      batches: [],
    })
    expect(leaving(inOrder(1, 2), 2).inOrder).toEqual([])
  })

  test('are with an entry all others of its millisecond', () => {
    expect(leaving(inOrder(5, 4, 4, 4, 1), 3).inOrder).toEqual([-5, -4, -4, -4])
  })

  test('are the oldest batches before any other entry, however the set has them', () => {
    const ring = [batch(NOW - 1), batch(NOW - 9), batch(NOW - 5), ...inOrder(100, 50)]
    expect(leaving(ring, 3)).toMatchObject({ batches: [-9, -5], inOrder: [] })
    expect(leaving(ring, 1)).toMatchObject({ batches: [-9, -5, -1], inOrder: [-100] })
    expect(leaving(ring, 5)).toMatchObject({ batches: [], inOrder: [] })
    expect(leaving(ring, 9)).toMatchObject({ batches: [], inOrder: [] })
  })

  test('are those alone that have no time, are older than the archive, or a minute ahead of the clock', () => {
    const old = timed(ARCHIVED - 500_000)
    const ahead = timed(NOW + AHEAD_MS + 1)
    expect(leaving([untimed, old, ahead, ...inOrder(2, 1)], 2)).toEqual({
      inOrder: [],
      behind: [],
      alone: ['untimed', ARCHIVED - 500_000 - NOW, AHEAD_MS + 1],
      batches: [],
    })
    // A minute ahead to the millisecond is still in order.
    expect(leaving([timed(NOW + AHEAD_MS), ...inOrder(2)], 0).inOrder).toEqual([-2, AHEAD_MS])
  })

  test('are those behind together with the others, if they are no further behind than these go beyond', () => {
    const ring = [
      timed(ARCHIVED),
      timed(ARCHIVED - 29_000),
      timed(ARCHIVED - 30_000),
      ...inOrder(40_000, 30_000, 1),
    ]
    expect(leaving(ring, 1)).toEqual({
      inOrder: [-40_000, -30_000],
      behind: [ARCHIVED - NOW, ARCHIVED - 29_000 - NOW],
      alone: [ARCHIVED - 30_000 - NOW],
      batches: [],
    })
  })

  test('are those behind whose time was just now, whatever the archive has', () => {
    const ring = [timed(NOW - 999), timed(NOW - 1000)]
    expect(leaving(ring, 5, NOW)).toMatchObject({ behind: [-999], alone: [-1000] })
  })

  test('are no late ones while they are few and enough others leave: they wait for more', () => {
    const many = inOrder(...Array.from({ length: LATE_TOGETHER + 1 }, (_, n) => LATE_TOGETHER + 1 - n))
    const late = timed(ARCHIVED - 500_000)
    const few = (count: number) => Array.from({ length: count }, () => late)
    expect(leaving([...few(LATE_TOGETHER - 1), ...many], 1)).toMatchObject({ behind: [], alone: [] })
    expect(leaving([...few(LATE_TOGETHER - 1), ...many], 1).inOrder).toHaveLength(LATE_TOGETHER)
    expect(leaving([...few(LATE_TOGETHER), ...many], 1).alone).toHaveLength(LATE_TOGETHER)
    // With fewer others they leave, and so does one that is ahead of the clock.
    expect(leaving([late, ...many], 2).alone).toHaveLength(1)
    expect(leaving([timed(NOW + 2 * AHEAD_MS), ...many], 1).alone).toHaveLength(1)
    // Batches count among the others.
    const batches = Array.from({ length: LATE_TOGETHER }, (_, n) => batch(NOW - 100 - n))
    expect(leaving([late, ...batches], 0)).toMatchObject({ alone: [] })
  })
})

describe('archive items', () => {
  const groups = (...times: number[]) =>
    groupBySpan(times.map((time) => ({ kind: 'timed', time }) as never)).map(({ ids }) =>
      ids.map(({ time }) => time),
    )

  test('hold all entries, each once, newest first, and none without entries', () => {
    expect(groups()).toEqual([])
    expect(groups(5)).toEqual([[5]])
    const times = [0, 10, 20, 1_000_000, 1_000_001, 90_000_000_000, 90_000_000_001]
    expect(
      groups(...times)
        .flat()
        .toSorted((a, b) => a - b),
    ).toEqual(times)
    expect(groups(...times)[0]).toContain(90_000_000_001)
  })

  test('have the shortest span that covers at least half of what is left', () => {
    const even = Array.from({ length: 20 }, (_, n) => n * 10)
    const [first] = groupBySpan(even.map((time) => ({ kind: 'timed', time }) as never))
    expect(first?.ids.length).toBeGreaterThanOrEqual(10)
    const close = groupBySpan([0, 1, 2].map((time) => ({ kind: 'timed', time }) as never))
    expect(close).toHaveLength(1)
    expect(close[0]?.span).toBe(0)
  })
})

describe('a ring without room', () => {
  /** A world whose ring has so many entries, and a table that evicts nothing by itself. */
  async function full(entries: number) {
    const world = await openQuotaWorld({ left: 10_000 })
    const failing = {
      ...world.ports,
      table: { ...world.table, put: () => Promise.reject(new Error('down')) },
    }
    while (parseCounter(await world.counter()).ring.size < entries) {
      world.advance(1)
      expect(await world.spend(1, world.timed(), { through: failing })).toBe(200)
    }
    const waits: number[] = []
    let reads = 0
    const clock = { ...world.ports.clock, wait: async (ms: number) => void waits.push(ms) }
    const table = {
      ...world.table,
      get: (key: Key) => {
        reads += 1
        return world.table.get(key)
      },
    }
    const room = async (count: number, by: Partial<Table> = {}) => {
      Object.assign(waits, { length: 0 })
      reads = 0
      const deps = { ...world.ports, clock, table: { ...table, ...by } }
      const after = await makeRoom(deps, world.accountId, parseCounter(await world.counter()), count)
      return { size: after?.ring.size, waits: [...waits], reads }
    }
    return { world, room }
  }

  test('is waited for three times, a little longer each time, before entries are evicted', async () => {
    const { room } = await full(RING_MOST)
    const { size, waits, reads } = await room(1)
    expect(size).toBeLessThan(RING_MOST)
    expect([waits.length, reads]).toEqual([3, 3])
    expect(waits[0]).toBe(15)
    for (const [at, ms] of waits.entries()) {
      expect(ms).toBeGreaterThanOrEqual(15)
      expect(ms).toBeLessThanOrEqual(15 + 15 * at)
    }
  })

  test('that has room for the last entry takes it without a read', async () => {
    const { room } = await full(RING_MOST - 1)
    expect(await room(1)).toEqual({ size: undefined, waits: [], reads: 0 })
    expect((await room(2)).reads).toBe(3)
  })

  test('is the next request’s once another one has made room, after one read', async () => {
    const { world, room } = await full(RING_MOST)
    const roomy = {
      ...(await world.counter()),
      a: new Set([...((await world.counter()).a as Set<Uint8Array>)].slice(0, 9)),
    }
    expect(await room(1, { get: async () => roomy })).toMatchObject({ size: 9, waits: [15] })
  })

  test('stays full if nothing can be evicted, and the request is told to come again', async () => {
    const { room } = await full(RING_MOST)
    const failing = room(1, { put: () => Promise.reject(new Error('down')) })
    await expect(failing).rejects.toMatchObject({ code: 'temporarily_unavailable' })
  })
})

describe('an eviction', () => {
  /** Spends for ids of these times from now (ms), or without a time, and then for others until entries were evicted. */
  async function evicted(world: QuotaWorld, ...offsets: (number | undefined)[]) {
    const ids = offsets.map((ms, n) => (ms === undefined ? `untimed-${n}` : world.timed(ms)))
    for (const id of ids) expect(await world.spend(1, id)).toBe(200)
    const before = parseCounter(await world.counter())
    for (let n = 0; n < 100; n++) {
      world.advance(1)
      await world.spend(1, world.timed())
      const { newestArchived, fence } = parseCounter(await world.counter())
      if (newestArchived > before.newestArchived) return { ids, fences: fence - before.fence }
    }
    throw new Error('nothing was evicted')
  }
  /** Whether each id is known, for a container that has seen nothing. */
  async function known(world: QuotaWorld, ids: readonly string[]) {
    const through = { ...world.ports, table: { ...world.table } }
    const used = (await world.counter()).u
    for (const id of ids) expect(await world.spend(1, id, { through })).toBe(200)
    return (await world.counter()).u === used
  }

  test('of ids in order leaves the fence as it is: no look into the archive can have missed one', async () => {
    const world = await openQuotaWorld({ left: 10_000 })
    const { ids, fences } = await evicted(world, 0)
    expect(fences).toBe(0)
    expect(await known(world, ids)).toBe(true)
    expect((await evicted(world, 0)).fences).toBe(0)
  })

  test.each([
    ['without a time', [undefined]],
    ['that came late', [-500_000]],
    ['that came a little late', [-50]],
    ['of both kinds', [-50, undefined]],
    ['ahead of the clock', [3_600_000]],
  ])('of ids %s changes the fence, and they stay known', async (_, offsets) => {
    const world = await openQuotaWorld({ left: 10_000 })
    // The archive has ids already, so these are late.
    await evicted(world, 0)
    const { ids, fences } = await evicted(
      world,
      ...offsets,
      ...Array.from({ length: LATE_TOGETHER }, () => undefined),
    )
    expect(fences).toBe(1)
    expect(await known(world, ids)).toBe(true)
  })

  test('changes the fence each time while ids ahead of the clock are in the archive', async () => {
    const world = await openQuotaWorld({ left: 10_000 })
    await evicted(world, 3_600_000)
    expect((await evicted(world, 0)).fences).toBe(1)
    expect((await evicted(world, 0)).fences).toBe(1)
  })

  test('of a batch leaves its ids known, and each once', async () => {
    const world = await openQuotaWorld({ left: 10_000 })
    const ids = Array.from({ length: 5 }, () => world.timed())
    expect(await world.batch(ids.map((requestId) => ({ units: 1, requestId })))).toEqual(ids.map(() => 200))
    expect(readEntries(await world.counter())).toContain('batch')
    await world.fill(60)
    expect(readEntries(await world.counter())).not.toContain('batch')
    expect(await known(world, ids)).toBe(true)
  })
})

const readEntries = (counter: Item) => [...parseCounter(counter).ring].map((entry) => readEntry(entry).kind)

test('a container remembers the ring of an account only while it is smaller than others', async () => {
  const world = await openQuotaWorld({ left: 10_000 })
  const { ringMosts } = cacheOf(world.table)
  await world.spend(1, world.timed())
  expect([...ringMosts]).toEqual([])
  // What else the counter has takes room of the ring.
  await world.table.update(keys.quota(world.accountId), expr`SET #filler = ${'x'.repeat(500)}`)
  world.advance(1)
  await world.spend(1, world.timed())
  const most = ringMost(await world.counter())
  expect(most).toBeLessThan(RING_MOST)
  expect([...ringMosts]).toEqual([[world.accountId, most]])
  await world.table.update(keys.quota(world.accountId), expr`REMOVE #filler`)
  world.advance(1)
  await world.spend(1, world.timed())
  expect([...ringMosts]).toEqual([])
})
