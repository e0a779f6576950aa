import { describe, expect, test } from 'vitest'
import { keyHash } from '../../core/keys/key-text.ts'
import { rungOf } from '../../core/quota/ladder.ts'
import { memoryOf } from '../../core/quota/memory.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { sizeOf } from '../support/quota.ts'
import { callsOf, interleaved, openQuotaWorld, type QuotaWorld } from '../support/quota-world.ts'

const DAY_MS = 24 * 3_600_000

/** Units used and left, which add up to what there was. */
async function expectUsed(world: QuotaWorld, used: number, total = 1000): Promise<void> {
  const { l, f, u } = (await world.counter()) as Record<string, number>
  expect({ used: u, left: (l ?? 0) + (f ?? 0) }).toEqual({ used, left: total - used })
}

const kinds: [string, (world: QuotaWorld) => string][] = [
  ['time-ordered', (world) => world.timed()],
  ['late', (world) => world.timed(-3_600_000)],
  ['untimed', () => 'a word'],
  ['future', (world) => world.timed(3_600_000)],
]

describe.each(kinds)('a %s id', (_, idOf) => {
  test('is spent once, though a turn archives it while its retry is on the way', async () => {
    const world = await openQuotaWorld()
    await world.fill(60)
    const id = idOf(world)
    const meanwhile = async () => {
      expect(await world.spend(1, id)).toBe(200)
      await world.fill(120)
    }
    const through = interleaved(world.ports, 'update', 1, meanwhile)
    expect(await world.spend(1, id, { through })).toBe(200)
    await expectUsed(world, 181)
  })

  test('is spent once, though a turn archives it between the look into the archive and the write', async () => {
    const world = await openQuotaWorld()
    await world.fill(60)
    const id = idOf(world)
    const meanwhile = async () => {
      expect(await world.spend(1, id)).toBe(200)
      await world.fill(120)
    }
    // The first write of a late one is refused; the second comes after the look.
    const calls = await callsOf(world.ports, (through) => world.spend(1, `${id.slice(0, -1)}f`, { through }))
    const writes = calls.filter((call) => call === 'update').length
    const through = interleaved(world.ports, 'update', writes, meanwhile)
    expect(await world.spend(1, id, { through })).toBe(200)
    await expectUsed(world, 182)
  })

  test('is spent once, however many requests and turns come after it', async () => {
    const world = await openQuotaWorld()
    const id = idOf(world)
    await world.spend(1, id)
    for (const more of [0, 40, 40, 40, 300]) {
      await world.fill(more)
      expect(await world.spend(1, id)).toBe(200)
    }
    await expectUsed(world, 421)
  })

  test('is spent once by a batch and a request at once, whoever is first at whichever step', async () => {
    for (const method of ['put', 'update'] as const) {
      const world = await openQuotaWorld()
      await world.fill(60)
      const id = idOf(world)
      const batch = [...Array.from({ length: 5 }, () => world.timed()), id].map((requestId) => ({
        units: 1,
        requestId,
      }))
      const single = interleaved(world.ports, method, 1, async () => {
        expect(await world.batch(batch)).toEqual(Array(6).fill(200))
        await world.fill(1)
      })
      expect(await world.spend(1, id, { through: single })).toBe(200)
      await expectUsed(world, method === 'put' ? 61 : 67, 1000)
      const again = interleaved(world.ports, method, 1, async () => {
        expect(await world.spend(1, id)).toBe(200)
        await world.fill(60)
      })
      expect(await world.batch(batch, { through: again })).toEqual(Array(6).fill(200))
    }
  })
})

test.each([
  ['fresh', 0],
  ['late', -3_600_000],
])('a batch of %s ids, spent by another one between read and write, spends nothing', async (_, offsetMs) => {
  for (const method of ['put', 'update'] as const) {
    for (const turns of [0, 100]) {
      const world = await openQuotaWorld()
      await world.fill(60)
      world.advance(50)
      const batch = Array.from({ length: 10 }, (_, n) => ({ units: 1, requestId: world.timed(offsetMs + n) }))
      const meanwhile = async () => {
        expect(await world.batch(batch)).toEqual(Array(10).fill(200))
        await world.fill(turns)
      }
      const through = interleaved(world.ports, method, 1, meanwhile)
      expect(await world.batch(batch, { through })).toEqual(Array(10).fill(200))
      await expectUsed(world, 70 + turns)
    }
  }
})

