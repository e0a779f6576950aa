import { expect } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import { keyHash } from '../../core/keys/key-text.ts'
import { keyStamp } from '../../core/keys/settings.ts'
import type { Ports } from '../../core/ports.ts'
import { moveThreshold } from '../../core/quota/apply-ledger.ts'
import { LATE_TOGETHER } from '../../core/quota/evict.ts'
import { parseQuota } from '../../core/quota/quota.ts'
import { NEXT_TRY, RING_LIMIT, RING_MOST } from '../../core/quota/ring-size.ts'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item, Table } from '../../core/table/table.ts'
import { DAY_MS } from '../../core/time.ts'
import { alertScenarios } from './alert-scenarios.ts'
import { breaking } from './faults.ts'
import { leaseScenarios } from './lease-scenarios.ts'
import { leasedLimitScenarios } from './leased-limit-scenarios.ts'
import { limitScenarios } from './limit-scenarios.ts'
import { lotScenarios } from './lot-scenarios.ts'
import { callsOf, interleaved, type openQuotaWorld, type QuotaWorld } from './quota-world.ts'
import { reservationScenarios } from './reservation-scenarios.ts'

/**
 * A scenario of the counter, which opens its own worlds.
 * @throws AssertionError if a guarantee does not hold.
 */
export type Scenario = (open: typeof openQuotaWorld) => Promise<void>

/** Asserts the units used, and that units used and left add up to `total`. */
async function expectUsed(world: QuotaWorld, used: number, total = 1000): Promise<void> {
  const { l, f, u } = (await world.counter()) as Record<string, number>
  expect({ used: u, left: (l ?? 0) + (f ?? 0) }).toEqual({ used, left: total - used })
}

async function expectOnLadder(world: QuotaWorld): Promise<void> {
  const { l = 0, f = 0, q = 0, b, w } = (await world.counter()) as Record<string, number>
  expect({ left: l, floor: f }).toEqual(balanceParts(l + f, { size: q, below: b, renewalSize: w }))
}

const ringOf = ({ a }: Item): number => (a as Set<unknown>).size

const kinds: [string, (world: QuotaWorld) => string][] = [
  ['a time-ordered', (world) => world.timed()],
  ['a late', (world) => world.timed(-3_600_000)],
  ['a little late', (world) => world.timed(-40)],
  ['an untimed', () => 'a word'],
  ['a future', (world) => world.timed(3_600_000)],
]

/** Spends as many late ids as leave the ring together at the next eviction, which a single one waits for. */
async function fillLate(world: QuotaWorld): Promise<void> {
  for (let n = 0; n < LATE_TOGETHER; n++) expect(await world.spend(1, world.timed(-50))).toBe(200)
}

