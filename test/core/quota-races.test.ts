import { describe, expect, test } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { bookExpiry } from '../../core/quota/book-expiry.ts'
import { OPEN_IN_COUNTER, openIn } from '../../core/quota/reservation.ts'
import { expr } from '../../core/table/expression.ts'
import { keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import type { Table, Write } from '../../core/table/table.ts'
import { DAY_MS, MINUTE_MS } from '../../core/time.ts'
import { openLotWorld } from '../machine/lot-world.ts'
import { interleaved, openQuotaWorld } from '../machine/quota-world.ts'
import { losingRaces } from '../support/lost-races.ts'

type World = Awaited<ReturnType<typeof openLotWorld>>

/** A world of 1,000 units, and ports in whose table every write of the counter loses its race, up to `most` times. */
async function open(most?: number) {
  const world = await openLotWorld(openQuotaWorld, { left: 1000 })
  const counter = keys.quota(world.accountId)
  return { world, through: () => racing(world, (_, key) => key.sk === counter.sk, most) }
}

function racing(world: World, loses: Parameters<typeof losingRaces>[1], most?: number) {
  const { table, lost } = losingRaces(world.table, loses, most)
  return { ports: { ...world.ports, table: table as Table } as Ports, lost }
}

/** The error code of a call, or `done`. */
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'done',
    (error) => error.code ?? String(error),
  )

/** What writes the counter, by how often it may lose the race. */
const WRITERS: [title: string, tries: number, prepare: (world: World) => Promise<unknown>, Work][] = [
  ['a consume', 20, async () => {}, (world, through) => world.spend(1, world.timed(), { through })],
  [
    'a batch',
    40,
    async () => {},
    async (world, through) => (await world.batch([{ units: 1, requestId: world.timed() }], { through }))[0],
  ],
  ['a reservation', 20, async () => {}, async (world, through) => (await world.reserve(5, { through })).told],
  [
    'a settle',
    20,
    (world) => world.reserve(5),
    async (world, through, { id }) => (await world.settle(id, 3, { requestId: world.timed(), through })).told,
  ],
  ['the ledger', 20, (world) => world.sell(7), (world, through) => codeOf(world.applyLedger(through))],
]
type Work = (world: World, through: Ports, prepared: { id: string }) => Promise<unknown>

describe('a write of the counter that others overtake each time', () => {
  test.each(WRITERS)(
    'by %s is given up after %i tries, and changes nothing',
    async (_, tries, prepare, work) => {
      const { world, through } = await open()
      const prepared = (await prepare(world)) as { id: string }
      const before = await world.counter()
      const { ports, lost } = through()
      expect(await work(world, ports, prepared)).toBe('temporarily_unavailable')
      expect(lost()).toBe(tries)
      expect(await world.counter()).toEqual(before)
    },
  )

  test.each(WRITERS)('by %s succeeds if the last of its %i tries does', async (_, tries, prepare, work) => {
    const { world, through } = await open(tries - 1)
    const prepared = (await prepare(world)) as { id: string }
    const before = await world.counter()
    const { ports, lost } = through()
    expect(['done', 200]).toContain(await work(world, ports, prepared))
    expect(lost()).toBe(tries - 1)
    expect(await world.counter()).not.toEqual(before)
  })
})

/** A world with 50 units that have expired and are in no ledger entry yet. */
async function withUnbooked() {
  const world = await openLotWorld(openQuotaWorld, { left: 100 })
  await world.credit(50, 2)
  world.advance(3 * DAY_MS)
  expect(await world.spend(1)).toBe(200)
  expect(await world.numbers()).toMatchObject({ unbooked: 50, expired: 0 })
  return world
}