test('a batch that broke off after its archive item has spent nothing, and none of its ids counts as spent', async () => {
  const world = await openQuotaWorld()
  const batch = Array.from({ length: 10 }, () => ({ units: 1, requestId: world.timed() }))
  const crashed = interleaved(world.ports, 'update', 1, async () => {
    throw new Error('gone')
  })
  await expect(world.batch(batch, { through: crashed })).rejects.toThrow('gone')
  await expectUsed(world, 0)
  // Now they are late, and are looked for where that item stands.
  await world.fill(100)
  for (const { requestId } of batch.slice(0, 5)) await world.spend(1, requestId)
  expect(await world.batch(batch)).toEqual(Array(10).fill(200))
  await expectUsed(world, 110)
})

test('a batch that commits while a turn is on its way keeps its ids late: the turn does not lower what is newest', async () => {
  const world = await openQuotaWorld()
  await world.fill(49)
  const batch = Array.from({ length: 10 }, () => ({ units: 1, requestId: world.timed(50) }))
  // The second update of the request that fills the ring is its turn.
  const through = interleaved(world.ports, 'update', 2, () => world.batch(batch))
  await world.spend(1, world.timed(), { through })
  for (const { requestId } of batch) expect(await world.spend(1, requestId)).toBe(200)
  await expectUsed(world, 60)
  await world.fill(100)
  expect(await world.batch(batch)).toEqual(Array(10).fill(200))
  for (const { requestId } of batch) expect(await world.spend(1, requestId)).toBe(200)
  await expectUsed(world, 160)
})

test('a turn that lost to another one has archived nothing that was not spent', async () => {
  const world = await openQuotaWorld()
  await world.fill(49)
  const through = interleaved(world.ports, 'update', 2, () => world.fill(10))
  await world.spend(1, world.timed(), { through })
  const ids = await world.fill(60)
  for (const id of ids) expect(await world.spend(1, id)).toBe(200)
  await expectUsed(world, 120)
})

describe('what a write is refused for, if it comes between the read and the write', () => {
  /** Of a late id, the write after the look into the archive: everything was right when the counter was read. */
  async function lateThough(change: (world: QuotaWorld) => Promise<unknown>) {
    const world = await openQuotaWorld()
    await world.fill(60)
    const through = interleaved(world.ports, 'update', 2, () => change(world))
    const told = await world.spend(1, world.timed(-60_000), { through })
    await expectUsed(world, told === 200 ? 61 : 60)
    return told
  }
  const counterKey = (world: QuotaWorld) => keys.quota(world.accountId)

  test('the key is deleted or rotated: 401', async () => {
    const hash = (world: QuotaWorld) => keyHash(world.ports, 'another')
    expect(await lateThough((world) => world.table.update(counterKey(world), expr`REMOVE #h0`))).toBe(
      'unauthorized',
    )
    const rotated = (world: QuotaWorld) =>
      world.table.update(counterKey(world), expr`SET #h0 = ${hash(world)}`)
    expect(await lateThough(rotated)).toBe('unauthorized')
  })

  test('the account is deactivated or suspended: 403', async () => {
    for (const why of ['deactivated', 'suspended']) {
      const change = (world: QuotaWorld) => world.table.update(counterKey(world), expr`SET #x = ${why}`)
      expect(await lateThough(change)).toBe(`account_${why}`)
    }
  })

  test('the account is gone: 401', async () => {
    const world = await openQuotaWorld()
    await world.table.remove(counterKey(world))
    expect(await world.spend(1)).toBe('unauthorized')
    expect(await world.batch([{ units: 1 }])).toEqual(['unauthorized'])
  })

  test('the units are spent: 402, and never below zero', async () => {
    const world = await openQuotaWorld({ left: 10, size: 100 })
    const through = interleaved(world.ports, 'update', 2, () => world.spend(8))
    expect(await world.spend(10, undefined, { through })).toBe(402)
    await expectUsed(world, 8, 10)
  })
})