const ofOneId = (idOf: (world: QuotaWorld) => string): Record<string, Scenario> => ({
  'is spent once, though an eviction archives it while its retry is in flight': async (open) => {
    const world = await open()
    await world.fill(60)
    const id = idOf(world)
    const meanwhile = async () => {
      expect(await world.spend(1, id)).toBe(200)
      await fillLate(world)
      await world.fill(120)
    }
    const through = interleaved(world.ports, 'update', 1, meanwhile)
    expect(await world.spend(1, id, { through })).toBe(200)
    await expectUsed(world, 181 + LATE_TOGETHER)
  },
  'is spent once, though an eviction archives it between the archive lookup and the write': async (open) => {
    const world = await open()
    await world.fill(60)
    const id = idOf(world)
    const meanwhile = async () => {
      expect(await world.spend(1, id)).toBe(200)
      await fillLate(world)
      await world.fill(120)
    }
    // The first write of a late id is refused; the second write follows the archive lookup.
    const calls = await callsOf(world.ports, (through) => world.spend(1, `${id.slice(0, -1)}f`, { through }))
    const writes = calls.filter((call) => call === 'update').length
    const through = interleaved(world.ports, 'update', writes, meanwhile)
    expect(await world.spend(1, id, { through })).toBe(200)
    await expectUsed(world, 182 + LATE_TOGETHER)
  },
  'is spent once, however many requests and evictions follow': async (open) => {
    const world = await open()
    const id = idOf(world)
    await world.spend(1, id)
    for (const more of [0, 40, 40, 40, 300]) {
      if (more === 300) await fillLate(world)
      await world.fill(more)
      expect(await world.spend(1, id)).toBe(200)
    }
    await expectUsed(world, 421 + LATE_TOGETHER)
  },
  'is spent once by a concurrent batch and request, whichever comes first at each step': async (open) => {
    for (const method of ['put', 'update'] as const) {
      const world = await open()
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
  },
})

/** Repeats an attempt for call number 1, 2, 3 … until the attempt returns false: it makes fewer calls. */
async function atEachCall(attempt: (at: number) => Promise<boolean>): Promise<void> {
  for (let at = 1; await attempt(at); ) at++
}

const ofBatches: Record<string, Scenario> = {
  'a batch that broke off after it wrote its archive item spends nothing, and its ids do not count as spent':
    async (open) => {
      const world = await open()
      const batch = Array.from({ length: 10 }, () => ({ units: 1, requestId: world.timed() }))
      const crashed = interleaved(world.ports, 'update', 1, async () => {
        throw new Error('gone')
      })
      await expect(world.batch(batch, { through: crashed })).rejects.toThrow('gone')
      await expectUsed(world, 0)
      // Now the ids are late, so they are looked up in the archive, where the uncommitted item is.
      await world.fill(100)
      for (const { requestId } of batch.slice(0, 5)) await world.spend(1, requestId)
      expect(await world.batch(batch)).toEqual(Array(10).fill(200))
      await expectUsed(world, 110)
    },
  'ids of a batch that commits during an eviction stay late: the eviction does not lower the newest time':
    async (open) => {
      const world = await open()
      const before = await world.fill(RING_LIMIT)
      // Until the ring is full again.
      while (ringOf(await world.counter()) < RING_LIMIT - 1) before.push(...(await world.fill(1)))
      const batch = Array.from({ length: 10 }, () => ({ units: 1, requestId: world.timed(50) }))
      // The second update of the request that fills the ring is its eviction.
      const through = interleaved(world.ports, 'update', 2, () => world.batch(batch))
      await world.spend(1, world.timed(), { through })
      for (const { requestId } of batch) expect(await world.spend(1, requestId)).toBe(200)
      await expectUsed(world, before.length + 11)
      await world.fill(100)
      expect(await world.batch(batch)).toEqual(Array(10).fill(200))
      for (const { requestId } of batch) expect(await world.spend(1, requestId)).toBe(200)
      await expectUsed(world, before.length + 111)
    },
  'an eviction that loses a race archives no id that was not spent': async (open) => {
    const world = await open()
    await world.fill(RING_LIMIT - 1)
    const through = interleaved(world.ports, 'update', 2, () => world.fill(10))
    await world.spend(1, world.timed(), { through })
    const ids = await world.fill(60)
    for (const id of ids) expect(await world.spend(1, id)).toBe(200)
    await expectUsed(world, RING_LIMIT + 70)
  },
  'an eviction that breaks off at any call loses no id, whether of a batch, untimed or time-ordered': async (
    open,
  ) => {
    await atEachCall(async (at) => {
      const world = await open()
      const batch = Array.from({ length: 4 }, () => ({ units: 1, requestId: world.timed() }))
      await world.batch(batch)
      await world.spend(1, 'a word')
      const ids = [
        ...batch.map(({ requestId }) => requestId),
        'a word',
        ...(await world.fill(RING_LIMIT - 3)),
      ]
      const last = world.timed(1)
      ids.push(last)
      const { ports: through, calls } = breaking(world.ports, { at: at + 1, kind: 'crash-before' })
      expect(await world.spend(1, last, { through })).toBe(200)
      for (const more of [0, 60]) {
        const now = Number((await world.counter()).u) + (await world.fill(more)).length
        for (const id of ids) expect(await world.spend(1, id)).toBe(200)
        await expectUsed(world, now)
      }
      return calls.length > at
    })
  },
  'an eviction and a concurrent batch both keep their record of what the archive holds': async (open) => {
    const world = await open()
    await world.fill(RING_LIMIT - 1)
    // These ids span more time than those in the ring, so their item has another span.
    const batch = [0, 100, 200, 300].map((ms) => ({ units: 1, requestId: world.timed(ms - 3_600_000) }))
    // The second update of the request that fills the ring is its eviction.
    const through = interleaved(world.ports, 'update', 2, () => world.batch(batch))
    expect(await world.spend(1, world.timed(), { through })).toBe(200)
    expect(await world.batch(batch)).toEqual(Array(4).fill(200))
    await expectUsed(world, RING_LIMIT + 4)
  },
  'a batch of spent ids spends nothing, however the ids are spread over the archive': async (open) => {
    const world = await open()
    const ids: string[] = []
    for (let n = 0; n < 180; n++) {
      world.advance(n < 120 ? 5000 : 1_200_000)
      const id = world.timed()
      ids.unshift(id)
      await world.spend(1, id)
    }
    const batch = ids.map((requestId) => ({ units: 1, requestId }))
    for (const part of [batch.slice(0, 90), batch.slice(90)])
      expect(await world.batch(part)).toEqual(Array(90).fill(200))
    await expectUsed(world, 180)
  },
  'an id is found in the archive behind more than a page of items of its time': async (open) => {
    const world = await open()
    const ids = Array.from({ length: 4 }, (_, n) => world.timed(n))
    expect(await world.batch(ids.map((requestId) => ({ units: 1, requestId })))).toEqual(Array(4).fill(200))
    const [item] = await world.table.list(keys.account(world.accountId), 'SPENT#')
    // Items of batches that broke off, just before that item.
    const [, span = '', time = ''] = String(item?.sk).split('#')
    for (let n = 0; n < 210; n++) {
      const nonce = n.toString(16).padStart(10, '0')
      const key = keys.spent(world.accountId, Number(span), Number.parseInt(time, 16) - 1, nonce)
      await world.table.put({ ...key, macs: Buffer.alloc(24) })
    }
    for (const id of ids) expect(await world.spend(1, id)).toBe(200)
    await expectUsed(world, 4)
  },
  'if other requests leave units for only a part of a batch, its refused ids do not count as spent': async (
    open,
  ) => {
    const world = await open({ left: 10 })
    const batch = Array.from({ length: 10 }, () => ({ units: 1, requestId: world.timed() }))
    const through = interleaved(world.ports, 'update', 1, () => world.spend(5))
    expect(await world.batch(batch, { through })).toEqual([...Array(5).fill(200), ...Array(5).fill(402)])
    await world.credit(5)
    expect(await world.batch(batch)).toEqual(Array(10).fill(200))
    await expectUsed(world, 15, 15)
  },
  'a batch with the same id twice spends its units once': async (open) => {
    for (const [, idOf] of kinds) {
      const world = await open()
      const id = idOf(world)
      expect(await world.batch([1, 2].map((units) => ({ units, requestId: id })))).toEqual([200, 200])
      await expectUsed(world, 1)
    }
  },
  'the archive item of a batch is not created again after TTL has deleted the item': async (open) => {
    const world = await open()
    await world.batch(Array.from({ length: 4 }, () => ({ units: 1, requestId: world.timed() })))
    const spent = () => world.table.list(keys.account(world.accountId), 'SPENT')
    for (const { pk, sk } of await spent()) await world.table.remove({ pk: String(pk), sk: String(sk) })
    await world.fill(60)
    expect((await spent()).filter(({ macs }) => macs === undefined)).toEqual([])
  },
}

/** Sends the same batch twice, concurrently; its ten ids are `offsetMs` from now. */
const ofABatch =
  (offsetMs: number): Scenario =>
  async (open) => {
    for (const method of ['put', 'update'] as const) {
      for (const turns of [0, 100]) {
        const world = await open()
        await world.fill(60)
        world.advance(50)
        const batch = Array.from({ length: 10 }, (_, n) => ({
          units: 1,
          requestId: world.timed(offsetMs + n),
        }))
        const meanwhile = async () => {
          expect(await world.batch(batch)).toEqual(Array(10).fill(200))
          await world.fill(turns)
        }
        const through = interleaved(world.ports, method, 1, meanwhile)
        expect(await world.batch(batch, { through })).toEqual(Array(10).fill(200))
        await expectUsed(world, 70 + turns)
      }
    }
  }

/** Changes the account between the archive lookup and the final write of a late id. @returns the answer. */
async function lateThough(open: typeof openQuotaWorld, change: (world: QuotaWorld) => Promise<unknown>) {
  const world = await open()
  await world.fill(60)
  const through = interleaved(world.ports, 'update', 2, () => change(world))
  const told = await world.spend(1, world.timed(-60_000), { through })
  await expectUsed(world, told === 200 ? 61 : 60)
  return told
}
const counterKey = (world: QuotaWorld) => keys.quota(world.accountId)

/** Stores settings of the default key, as its owner does. */
async function setKey(
  { table, accountId, keys: [text = ''] }: QuotaWorld,
  revision: number,
  settings: object,
) {
  const hash = keyHash(text)
  await table.put({ ...keys.key(accountId, 'default'), name: 'default', hash, revision, settings })
  await table.update(keys.quota(accountId), expr`SET #h0 = ${keyStamp(hash, revision)}`)
}

const refusals: Record<string, Scenario> = {
  'the settings of a key change between read and write: they decide': async (open) => {
    expect(await lateThough(open, (world) => setKey(world, 1, { disabled: true }))).toBe('key_disabled')
    expect(await lateThough(open, (world) => setKey(world, 1, { ip: ['192.0.2.1'] }))).toBe('ip_not_allowed')
    expect(await lateThough(open, (world) => setKey(world, 1, { scopes: ['read'] }))).toBe(200)
  },
  'a key that is switched on again works at once where it was refused': async (open) => {
    const world = await open()
    for (const revision of [1, 3]) {
      await setKey(world, revision, { disabled: true })
      expect(await world.spend(1)).toBe('key_disabled')
      await setKey(world, revision + 1, {})
      expect(await world.spend(1)).toBe(200)
    }
    await expectUsed(world, 2)
  },
  'the key is deleted or rotated between read and write: 401': async (open) => {
    const hash = keyHash('another')
    expect(await lateThough(open, (world) => world.table.update(counterKey(world), expr`REMOVE #h0`))).toBe(
      'unauthorized',
    )
    const rotated = (world: QuotaWorld) => world.table.update(counterKey(world), expr`SET #h0 = ${hash}`)
    expect(await lateThough(open, rotated)).toBe('unauthorized')
  },
  'the account is deactivated or suspended between read and write: 403': async (open) => {
    for (const why of ['deactivated', 'suspended']) {
      const change = (world: QuotaWorld) => world.table.update(counterKey(world), expr`SET #x = ${why}`)
      expect(await lateThough(open, change)).toBe(`account_${why}`)
    }
  },
  'the account is gone: 401': async (open) => {
    const world = await open()
    await world.table.remove(counterKey(world))
    expect(await world.spend(1)).toBe('unauthorized')
    expect(await world.batch([{ units: 1 }])).toEqual(['unauthorized'])
  },
  'the units are spent between read and write: 402, and never below zero': async (open) => {
    const world = await open({ left: 10, size: 100 })
    const through = interleaved(world.ports, 'update', 2, () => world.spend(8))
    expect(await world.spend(10, undefined, { through })).toBe(402)
    await expectUsed(world, 8, 10)
  },
  'the units for a crossing are spent between read and write: 402, and never below zero': async (open) => {
    const world = await open({ left: 150, size: 1000 })
    const through = interleaved(world.ports, 'update', 2, () => world.spend(45))
    expect(await world.spend(130, undefined, { through })).toBe(402)
    await expectUsed(world, 45, 150)
  },
  'a 402 is not recorded: the same id is spent after a top-up': async (open) => {
    for (const [, idOf] of kinds) {
      const world = await open({ left: 5 })
      const id = idOf(world)
      expect(await world.spend(6, id)).toBe(402)
      expect(await world.batch([{ units: 6, requestId: id }])).toEqual([402])
      await expectUsed(world, 0, 5)
      await world.credit(5)
      for (let n = 0; n < 2; n++) expect(await world.spend(6, id)).toBe(200)
      await expectUsed(world, 6, 10)
    }
  },
  'a cached 402 is no answer to a spent id, and lasts at most a second': async (open) => {
    const world = await open({ left: 1 })
    const id = world.timed()
    expect(await world.spend(1, id)).toBe(200)
    expect(await world.spend(1)).toBe(402)
    expect(await world.spend(1, id)).toBe(200)
    await world.credit(1)
    world.advance(1000)
    expect(await world.spend(1)).toBe(200)
    await expectUsed(world, 2, 2)
  },
  'a cached 402 does not refuse fewer units, and lasts no longer if the clock is set back': async (open) => {
    const world = await open({ left: 5 })
    expect(await world.spend(6)).toBe(402)
    expect(await world.spend(5)).toBe(200)
    expect(await world.spend(1)).toBe(402)
    await world.credit(1)
    world.advance(-3_600_000)
    expect(await world.spend(1)).toBe(200)
    await expectUsed(world, 6, 6)
  },
}

const marks = ({ n, r, due, dueAtMs }: Record<string, unknown>) => ({ n, r, due, dueAtMs })

const thresholds: Record<string, Scenario> = {
  'below 10 % a notice is due, below 1 % a renewal too, and exactly at a threshold neither': async (open) => {
    const world = await open({ left: 150, size: 1000 })
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
  },
  'a consume that ends exactly at the next threshold does not cross that threshold': async (open) => {
    const world = await open({ left: 150, size: 1000 })
    await world.spend(140)
    expect(await world.counter()).toMatchObject({ l: 0, f: 10, n: world.nowMs() })
    expect((await world.counter()).r).toBe(undefined)
  },
  'a batch crosses thresholds as a single request does': async (open) => {
    const world = await open({ left: 150, size: 1000 })
    const batch = Array.from({ length: 100 }, () => ({ units: 1, requestId: world.timed() }))
    await world.batch(batch)
    expect(await world.counter()).toMatchObject({ l: 40, f: 10, n: world.nowMs() })
    await world.batch(batch.slice(0, 50).map(({ units }) => ({ units })))
    expect(await world.counter()).toMatchObject({ l: 0, f: 0, r: 1 })
  },
  'after a credit of another bundle between read and write an equal floor does not count as the same': async (
    open,
  ) => {
    const world = await open({ left: 10_005, size: 100_000 })
    // 10 % of DEVELOPER is as much as 1 % of ENTERPRISE, so both have the same floor.
    const through = interleaved(world.ports, 'update', 2, () => world.credit(0, 1_000_000))
    expect(await world.spend(10, undefined, { through })).toBe(200)
    expect(await world.counter()).toMatchObject({ l: 9995, f: 0, q: 1_000_000, r: 1 })
    expect((await world.counter()).n).toBe(undefined)
  },
  'a threshold that another request crosses between read and write is not crossed again': async (open) => {
    const world = await open({ left: 150, size: 1000 })
    const through = interleaved(world.ports, 'update', 2, async () => {
      await world.spend(60)
      await world.spend(30)
    })
    expect(await world.spend(60, undefined, { through })).toBe(200)
    expect(await world.counter()).toMatchObject({ l: 0, f: 0, u: 150, r: 1 })
  },
  'a threshold that is no longer crossed after a credit between read and write does not fire': async (
    open,
  ) => {
    const world = await open({ left: 150, size: 1000 })
    const through = interleaved(world.ports, 'update', 2, () => world.credit(50))
    expect(await world.spend(145, undefined, { through })).toBe(200)
    expect(await world.counter()).toMatchObject({ l: 45, f: 10, n: world.nowMs() })
    expect((await world.counter()).r).toBe(undefined)
  },
}

/** Moves the threshold of the renewal as its owner does. */
async function choose(world: QuotaWorld, below: number, renewalSize?: number): Promise<void> {
  const quota = parseQuota(await world.counter())
  const change = moveThreshold(world.ports, world.accountId, quota, { below, renewalSize })
  await world.table.update(keys.quota(world.accountId), change.set, change.if)
}

/** Ends what is pending, as the job does that finds nothing to do. */
const clear = (world: QuotaWorld) =>
  world.table.update(keys.quota(world.accountId), expr`REMOVE #n, #r, #due, #dueAtMs`)

const choices: Record<string, Scenario> = {
  'a renewal is due below what its owner chose, also above 10 % of the bundle': async (open) => {
    for (const [below, units] of [
      [0.3, 300],
      [40, 40],
      [0.005, 5],
    ] as const) {
      const world = await open({ left: 1000, size: 1000 })
      await choose(world, below)
      await clear(world)
      await world.spend(1000 - units)
      expect((await world.counter()).r).toBe(undefined)
      expect(world.started()).toBe(0)
      await expectOnLadder(world)
      await world.spend(1)
      expect((await world.counter()).r).toBe(1)
      expect(world.started()).toBe(1)
      await expectOnLadder(world)
      expect((await world.counter()).n).toBe(units < 101 ? world.nowMs() : undefined)
    }
  },
  'a threshold that its owner moves between read and write is the one that counts': async (open) => {
    const consumed = await open({ left: 150, size: 1000 })
    const spending = interleaved(consumed.ports, 'update', 2, () => choose(consumed, 20))
    expect(await consumed.spend(135, undefined, { through: spending })).toBe(200)
    expect(consumed.started()).toBe(1)
    await expectOnLadder(consumed)
    const credited = await open({ left: 150, size: 1000 })
    await sell(credited, 2, 400)
    await credited.applyLedger(interleaved(credited.ports, 'update', 1, () => choose(credited, 0.5)))
    await expectUsed(credited, 0, 550)
    await expectOnLadder(credited)
  },
  'a smaller bundle lowers a number of units to its half, and a share follows the bundle': async (open) => {
    for (const [below, units] of [
      [40_000, 500],
      [0.2, 200],
    ] as const) {
      const world = await open({ left: 60_000, size: 100_000 })
      await choose(world, below)
      await sell(world, 2, 1000)
      await world.applyLedger()
      await clear(world)
      await world.spend(61_000 - units)
      expect(world.started()).toBe(0)
      await world.spend(1)
      expect(world.started()).toBe(1)
    }
  },
  'the write that crosses the threshold starts the renewal, and no other write does': async (open) => {
    const world = await open({ left: 150, size: 1000 })
    for (const units of [40, 20, 79]) await world.spend(units, world.timed())
    expect(world.started()).toBe(0)
    await world.batch([{ units: 1, requestId: world.timed() }, { units: 1 }])
    expect(world.started()).toBe(1)
    for (let n = 0; n < 9; n++) await world.spend(1, world.timed())
    expect(await world.spend(1)).toBe(402)
    expect(world.started()).toBe(1)
  },
}

const noted = async (world: QuotaWorld) => {
  const { k, j, r } = await world.counter()
  return { k, j, r, started: world.started() }
}

const refusalCalls: Record<string, Scenario> = {
  'the first refusal for want of units calls for a renewal, once in a cycle of the ledger': async (open) => {
    const world = await open({ left: 20, size: 1000 })
    for (const id of [undefined, world.timed(), 'a word']) {
      expect(await world.spend(30, id)).toBe(402)
      world.advance(1000)
      expect(await noted(world)).toEqual({ k: 1, r: 1, started: 1 })
    }
    expect(await world.counter()).toMatchObject({ due: expect.any(String), s: 1 })
    await world.credit(5)
    expect(await world.spend(30)).toBe(402)
    expect(await noted(world)).toEqual({ k: 2, r: 2, started: 2 })
    await expectUsed(world, 0, 25)
  },
  'the first refusal of a cycle costs one more write, before the first bundle too': async (open) => {
    const world = await open({ left: 20, size: 1000 })
    const refused = (through: Ports) => world.spend(30, world.timed(), { through })
    expect(await callsOf(world.ports, refused)).toEqual(['update', 'update', 'start'])
    world.advance(1000)
    expect(await callsOf(world.ports, refused)).toEqual(['update'])
    const trial = await open({ left: 20 })
    const call = (through: Ports) => trial.spend(30, undefined, { through })
    expect(await callsOf(trial.ports, call)).toEqual(['update', 'update'])
    trial.advance(1000)
    expect(await callsOf(trial.ports, call)).toEqual(['update'])
    expect(await trial.counter()).toMatchObject({ kx: 1, nx: expect.any(Number), due: expect.any(String) })
  },
  'requests that come together are spent for their own keys, and not for a key that is dead': async (
    open,
  ) => {
    const world = await open({ left: 100, keyCount: 3 })
    await world.table.put({ ...(await world.counter()), h2: Buffer.alloc(12) })
    const told = await Promise.all(
      Array.from({ length: 30 }, (_, n) => world.spendTogether(1, world.timed(), { slot: n % 3 })),
    )
    expect(told).toEqual(Array.from({ length: 30 }, (_, n) => (n % 3 === 2 ? 'unauthorized' : 200)))
    expect(await world.counter()).toMatchObject({ u: 20, c0: 10, c1: 10 })
  },
  'requests that come together get what is left and no more, and are told so': async (open) => {
    const world = await open({ left: 25 })
    const told = await Promise.all(Array.from({ length: 40 }, () => world.spendTogether(1, world.timed())))
    expect(told.filter((each) => each === 200)).toHaveLength(25)
    expect(told.filter((each) => each === 402)).toHaveLength(15)
    await expectUsed(world, 25, 25)
  },
  'concurrent refusals of requests and batches call for a renewal once': async (open) => {
    const world = await open({ left: 20, size: 1000 })
    await Promise.all([
      ...Array.from({ length: 20 }, () => world.spend(30)),
      ...Array.from({ length: 20 }, () => world.batch([{ units: 21 }, { units: 1001 }])),
    ])
    expect(await noted(world)).toEqual({ k: 1, r: 1, started: 1 })
    const batch = await open({ left: 20, size: 1000 })
    expect(await batch.batch([{ units: 5 }, { units: 16 }, { units: 2000 }])).toEqual([200, 402, 402])
    expect(await noted(batch)).toEqual({ k: 1, r: 1, started: 1 })
  },
  'a refusal that a credit overtakes does not call': async (open) => {
    const world = await open({ left: 20, size: 1000 })
    const through = interleaved(world.ports, 'update', 2, () => world.credit(1000))
    expect(await world.spend(30, undefined, { through })).toBe(402)
    expect(await noted(world)).toEqual({ started: 0 })
  },
  'a request for more units than a bundle holds never calls, and its caller is told': async (open) => {
    const world = await open({ left: 20, size: 1000 })
    for (let n = 0; n < 3; n++) {
      expect(await world.spend(1001)).toBe(402)
      const ask = { units: 1001, requestId: undefined }
      await expect(world.functions.consumeUnits(world.ports, world.keys[0] ?? '', ask)).rejects.toMatchObject(
        {
          detail: expect.stringContaining('a bundle holds 1000'),
        },
      )
      const { answers } = await world.functions.consumeBatch(world.ports, world.keys[0] ?? '', [ask])
      expect(answers[0]).toMatchObject({ outcome: 'exhausted', detail: expect.stringContaining('larger') })
      world.advance(1000 * n)
    }
    expect(await noted(world)).toEqual({ j: 1, started: 0 })
    // What is remembered of the large request does not hide a smaller one.
    expect(await world.spend(1001)).toBe(402)
    expect(await world.spend(1000)).toBe(402)
    expect(await noted(world)).toEqual({ j: 1, k: 1, r: 1, started: 1 })
  },
  'the bundle that its owner chose for renewals says what a renewal can serve': async (open) => {
    const world = await open({ left: 500, size: 1000 })
    await choose(world, 0.01, 100_000)
    await clear(world)
    expect(await world.spend(50_000)).toBe(402)
    expect(await noted(world)).toMatchObject({ k: 1, started: 1 })
  },
  'a call that cannot be stored or started is still a 402, and the next refusal calls': async (open) => {
    for (const [at, expected] of [
      [2, { started: 0 }],
      [3, { k: 1, r: 1, started: 0 }],
    ] as const) {
      const world = await open({ left: 20, size: 1000 })
      const { ports: through } = breaking(world.ports, { at, kind: 'error-before' })
      expect(await world.spend(30, undefined, { through })).toBe(402)
      expect(await noted(world)).toEqual(expected)
      world.advance(1000)
      expect(await world.spend(30)).toBe(402)
      expect(await noted(world)).toMatchObject({ k: 1, r: 1 })
    }
  },
}

const crossings =
  (units: number): Scenario =>
  async (open) => {
    const world = await open({ left: 2000, size: 1000 })
    for (let round = 1; round <= 3; round++) {
      const count = Math.floor(2000 / units)
      const told = await Promise.all(Array.from({ length: count }, () => world.spend(units)))
      expect(told).toEqual(Array(count).fill(200))
      await expectOnLadder(world)
      expect((await world.counter()).r).toBe(round)
      await world.credit(count * units)
    }
  }

/** Adds a sale to the ledger that the counter does not have yet. */
const sell = (world: QuotaWorld, seq: number, units: number) =>
  world.table.put({
    ...keys.ledger(world.accountId, seq),
    ...{ seq, atMs: world.nowMs(), kind: 'sale', units, amountCents: -99, size: 1000 },
  })

const ledger: Record<string, Scenario> = {
  'the ledger is applied once, though another process applies it between read and write': async (open) => {
    const world = await open({ left: 150, size: 1000 })
    await sell(world, 2, 1000)
    await sell(world, 3, 500)
    await world.applyLedger(interleaved(world.ports, 'update', 1, () => world.applyLedger()))
    await world.applyLedger()
    await expectUsed(world, 0, 1650)
    await expectOnLadder(world)
  },
  'units spent while the ledger is applied stay spent, whether or not they cross a threshold': async (
    open,
  ) => {
    for (const units of [10, 60, 145]) {
      const world = await open({ left: 150, size: 1000 })
      await sell(world, 2, 1000)
      await world.applyLedger(interleaved(world.ports, 'update', 1, () => world.spend(units)))
      await expectUsed(world, units, 1150)
      await expectOnLadder(world)
    }
  },
}

const dayItems = async (world: QuotaWorld) =>
  (await world.table.list(keys.account(world.accountId), 'DAY#')).map(({ u, c }) => ({ u, c }))

const days: Record<string, Scenario> = {
  'the first consume of a day stores a snapshot that includes the last consume of a slower clock': async (
    open,
  ) => {
    const world = await open()
    await world.fill(5)
    world.advance(DAY_MS)
    // The first update is refused because the counter still has yesterday's day; the second one changes the
    // day.
    const through = interleaved(world.ports, 'update', 2, async () => {
      world.advance(-DAY_MS)
      expect(await world.spend(1)).toBe(200)
      world.advance(DAY_MS)
    })
    expect(await world.spend(10, undefined, { through })).toBe(200)
    expect(await dayItems(world)).toEqual([{ u: 6, c: { '0': 6 } }])
    await expectUsed(world, 16)
  },
  'if another request changed the day and spent already, the snapshot stays as it is': async (open) => {
    for (const [method, nth] of [
      ['put', 1],
      ['update', 2],
    ] as const) {
      const world = await open()
      await world.fill(5)
      world.advance(DAY_MS)
      const through = interleaved(world.ports, method, nth, () => world.spend(1))
      expect(await world.spend(10, undefined, { through })).toBe(200)
      expect(await dayItems(world)).toEqual([{ u: 5, c: { '0': 5 } }])
      await expectUsed(world, 16)
    }
  },
  'a snapshot that comes too late does not replace the right one': async (open) => {
    const world = await open()
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
  },
  'a hundred concurrent consumes change the day once, and no unit is lost': async (open) => {
    const world = await open()
    await world.fill(5)
    world.advance(DAY_MS)
    const told = await Promise.all(Array.from({ length: 100 }, () => world.spend(1)))
    expect(told).toEqual(Array(100).fill(200))
    expect(await dayItems(world)).toEqual([{ u: 5, c: { '0': 5 } }])
    await expectUsed(world, 105)
  },
  'a slow clock does not move the day of the counter back': async (open) => {
    const world = await open()
    world.advance(DAY_MS)
    await world.spend(1)
    const { d } = await world.counter()
    world.advance(-DAY_MS)
    expect(await world.spend(1)).toBe(200)
    expect((await world.counter()).d).toBe(d)
  },
  'a request that changes the day and breaks off at any call leaves the right snapshot': async (open) => {
    await atEachCall(async (at) => {
      const world = await open()
      await world.fill(5)
      world.advance(DAY_MS)
      const { ports: through, calls } = breaking(world.ports, { at, kind: 'crash-before' })
      await world.spend(1, undefined, { through }).catch(() => {})
      expect(await world.spend(1)).toBe(200)
      expect(await dayItems(world)).toEqual([{ u: 5, c: { '0': 5 } }])
      return calls.length >= at
    })
  },
}

/** The same ports with a clock that is off by `ms`. */
const offBy = (world: QuotaWorld, ms: number): Ports => ({
  ...world.ports,
  clock: { ...world.ports.clock, nowMs: () => world.nowMs() + ms },
})

/** The same ports in a container that remembers nothing. */
const anotherContainer = (world: QuotaWorld): Ports => ({ ...world.ports, table: { ...world.table } })

/** Spends ids of these offsets, and makes them leave the ring. @returns them with those that made them leave */
async function archived(world: QuotaWorld, offsetsMs: readonly number[]): Promise<string[]> {
  const ids = offsetsMs.map((ms) => world.timed(ms))
  for (const id of ids) expect(await world.spend(1, id)).toBe(200)
  return [...ids, ...(await world.fill(RING_LIMIT))]
}

const ahead: Record<string, Scenario> = {
  'ids ahead of the clock are spent once, also when time has come to them and passed them': async (open) => {
    const world = await open()
    const ids = await archived(world, [61_000, 120_000, 121_000, 3_600_000])
    for (const ms of [0, 60_000, 60_000, 10_000, 3_000_000, 3_600_000]) {
      world.advance(ms)
      for (const id of ids) expect(await world.spend(1, id, { through: anotherContainer(world) })).toBe(200)
      ids.push(...(await world.fill(20)))
      expect(await world.batch(ids.slice(0, 4).map((requestId) => ({ units: 1, requestId })))).toEqual(
        Array(4).fill(200),
      )
    }
    await expectUsed(world, ids.length)
  },
  'ids ahead of one clock and not of another are spent once, and so are ids after a clock was set back':
    async (open) => {
      for (const ms of [-3_600_000, -90_000, 90_000, 3_600_000]) {
        const world = await open()
        const offsets = [30_000, 61_000, 100_000, 3_600_000]
        const ids = offsets.map((offset) => world.timed(offset))
        for (const [at, id] of ids.entries())
          expect(await world.spend(1, id, { through: at % 2 ? offBy(world, ms) : world.ports })).toBe(200)
        ids.push(...(await world.fill(RING_LIMIT)))
        world.advance(ms)
        for (const through of [world.ports, offBy(world, ms)]) {
          for (const id of ids) expect(await world.spend(1, id, { through })).toBe(200)
          ids.push(...(await world.fill(RING_LIMIT)))
        }
        await expectUsed(world, ids.length)
      }
    },
  'an id that another one ahead of the clock makes late is spent once, though an eviction archives it between the archive lookup and the write':
    async (open) => {
      const world = await open()
      const ahead = world.timed(7_200_000)
      await world.spend(1, ahead)
      await world.fill(60)
      world.advance(7_170_000)
      // Ahead of the clock by less than a minute, so it shares an archive item.
      const id = world.timed(31_000)
      // The first write is refused, because the id may be in the archive; the second follows the look-up.
      const through = interleaved(world.ports, 'update', 2, async () => {
        expect(await world.spend(1, id)).toBe(200)
        world.advance(60_000)
        await world.fill(60)
      })
      expect(await world.spend(1, id, { through })).toBe(200)
      await expectUsed(world, 122)
    },
  'two concurrent evictions both keep their record of ids ahead of the clock': async (open) => {
    const world = await open()
    const [later, sooner] = [world.timed(7_200_000), world.timed(3_600_000)]
    const words = (count: number) => Array.from({ length: count }, (_, n) => `word-${count}-${n}`)
    for (const id of [later, ...words(RING_LIMIT - 2)]) expect(await world.spend(1, id)).toBe(200)
    // The second update of the request that fills the ring is its eviction.
    const through = interleaved(world.ports, 'update', 2, async () => {
      for (const id of [sooner, ...words(NEXT_TRY - 1)]) expect(await world.spend(1, id)).toBe(200)
    })
    expect(await world.spend(1, 'last', { through })).toBe(200)
    for (const ms of [0, 3_600_000, 3_600_000]) {
      world.advance(ms)
      for (const id of [sooner, later])
        expect(await world.spend(1, id, { through: anotherContainer(world) })).toBe(200)
    }
    await expectUsed(world, RING_LIMIT + NEXT_TRY)
  },
  'an id is not the position in a batch, nor another batch, that it looks like': async (open) => {
    const world = await open()
    const key = world.timed()
    const looks = [`${key}#0`, `${key},0`, `${key}0`, 'a#1', 'a,1', 'a1'].flatMap((id) => [
      id,
      [id, 1] as const,
    ])
    const names = [key, [key, 0], [key, 1], ['a', 1], ['A', 1], ...looks] as const
    for (let n = 0; n < 2; n++)
      for (const requestId of names) expect(await world.batch([{ units: 1, requestId }])).toEqual([200])
    await expectUsed(world, names.length)
  },
}

const fullRing: Record<string, Scenario> = {
  'while no eviction succeeds the ring stays small and ids are refused, and afterwards nothing is lost':
    async (open) => {
      for (const broken of ['putAll', 'put', 'update'] as const) {
        const world = await open()
        const table = new Proxy(world.table, {
          get: (object, name, receiver) => {
            const call = Reflect.get(object, name, receiver)
            return async (...args: [unknown, Parameters<Table['update']>[1]]) => {
              // An eviction's update removes entries.
              const fails =
                name === broken && (broken !== 'update' || JSON.stringify(args[1]).includes('DELETE'))
              if (fails) throw new DomainError('temporarily_unavailable')
              return call.apply(object, args)
            }
          },
        })
        const through = { ...world.ports, table }
        const spent: string[] = []
        const refused: string[] = []
        for (let n = 0; n < 100; n++) {
          world.advance(1)
          const id = n % 2 ? world.timed() : `word-${n}`
          const told = await world.spend(1, id, { through })
          ;(told === 200 ? spent : refused).push(id)
          if (told !== 200) expect(told).toBe('temporarily_unavailable')
        }
        expect(ringOf(await world.counter())).toBe(RING_MOST)
        expect(await world.batch([{ units: 1, requestId: 'another' }], { through })).toEqual([
          'temporarily_unavailable',
        ])
        expect(await world.spend(1, undefined, { through })).toBe(200)
        await expectUsed(world, spent.length + 1)
        for (const id of [...spent, ...refused]) expect(await world.spend(1, id)).toBe(200)
        await expectUsed(world, 101)
      }
    },
}

const archive: Record<string, Scenario> = {
  'an id dated in the future does not make other ids late': async (open) => {
    const world = await open()
    const future = Array.from({ length: 20 }, () => world.timed(365 * DAY_MS))
    for (const id of future) await world.spend(1, id)
    await world.fill(200)
    expect(await callsOf(world.ports, (through) => world.spend(1, world.timed(), { through }))).toEqual([
      'update',
    ])
    for (const id of future) expect(await world.spend(1, id)).toBe(200)
    await expectUsed(world, 221)
  },
  'many ids share an archive item even on a quiet account whose ids are far apart': async (open) => {
    const world = await open()
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
  },
  'a batch of ids dated in the future does not make other ids late': async (open) => {
    const world = await open()
    const future = Array.from({ length: 5 }, () => ({ units: 1, requestId: world.timed(365 * DAY_MS) }))
    for (let n = 0; n < 2; n++) expect(await world.batch(future)).toEqual(Array(5).fill(200))
    expect(await callsOf(world.ports, (through) => world.spend(1, world.timed(), { through }))).toEqual([
      'update',
    ])
    await expectUsed(world, 6)
  },
}

/** All scenarios by their titles, which state what they guarantee. */
export const scenarios: Readonly<Record<string, Scenario>> = {
  ...Object.fromEntries(
    kinds.flatMap(([kind, idOf]) =>
      Object.entries(ofOneId(idOf)).map(([title, scenario]) => [`${kind} id ${title}`, scenario]),
    ),
  ),
  'a batch of fresh ids that another batch spends between read and write spends nothing': ofABatch(0),
  'a batch of late ids that another batch spends between read and write spends nothing': ofABatch(-3_600_000),
  ...ofBatches,
  ...refusals,
  ...thresholds,
  ...choices,
  ...refusalCalls,
  ...Object.fromEntries(
    [1, 7, 100].map((units) => [
      `concurrent consumes of ${units} units fire each threshold exactly once per crossing`,
      crossings(units),
    ]),
  ),
  ...ledger,
  ...days,
  ...archive,
  ...ahead,
  ...fullRing,
  ...reservationScenarios,
  ...limitScenarios,
  ...leaseScenarios,
  ...leasedLimitScenarios,
  ...alertScenarios,
  ...lotScenarios,
}
