import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { RING_MOST } from '../../core/quota/ring-size.ts'
import { EXHAUSTIVE } from '../machine/faults.ts'
import { memoryTable } from '../machine/memory-table.ts'
import { openQuotaWorld, type QuotaWorld } from '../machine/quota-world.ts'
import { metered } from '../support/metered-table.ts'
import { sizeOf } from '../support/quota.ts'

/**
 * What a consume costs, whatever ids come: over many ids of one kind, the average of every thousand stays within
 * the same bound. The costs include evictions, archive lookups and refused writes. EXHAUSTIVE=1 sends 50,000 ids of
 * each kind, which takes minutes; costs that grow have grown beyond the bound after a few thousand.
 */
const IDS = EXHAUSTIVE ? 50_000 : 3_000
const WINDOW = 1000

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** A ULID with this time and number. */
function ulid(atMs: number, n: number): string {
  let text = ''
  for (let rest = atMs; text.length < 10; rest = Math.floor(rest / 32)) text = CROCKFORD[rest % 32] + text
  return (
    text +
    n
      .toString(32)
      .toUpperCase()
      .replace(/[I-V]/g, (c) => CROCKFORD[Number.parseInt(c, 32)] ?? '')
      .padStart(16, '0')
  )
}

/** A number from 0 to 1 that looks random, for the nth id. */
const random = (n: number): number => createHash('md5').update(String(n)).digest().readUInt32BE(0) / 2 ** 32

const uuidv4 = (n: number): string => {
  const hex = createHash('md5').update(String(n)).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
}

type Kind = (world: QuotaWorld, n: number) => string

/** The bounds that the docstring of `consumeUnits` states, in units a request. */
const IN_ORDER = { writes: 1.1, reads: 0.05 }
const ANY = { writes: 2.1, reads: 16 }

/** The kinds of ids, and how many milliseconds pass between two requests. */
const kinds: Record<string, { stepMs?: number; id: Kind; most: { writes: number; reads: number } }> = {
  'UUIDv7 of now': { id: (world) => world.timed(), most: IN_ORDER },
  'ULIDs of now': { id: (world, n) => ulid(world.nowMs(), n), most: IN_ORDER },
  'UUIDv7 of now, a few milliseconds out of order': {
    stepMs: 5,
    id: (world, n) => world.timed(-Math.floor(random(n) * 20)),
    most: IN_ORDER,
  },
  UUIDv4: { id: (_, n) => uuidv4(n), most: ANY },
  words: { id: (_, n) => `order-${n}`, most: ANY },
  'dated over the last hour': {
    id: (world, n) => world.timed(-Math.floor(random(n) * HOUR_MS)),
    most: ANY,
  },
  'dated over the last hour, backwards': {
    id: (world, n) => world.timed(-n * 72),
    most: ANY,
  },
  'dated over the last ten days': {
    id: (world, n) => world.timed(-Math.floor(random(n) * 10 * DAY_MS)),
    most: ANY,
  },
  'of two senders, one of them a minute behind': {
    stepMs: 10,
    id: (world, n) => world.timed(n % 2 ? -MINUTE_MS : 0),
    most: ANY,
  },
  'dated over the next hour': {
    id: (world, n) => world.timed(Math.floor(random(n) * HOUR_MS)),
    most: ANY,
  },
  'dated over the next ten days': {
    stepMs: SECOND_MS,
    id: (world, n) => world.timed(Math.floor(random(n) * 10 * DAY_MS)),
    most: ANY,
  },
  'of next year': { id: (world) => world.timed(365 * DAY_MS), most: ANY },
  'of 2050': { id: (_, n) => ulid(Date.UTC(2050, 0, 1) + n, n), most: ANY },
  'of one millisecond': {
    stepMs: 1,
    id: (world, n) => world.timed(-n),
    most: ANY,
  },
  'spread so that every archive item has another span': {
    stepMs: 40,
    id: (world, n) => world.timed(-Math.floor(2 ** ((n * 7) % 30))),
    most: ANY,
  },
  'of every kind in turn': {
    id: (world, n) => {
      const of = Object.values(kinds)
      return of[n % (of.length - 1)]?.id(world, n) ?? ''
    },
    most: ANY,
  },
}

async function openMetered() {
  const { table, units } = metered(memoryTable())
  const world = await openQuotaWorld({ left: 10_000_000, table, keyCount: 8 })
  units.writes = 0
  units.reads = 0
  return { world, units }
}

/** The highest costs of a request, as averages over each thousand requests. */
async function highestCosts(
  { world, units }: Awaited<ReturnType<typeof openMetered>>,
  perCall: number,
  call: (n: number) => Promise<void>,
) {
  const highest = { writes: 0, reads: 0 }
  const last = { ...units }
  for (let n = 0; n < IDS; n += perCall) {
    await call(n)
    if ((n + perCall) % WINDOW > 0) continue
    for (const unit of ['writes', 'reads'] as const) {
      highest[unit] = Math.max(highest[unit], (units[unit] - last[unit]) / WINDOW)
      last[unit] = units[unit]
    }
    const counter = await world.counter()
    units.reads = last.reads
    expect(sizeOf(counter)).toBeLessThan(1024)
    expect((counter.a as Set<unknown>).size).toBeLessThanOrEqual(RING_MOST)
  }
  return highest
}

describe.each(Object.entries(kinds))(`${IDS} ids %s`, (_, { stepMs = 1, id, most }) => {
  test('cost no more as requests of their own than the bound, and so do ordinary ids afterwards', async () => {
    const opened = await openMetered()
    const { world, units } = opened
    const highest = await highestCosts(opened, 1, async (n) => {
      world.advance(stepMs)
      expect(await world.spend(1, id(world, n))).toBe(200)
    })
    expect(highest.writes).toBeLessThanOrEqual(most.writes)
    expect(highest.reads).toBeLessThanOrEqual(most.reads)
    world.advance(2 * MINUTE_MS)
    await world.fill(100)
    const before = { ...units }
    await world.fill(300)
    expect((units.writes - before.writes) / 300).toBeLessThanOrEqual(1.1)
    expect(units.reads - before.reads).toBe(0)
    expect((await world.counter()).u).toBe(IDS + 400)
  }, 600_000)

  test('cost no more in batches than the same bound', async () => {
    const opened = await openMetered()
    const { world } = opened
    const highest = await highestCosts(opened, 100, async (n) => {
      const batch = Array.from({ length: 100 }, (_, at) => {
        world.advance(stepMs)
        return { units: 1, requestId: id(world, n + at) }
      })
      expect(await world.batch(batch)).toEqual(Array(100).fill(200))
    })
    expect(highest.writes).toBeLessThanOrEqual(most.writes)
    expect(highest.reads).toBeLessThanOrEqual(most.reads)
    expect((await world.counter()).u).toBe(IDS)
  }, 600_000)
})