describe('thresholds', () => {
  const marks = ({ n, r, due, dueAtMs }: Record<string, unknown>) => ({ n, r, due, dueAtMs })

  test('below 10 % a notice waits, below 1 % a renewal too, and both are due; at the threshold neither', async () => {
    const world = await openQuotaWorld({ left: 150, size: 1000 })
    await world.spend(50)
    expect(marks(await world.counter())).toEqual({})
    await world.spend(1)
    const noticed = await world.counter()
    expect(marks(noticed)).toEqual({
      n: world.nowMs(),
      due: expect.stringMatching(/^QUOTA#[0-3]$/),
      dueAtMs: world.nowMs(),
    })
    world.advance(1000)
    await world.spend(89)
    expect(marks(await world.counter())).toEqual(marks(noticed))
    await world.spend(1)
    expect(marks(await world.counter())).toEqual({ ...marks(noticed), r: 1 })
  })

  test.each([1, 7, 100])('of %i units at once, each fires exactly once a crossing', async (units) => {
    const world = await openQuotaWorld({ left: 2000, size: 1000 })
    for (let round = 1; round <= 3; round++) {
      const count = Math.floor(2000 / units)
      const told = await Promise.all(Array.from({ length: count }, () => world.spend(units)))
      expect(told).toEqual(Array(count).fill(200))
      const { l = 0, f = 0, r } = (await world.counter()) as Record<string, number>
      expect({ left: l, floor: f }).toEqual(rungOf(l + f, 1000))
      expect(r).toBe(round)
      await world.credit(count * units)
    }
  })

  test('a batch crosses as one request does', async () => {
    const world = await openQuotaWorld({ left: 150, size: 1000 })
    const batch = Array.from({ length: 100 }, () => ({ units: 1, requestId: world.timed() }))
    await world.batch(batch)
    expect(await world.counter()).toMatchObject({ l: 40, f: 10, n: world.nowMs() })
    await world.batch(batch.slice(0, 50).map(({ units }) => ({ units })))
    expect(await world.counter()).toMatchObject({ l: 0, f: 0, r: 1 })
  })

  test('a credit of another bundle between read and write: the same floor of another size is not taken for it', async () => {
    const world = await openQuotaWorld({ left: 10_005, size: 100_000 })
    // 10 % of DEVELOPER are 1 % of ENTERPRISE.
    const through = interleaved(world.ports, 'update', 2, () => world.credit(0, 1_000_000))
    expect(await world.spend(10, undefined, { through })).toBe(200)
    expect(await world.counter()).toMatchObject({ l: 9995, f: 0, q: 1_000_000, r: 1 })
    expect((await world.counter()).n).toBe(undefined)
  })
})

describe('days', () => {
  const dayItems = async (world: QuotaWorld) =>
    (await world.table.list(keys.account(world.accountId), 'DAY#')).map(({ u, c }) => ({ u, c }))

  test('the first consume of a day keeps what the counters stood at, one of a clock that is behind included', async () => {
    const world = await openQuotaWorld()
    await world.fill(5)
    world.advance(DAY_MS)
    // The first update is refused for the day, the second changes it.
    const through = interleaved(world.ports, 'update', 2, async () => {
      world.advance(-DAY_MS)
      expect(await world.spend(1)).toBe(200)
      world.advance(DAY_MS)
    })
    expect(await world.spend(10, undefined, { through })).toBe(200)
    expect(await dayItems(world)).toEqual([{ u: 6, c: { '0': 6 } }])
    await expectUsed(world, 16)
  })

  test('the day was changed by another who spent already: the snapshot stays as it is', async () => {
    for (const [method, nth] of [
      ['put', 1],
      ['update', 2],
    ] as const) {
      const world = await openQuotaWorld()
      await world.fill(5)
      world.advance(DAY_MS)
      const through = interleaved(world.ports, method, nth, () => world.spend(1))
      expect(await world.spend(10, undefined, { through })).toBe(200)
      expect(await dayItems(world)).toEqual([{ u: 5, c: { '0': 5 } }])
      await expectUsed(world, 16)
    }
  })

  test('a snapshot that comes too late does not take the place of the right one', async () => {
    const world = await openQuotaWorld()
    await world.fill(5)
    world.advance(DAY_MS)
    const through = interleaved(world.ports, 'put', 1, async () => {
      world.advance(-DAY_MS)
      await world.spend(1)
      world.advance(DAY_MS)
      await world.spend(1)
    })
    expect(await world.spend(10, undefined, { through })).toBe(200)
    expect(await dayItems(world)).toEqual([{ u: 6, c: { '0': 6 } }])
  })

  test('a hundred at once change it once, and nothing is lost', async () => {
    const world = await openQuotaWorld()
    await world.fill(5)
    world.advance(DAY_MS)
    const told = await Promise.all(Array.from({ length: 100 }, () => world.spend(1)))
    expect(told).toEqual(Array(100).fill(200))
    expect(await dayItems(world)).toEqual([{ u: 5, c: { '0': 5 } }])
    await expectUsed(world, 105)
  })

  test('a clock that is behind does not move the counter back', async () => {
    const world = await openQuotaWorld()
    world.advance(DAY_MS)
    await world.spend(1)
    const { d } = await world.counter()
    world.advance(-DAY_MS)
    expect(await world.spend(1)).toBe(200)
    expect((await world.counter()).d).toBe(d)
  })
})

describe('bounds', () => {
  test('the counter stays under 1 KB: 8 keys, 16 requests in flight, everything else there', async () => {
    const world = await openQuotaWorld({ left: 1_000_000, size: 1_000_000, keyCount: 8 })
    await world.table.update(
      keys.quota(world.accountId),
      expr`SET #due = ${'QUOTA#0'}, #dueAtMs = ${world.nowMs()}, #n = ${world.nowMs()}, #r = ${3}`,
    )
    let largest = 0
    let most = 0
    for (let round = 0; round < 100; round++) {
      world.advance(1)
      await Promise.all(
        Array.from({ length: 16 }, (_, n) => world.spend(999, world.timed(), { slot: n % 8 })),
      )
      const counter = await world.counter()
      largest = Math.max(largest, sizeOf(counter))
      most = Math.max(most, (counter.a as Set<unknown>).size)
    }
    expect([largest < 1024, largest, most]).toEqual([true, largest, most])
    expect(most).toBeLessThan(70)
  })

  test('what a container remembers is bounded', async () => {
    const world = await openQuotaWorld()
    const { refusals, owners } = memoryOf(world.table)
    for (let n = 0; n < 1100; n++) {
      const other = await openQuotaWorld({ left: 0, table: world.table })
      expect(await other.spend(1)).toBe(402)
    }
    expect([refusals.size, owners.size]).toEqual([1000, 0])
  })

  test('an id dated in the future makes no other one late', async () => {
    const world = await openQuotaWorld()
    const future = Array.from({ length: 10 }, () => world.timed(365 * DAY_MS))
    for (const id of future) await world.spend(1, id)
    await world.fill(200)
    expect(await callsOf(world.ports, (through) => world.spend(1, world.timed(), { through }))).toEqual([
      'update',
    ])
    for (const id of future) expect(await world.spend(1, id)).toBe(200)
    await expectUsed(world, 211)
  })

  test('a quiet account’s ids go many into one archive item too, however far apart they are', async () => {
    const world = await openQuotaWorld()
    const ids: string[] = []
    for (let n = 0; n < 120; n++) {
      world.advance(20 * 60_000)
      ids.push(world.timed())
      await world.spend(1, ids.at(-1))
    }
    for (const id of ids) expect(await world.spend(1, id)).toBe(200)
    await expectUsed(world, 120)
    const spent = await world.table.list(keys.account(world.accountId), 'SPENT')
    expect(spent).toHaveLength(3)
  })
})