describe('the ledger entry of what has expired', () => {
  const isBooking = (write: Write) => 'update' in write && JSON.stringify(write.set).includes('ledgerSeq')

  test('is given up after 20 lost races, and written by the next job', async () => {
    const world = await withUnbooked()
    const { ports, lost } = racing(world, isBooking)
    expect(await codeOf(bookExpiry(ports, world.accountId))).toBe('temporarily_unavailable')
    expect(lost()).toBe(20)
    expect(await world.numbers()).toMatchObject({ unbooked: 50, expired: 0 })
    await bookExpiry(world.ports, world.accountId)
    expect(await world.numbers()).toMatchObject({ unbooked: 0, expired: 50 })
  })

  test('is written by the last of 20 tries', async () => {
    const world = await withUnbooked()
    const { ports, lost } = racing(world, isBooking, 19)
    await bookExpiry(ports, world.accountId)
    expect(lost()).toBe(19)
    expect(await world.numbers()).toMatchObject({ unbooked: 0, expired: 50 })
  })

  test('has what has expired by the time it is written, and is announced once', async () => {
    const world = await withUnbooked()
    let writes = 0
    const transact: Table['transact'] = async (all) => {
      writes += 1
      // Other units expire just before the first try.
      if (writes === 1) await world.table.update(keys.quota(world.accountId), expr`SET #X = ${57}`)
      return world.table.transact(all)
    }
    await bookExpiry({ ...world.ports, table: { ...world.table, transact } }, world.accountId)
    expect(writes).toBe(2)
    expect(await world.numbers()).toMatchObject({ unbooked: 0, expired: 57 })
    // Nothing is left to book.
    await bookExpiry({ ...world.ports, table: { ...world.table, transact } }, world.accountId)
    expect(writes).toBe(2)
    const { pk } = keys.profile(world.accountId)
    const events = (await world.table.list(pk, OUT_EVENT_PREFIX)).filter(
      ({ type }) => type === 'units.expired',
    )
    expect(events.map(({ data }) => data)).toEqual([{ units: 57 }])
  })

  test.each([1, 2, 3, 4])(
    'follows a sale that comes before read number %i, whose units are left',
    async (nth) => {
      const world = await withUnbooked()
      await bookExpiry(
        interleaved(world.ports, 'get', nth, () => world.sell(7)),
        world.accountId,
      )
      await world.applyLedger()
      const sold = Number((await world.counter()).s) === 4 ? 7 : 0
      expect(await world.numbers()).toMatchObject({ left: 99 + sold, unbooked: 0, expired: 50 })
      await world.checkBooks('booked', 100)
    },
  )

  test('leaves a request that was refused waiting for its renewal', async () => {
    const world = await withUnbooked()
    const before = await world.counter()
    await world.table.update(keys.quota(world.accountId), expr`SET #k = ${before.s}`)
    await bookExpiry(world.ports, world.accountId)
    const after = await world.counter()
    expect(after.s).toBe(Number(before.s) + 1)
    expect(after.k).toBe(after.s)
  })

  test('is not written again after an error that is no lost race', async () => {
    const world = await withUnbooked()
    let calls = 0
    const transact = async () => {
      calls += 1
      throw new TypeError('torn')
    }
    const torn = { ...world.ports, table: { ...world.table, transact } }
    expect(await codeOf(bookExpiry(torn, world.accountId))).toBe('TypeError: torn')
    expect(calls).toBe(1)
  })
})

describe('reservations that have expired', () => {
  test.each(['counter', 'item'] as const)(
    'and are held in the %s stay due if each of 20 tries to return them loses its race',
    async (place) => {
      const { world, through } = await open()
      // The counter has no room for another one then.
      const others = place === 'item' ? OPEN_IN_COUNTER : 0
      for (let n = 0; n < others; n++) await world.reserve(1, { ttlSeconds: 3600 })
      expect((await world.reserve(5)).told).toBe(200)
      expect(openIn({ item: await world.counter() })).toHaveLength(others || 1)
      world.advance(5 * MINUTE_MS)
      const { ports, lost } = through()
      expect(await world.expire(ports)).toMatchObject({ done: 0, failed: 1 })
      expect(lost()).toBe(20)
      expect((await world.numbers()).held).toBe(others + 5)
      expect(await world.expire()).toMatchObject({ done: 1, failed: 0 })
      expect((await world.numbers()).held).toBe(others)
    },
  )
})

test('a refusal is noted by two tries, and answered whatever becomes of them', async () => {
  const world = await openLotWorld(openQuotaWorld, { left: 5, size: 1000 })
  const { ports, lost } = racing(
    world,
    (write) => 'update' in write && JSON.stringify(write.set).includes('kx'),
  )
  expect(await world.spend(50, undefined, { through: ports })).toBe(402)
  expect(lost()).toBe(2)
  expect(await world.counter()).not.toHaveProperty('kx')
})
