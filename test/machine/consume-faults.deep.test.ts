import { expect, test } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { RING_LIMIT } from '../../core/quota/ring-size.ts'
import { keys } from '../../core/table/keys.ts'
import type { Table } from '../../core/table/table.ts'
import { everyBreak } from './faults.ts'
import { memoryTable } from './memory-table.ts'
import { openQuotaWorld, type QuotaWorld } from './quota-world.ts'

const DAY_MS = 24 * 3_600_000
const TOTAL = 100_000

interface Prepared {
  /** Ids that were spent beforehand. */
  spent: string[]
  /** Requests that are sent while a port breaks, and repeated afterwards until they are answered. */
  requests: { units: number; requestId: string }[]
  /** Whether the requests are a batch, or come at the same time and are spent together; else each is on its own. */
  as?: 'batch' | 'together'
}

type Scenario = (world: QuotaWorld) => Promise<Prepared>

const one = (requestId: string, units = 1) => [{ units, requestId }]

async function batches(world: QuotaWorld, count: number, size: number): Promise<string[]> {
  const all: string[] = []
  for (let n = 0; n < count; n++) {
    world.advance(5)
    const ids = Array.from({ length: size }, () => world.timed())
    expect(await world.batch(ids.map((requestId) => ({ units: 1, requestId })))).toEqual(
      Array(size).fill(200),
    )
    all.push(...ids)
  }
  return all
}

const scenarios: Record<string, Scenario> = {
  'a request': async (world) => ({ spent: await world.fill(3), requests: one(world.timed()) }),
  'a request that fills the ring': async (world) => ({
    spent: await world.fill(RING_LIMIT - 1),
    requests: one(world.timed()),
  }),
  'a request that fills a ring of batches': async (world) => {
    const spent = [...(await batches(world, 9, 4)), ...(await world.fill(RING_LIMIT - 10))]
    world.advance(1)
    return { spent, requests: one(world.timed()) }
  },
  'an untimed id that fills a ring of its kind': async (world) => {
    const spent = Array.from({ length: RING_LIMIT - 1 }, (_, n) => `word-${n}`)
    for (const id of spent) await world.spend(1, id)
    return { spent, requests: one('word') }
  },
  'a late id': async (world) => ({ spent: await world.fill(60), requests: one(world.timed(-3_600_000)) }),
  'a crossing': async (world) => ({ spent: await world.fill(1), requests: one(world.timed(), TOTAL - 50) }),
  'the first request of a day': async (world) => {
    const spent = await world.fill(60)
    world.advance(DAY_MS)
    return { spent, requests: one(world.timed()) }
  },
  'a batch': async (world) => {
    const spent = await world.fill(3)
    world.advance(5)
    return { spent, as: 'batch', requests: Array.from({ length: 30 }, () => one(world.timed())).flat() }
  },
  'requests that come together': async (world) => {
    const spent = await world.fill(RING_LIMIT - 2)
    return { spent, as: 'together', requests: Array.from({ length: 8 }, () => one(world.timed())).flat() }
  },
  'a batch that fills the ring': async (world) => {
    const spent = [...(await batches(world, 9, 4)), ...(await world.fill(RING_LIMIT - 10))]
    world.advance(5)
    return { spent, as: 'batch', requests: Array.from({ length: 30 }, () => one(world.timed())).flat() }
  },
  'a batch of late, untimed and future ids on another day': async (world) => {
    const spent = await world.fill(60)
    world.advance(DAY_MS)
    const mixed = Array.from({ length: 12 }, (_, n) => [
      `word-${n}`,
      world.timed(n * -600_000),
      world.timed(n * 600_000),
    ])
    return { spent, as: 'batch', requests: mixed.flat().flatMap((id) => one(id)) }
  },
}

/** Sends the requests through these ports; a request that breaks gets no answer. */
async function ask(world: QuotaWorld, { requests, as }: Prepared, through: Ports) {
  if (as === 'batch') return world.batch(requests, { through }).catch(() => [])
  const spend = as === 'together' ? world.spendTogether : world.spend
  const answers = requests.map(({ units, requestId }) => spend(units, requestId, { through }))
  return Promise.all(answers).catch(() => [])
}

test.each(Object.entries(scenarios))(
  '%s, broken at any call, loses nothing, and a retry spends each id once',
  async (_, prepare) => {
    let table = memoryTable()
    const current = new Proxy({} as Table, { get: (_, name) => Reflect.get(table, name) })
    const calls = await everyBreak({ table: current } as unknown as Ports, async ({ broken, title }) => {
      table = memoryTable()
      const world = await openQuotaWorld({ left: TOTAL, size: 10_000, table })
      const prepared = await prepare(world)
      const { requests, spent } = prepared
      const used = async () => {
        const { l, f, u } = (await world.counter()) as Record<string, number>
        expect([title, (l ?? 0) + (f ?? 0) + (u ?? 0)]).toEqual([title, TOTAL])
        return u
      }
      const whole = requests.reduce((sum, { units }) => sum + units, Number(await used()))
      await ask(world, prepared, { ...world.ports, table: broken.table })
      expect([title, await ask(world, prepared, world.ports)]).toEqual([title, requests.map(() => 200)])
      expect([title, await used()]).toEqual([title, whole])
      // More requests evict and archive ids, so that later ones read what the broken request left behind.
      world.advance(60_000)
      if (whole < TOTAL / 2) await world.fill(60)
      const after = await used()
      for (const id of spent.filter((_, at) => at % 7 === 0))
        expect([title, await world.spend(1, id)]).toEqual([title, 200])
      for (const { units, requestId } of requests)
        expect([title, await world.spend(units, requestId)]).toEqual([title, 200])
      expect([title, await used()]).toEqual([title, after])
      const { r, n, due } = await world.counter()
      const crossed = whole > TOTAL / 2
      expect([title, r, n === undefined, due === undefined]).toEqual([
        title,
        crossed ? 1 : undefined,
        !crossed,
        !crossed,
      ])
      const days = await world.table.list(keys.account(world.accountId), 'DAY#')
      expect(days.length).toBeLessThanOrEqual(1)
      for (const { u } of days) expect([title, u]).toEqual([title, spent.length])
    })
    expect(calls).toBeGreaterThan(0)
  },
  120_000,
)
