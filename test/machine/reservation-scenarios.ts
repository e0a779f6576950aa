import { expect } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { OPEN_IN_COUNTER, openIn } from '../../core/quota/reservation.ts'
import { balanceParts } from '../../core/quota/thresholds.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Table } from '../../core/table/table.ts'
import { DAY_MS } from '../../core/time.ts'
import { watchAlerts } from './alert-watch.ts'
import { breaking, everyBreak } from './faults.ts'
import { memoryTable } from './memory-table.ts'
import { interleaved, type openQuotaWorld, type QuotaWorld } from './quota-world.ts'

export type ReservationScenario = (open: typeof openQuotaWorld) => Promise<void>

export const TOTAL = 1000
const LIFE_MS = 3_700_000

/** Asserts the units left, used and held, which are all that there are, and that the floor fits. */
export async function expectUnits(
  world: QuotaWorld,
  title: string,
  { used, held }: { used: number; held: number },
  total = TOTAL,
): Promise<void> {
  const { l = 0, f = 0, u, y = 0, q = 0, b, w } = (await world.counter()) as Record<string, number>
  expect([title, { left: l + f, used: u, held: y }]).toEqual([
    title,
    { left: total - used - held, used, held },
  ])
  expect([title, { left: l, floor: f }]).toEqual([
    title,
    balanceParts(l + f, { size: q, below: b, renewalSize: w }),
  ])
}

/** Asserts that all units are back once every reservation must have expired. */
export async function expectAllBack(
  world: QuotaWorld,
  title: string,
  used: number,
  total = TOTAL,
): Promise<void> {
  world.advance(LIFE_MS)
  await world.expire()
  await world.expire()
  await expectUnits(world, title, { used, held: 0 }, total)
}

/** Fills the counter's room for reservations. */
export async function fillCounter(world: QuotaWorld): Promise<void> {
  for (let n = 0; n < OPEN_IN_COUNTER; n++) await world.reserve(1)
}

/** Runs a scenario for a reservation in the counter and for one in an item of its own. */
export const inBothPlaces =
  (scenario: (world: QuotaWorld, others: number, title: string) => Promise<void>): ReservationScenario =>
  async (open) => {
    await scenario(await open({ keyCount: 2 }), 0, 'in the counter')
    const world = await open({ keyCount: 2 })
    await fillCounter(world)
    await scenario(world, OPEN_IN_COUNTER, 'in an item')
  }

const METHODS = ['get', 'update', 'transact', 'put', 'remove'] as const satisfies (keyof Table)[]

/**
 * Runs `first` before each call of the table that `work` makes, each time in a new world.
 * @param check runs afterwards
 */
export async function atEachCall(
  world: () => Promise<QuotaWorld>,
  prepare: (world: QuotaWorld) => Promise<string>,
  work: (world: QuotaWorld, id: string, through: Ports) => Promise<unknown>,
  first: (world: QuotaWorld, id: string) => Promise<unknown>,
  check: (world: QuotaWorld, title: string, id: string) => Promise<void>,
): Promise<void> {
  for (const method of METHODS) {
    for (let nth = 1; ; nth++) {
      const here = await world()
      const id = await prepare(here)
      let came = false
      const through = interleaved(here.ports, method, nth, async () => {
        came = true
        await first(here, id)
      })
      await work(here, id, through)
      if (!came) break
      await check(here, `before ${method} ${nth}`, id)
    }
  }
}

/** Breaks `work` at each call, tries it again as its client or schedule would, and checks. */
export async function atEachBreak(
  open: typeof openQuotaWorld,
  prepare: (world: QuotaWorld) => Promise<string>,
  work: (world: QuotaWorld, id: string, through: Ports) => Promise<unknown>,
  check: (world: QuotaWorld, title: string, id: string) => Promise<void>,
): Promise<void> {
  let table = memoryTable()
  const current = new Proxy({} as Table, { get: (_, name) => Reflect.get(table, name) })
  await everyBreak({ table: current } as unknown as Ports, async ({ broken, title }) => {
    const watched = watchAlerts()
    table = memoryTable([], watched.watch)
    const world = await open({ left: TOTAL, size: 500, keyCount: 2, table, watched })
    const id = await prepare(world)
    await work(world, id, { ...world.ports, table: broken.table }).catch(() => undefined)
    await work(world, id, world.ports)
    await check(world, title, id)
  })
}

export const ends: Record<string, (world: QuotaWorld, id: string, through?: Ports) => Promise<unknown>> = {
  'a settle': (world, id, through = world.ports) => world.settle(id, 7, { requestId: 'settle-1', through }),
  'a settle for more': (world, id, through = world.ports) =>
    world.settle(id, 40, { requestId: 'settle-2', slot: 1, through }),
  'a return': (world, id, through = world.ports) => world.settle(id, 0, { through }),
  'the expiry': (world, _, through = world.ports) => world.expire(through),
}

const usedBy: Record<string, number> = {
  'a settle': 7,
  'a settle for more': 40,
  'a return': 0,
  'the expiry': 0,
}

/** A reservation of 30 units that has expired, so that everything may end it. */
export const expiredReservation = async (world: QuotaWorld, isMoved: boolean) => {
  if (isMoved) await fillCounter(world)
  const { id } = await world.reserve(30, { requestId: 'reserve-1' })
  world.advance(61_000)
  return id
}

export const reservationScenarios: Readonly<Record<string, ReservationScenario>> = {
  'a reservation ends once, whichever two ends come at once and wherever one overtakes the other': async (
    open,
  ) => {
    for (const isMoved of [false, true])
      for (const [first, endFirst] of Object.entries(ends))
        for (const [second, endSecond] of Object.entries(ends)) {
          const used: number[] = []
          await atEachCall(
            () => open({ keyCount: 2, size: 500 }),
            (world) => expiredReservation(world, isMoved),
            (world, id, through) => endSecond(world, id, through),
            async (world, id) => {
              await endFirst(world, id)
              used.push(Number((await world.counter()).u))
            },
            async (world, title) => {
              const what = `${first}, ${title} of ${second}`
              // One of the two has taken effect, and the other nothing.
              const now = used.at(-1) ?? -1
              expect([what, [usedBy[first], usedBy[second]].includes(now)]).toEqual([what, true])
              await expectAllBack(world, what, now)
            },
          )
        }
  },
  'a reserve that breaks off at any call holds its units once, and loses none': async (open) => {
    for (const isMoved of [false, true])
      await atEachBreak(
        open,
        async (world) => {
          if (isMoved) await fillCounter(world)
          return ''
        },
        (world, _, through) => world.reserve(600, { requestId: 'r-1', through }),
        async (world, title) => {
          const others = isMoved ? OPEN_IN_COUNTER : 0
          await expectUnits(world, title, { used: 0, held: 600 + others })
          const again = await world.reserve(600, { requestId: 'r-1' })
          expect([title, again.told]).toEqual([title, 200])
          expect((await world.settle(again.id, 5)).covered).toBe(5)
          await expectAllBack(world, title, 5)
        },
      )
  },
  'a reserve without an id whose answer is lost gives its units back': async (open) => {
    for (const isMoved of [false, true])
      await atEachBreak(
        open,
        async (world) => {
          if (isMoved) await fillCounter(world)
          return ''
        },
        (world, _, through) =>
          through === world.ports ? Promise.resolve() : world.reserve(600, { through }),
        (world, title) => expectAllBack(world, title, 0),
      )
  },
  'a settle that breaks off at any call takes effect once': async (open) => {
    for (const isMoved of [false, true])
      for (const [units, covered] of [
        [7, 7],
        [450, 450],
        [5000, 1000],
      ] as const)
        await atEachBreak(
          open,
          async (world) => {
            if (isMoved) await fillCounter(world)
            return (await world.reserve(400)).id
          },
          (world, id, through) => world.settle(id, units, { through }),
          async (world, title, id) => {
            const most = Math.min(covered, TOTAL - (isMoved ? OPEN_IN_COUNTER : 0))
            const again = await world.settle(id, units)
            expect([title, again]).toEqual([title, { told: 200, covered: most, replayed: true }])
            await expectAllBack(world, title, most)
          },
        )
  },
  'an expiry that breaks off at any call returns the units once': async (open) => {
    for (const isMoved of [false, true])
      await atEachBreak(
        open,
        (world) => expiredReservation(world, isMoved),
        (world, _, through) => world.expire(through),
        async (world, title) => {
          await expectUnits(world, title, { used: 0, held: 0 })
          await expectAllBack(world, title, 0)
        },
      )
  },
  'a reservation always has an alarm, wherever the job comes while it is made': async (open) => {
    for (const history of ['none', 'ended', 'orphan'])
      await atEachCall(
        () => open({ keyCount: 2 }),
        async (world) => {
          if (history === 'ended') await world.settle((await world.reserve(5)).id, 0)
          if (history === 'orphan') {
            const broken = breaking(world.ports, { at: 3, kind: 'crash-before' })
            await world.reserve(5, { through: broken.ports }).catch(() => undefined)
          }
          return ''
        },
        (world, _, through) => world.reserve(30, { through }),
        (world) => world.expire(),
        async (world, title) => {
          await expectUnits(world, title, { used: 0, held: 30 })
          await expectAllBack(world, `${history}, ${title}`, 0)
        },
      )
  },
  'a job that is overtaken by reservations leaves them an alarm': async (open) => {
    await atEachCall(
      () => open({ keyCount: 2 }),
      async (world) => {
        await world.settle((await world.reserve(5)).id, 0)
        return ''
      },
      (world, _, through) => world.expire(through),
      (world) => world.reserve(30),
      (world, title) => expectAllBack(world, title, 0),
    )
  },
  'two reservations that overtake each other both have an alarm': async (open) => {
    await atEachCall(
      () => open({ keyCount: 2 }),
      async () => '',
      (world, _, through) => world.reserve(30, { through }),
      (world) => world.reserve(40, { slot: 1 }),
      async (world, title) => {
        await expectUnits(world, title, { used: 0, held: 70 })
        await expectAllBack(world, title, 0)
      },
    )
  },
  'a reservation with the same id is made once, wherever its copy comes': async (open) => {
    for (const isMoved of [false, true])
      await atEachCall(
        () => open({ keyCount: 2 }),
        async (world) => {
          if (isMoved) await fillCounter(world)
          return ''
        },
        (world, _, through) => world.reserve(30, { requestId: 'r-1', through }),
        (world) => world.reserve(30, { requestId: 'r-1', slot: 1 }),
        (world, title) => expectUnits(world, title, { used: 0, held: 30 + (isMoved ? OPEN_IN_COUNTER : 0) }),
      )
  },
  'an id of days ago reserves again, and is settled again': async (open) => {
    for (const isMoved of [false, true]) {
      const world = await open({ keyCount: 2 })
      const forgotten = async () => {
        world.advance(5 * DAY_MS)
        await world.expire()
        // As TTL does with ids and reservations, of which it may take any first.
        for (const { pk, sk } of await world.table.list(keys.account(world.accountId), 'SPENT'))
          await world.table.remove({ pk, sk } as { pk: string; sk: string })
      }
      let left = TOTAL
      for (let times = 0; times < 2; times++) {
        if (isMoved) await fillCounter(world)
        const { id, told } = await world.reserve(30, { requestId: 'r-1' })
        expect(told).toBe(200)
        const others = isMoved ? OPEN_IN_COUNTER : 0
        const used = times === 0 ? left - others - 100 : 100
        left -= used
        expect(await world.settle(id, used)).toMatchObject({ told: 200, covered: used })
        // The ids leave the ring, so that the archive is where they are.
        for (let n = 0; n < 60; n++)
          await world.settle((await world.reserve(1, { requestId: `x-${times}-${n}` })).id, 0)
        await forgotten()
      }
      await expectUnits(world, 'in the end', { used: TOTAL - left, held: 0 })
    }
  },
  'a settle is repeated by the same units only': inBothPlaces(async (world, others) => {
    const { id } = await world.reserve(30)
    const requestId = 'settle-1'
    expect(await world.settle(id, 7, { requestId })).toMatchObject({ told: 200, covered: 7 })
    expect(await world.settle(id, 7, { requestId })).toMatchObject({ told: 200, covered: 7 })
    for (const units of [0, 8, 2000])
      expect(await world.settle(id, units, { requestId })).toMatchObject({ told: 'reservation_ended' })
    await expectUnits(world, 'once', { used: 7, held: others })
  }),
  'the units of a reservation that a spend overtakes are never below zero': async (open) => {
    for (const units of [980, 1500])
      await atEachCall(
        () => open({ size: 500 }),
        async (world) => (await world.reserve(30)).id,
        (world, id, through) => world.settle(id, units, { through }),
        (world) => world.spend(50),
        async (world, title) => {
          const { l = 0, f = 0, u = 0 } = (await world.counter()) as Record<string, number>
          expect([title, l >= 0, l + f + u]).toEqual([title, true, TOTAL])
          // A settle that was not overtaken in its write has left too few units for the spend.
          expect([title, u]).toEqual([title, TOTAL])
        },
      )
  },
  'the floor follows the units that return, wherever a spend comes': async (open) => {
    for (const spent of [1, 45, 60])
      await atEachCall(
        () => open({ left: 150, size: 1000 }),
        async (world) => (await world.reserve(100)).id,
        (world, id, through) => world.settle(id, 0, { through }),
        (world) => world.spend(spent),
        async (world, title) => expectUnits(world, title, await held(world), 150),
      )
  },
  'a spend that crosses a threshold leaves the right floor, wherever units return': async (open) => {
    for (const spent of [45, 60, 99, 105, 141])
      await atEachCall(
        () => open({ left: 1150, size: 1000 }),
        async (world) => {
          await world.reserve(1000)
          return (await world.reserve(40)).id
        },
        (world, _, through) => world.spend(spent, undefined, { through }),
        (world, id) => world.settle(id, 0),
        async (world, title) => expectUnits(world, title, await held(world), 1150),
      )
  },
  'two returns that lift the balance together leave the right floor': async (open) => {
    await atEachCall(
      () => open({ left: 110, size: 1000 }),
      async (world) => {
        await world.reserve(15, { requestId: 'other' })
        return (await world.reserve(15)).id
      },
      (world, id, through) => world.settle(id, 0, { through }),
      async (world) => world.settle((await world.reserve(15, { requestId: 'other' })).id, 0),
      async (world, title) => expectUnits(world, title, await held(world), 110),
    )
  },
  'a credit leaves the right floor, wherever units return': async (open) => {
    for (const units of [20, 60, 100])
      await atEachCall(
        () => open({ left: 90, size: 1000 }),
        async (world) => (await world.reserve(40)).id,
        async (world, _, through) => {
          const entry = {
            ...keys.ledger(world.accountId, 2),
            seq: 2,
            atMs: 1,
            kind: 'payment',
            units,
            amountCents: 0,
          }
          await world.table.put(entry)
          await world.applyLedger(through)
        },
        (world, id) => world.settle(id, 0),
        async (world, title) => expectUnits(world, title, await held(world), 90 + units),
      )
  },
  'a settle counts on its own day, and the snapshot of the day before is right': inBothPlaces(
    async (world, others, title) => {
      const { id } = await world.reserve(30)
      expect(await world.spend(3)).toBe(200)
      world.advance(DAY_MS)
      await world.settle(id, 7)
      const days = await world.table.list(keys.account(world.accountId), 'DAY#')
      expect([title, days.map(({ u }) => u)]).toEqual([title, [3]])
      await expectUnits(world, title, { used: 10, held: others })
    },
  ),
  'a settle that the end of the day overtakes counts on the new day': async (open) => {
    await atEachCall(
      () => open(),
      async (world) => {
        await world.spend(3)
        return (await world.reserve(30)).id
      },
      (world, id, through) => world.settle(id, 7, { through }),
      async (world) => {
        world.advance(DAY_MS)
        await world.spend(1)
      },
      async (world, title) => {
        await expectUnits(world, title, { used: 11, held: 0 })
        const days = await world.table.list(keys.account(world.accountId), 'DAY#')
        expect([title, days.map(({ u }) => u)]).toEqual([title, [3]])
      },
    )
  },
  'use goes to the key that reserved, unless that is revoked, wherever the revocation comes': async (
    open,
  ) => {
    await atEachCall(
      () => open({ keyCount: 2 }),
      async (world) => (await world.reserve(30, { slot: 1 })).id,
      (world, id, through) => world.settle(id, 7, { through }),
      async (world) => {
        await world.table.update(keys.quota(world.accountId), expr`REMOVE #h1, #c1`)
      },
      async (world, title) => {
        await expectUnits(world, title, { used: 7, held: 0 })
        expect([title, (await world.counter()).c1]).toEqual([title, undefined])
      },
    )
  },
  'a blocked account settles nothing, and its reservations return': inBothPlaces(
    async (world, others, title) => {
      const { id } = await world.reserve(30)
      await world.table.update(keys.quota(world.accountId), expr`SET #x = ${'suspended'}`)
      expect([title, (await world.settle(id, 7)).told]).toEqual([title, 'account_suspended'])
      await expectUnits(world, title, { used: 0, held: 30 + others })
      await expectAllBack(world, title, 0)
    },
  ),
  'only what has expired returns': inBothPlaces(async (world, others, title) => {
    await world.reserve(30, { ttlSeconds: 600 })
    const { id } = await world.reserve(20, { ttlSeconds: 30 })
    world.advance(29_000)
    await world.expire()
    await expectUnits(world, title, { used: 0, held: 50 + others })
    world.advance(2_000)
    await world.expire()
    await expectUnits(world, title, { used: 0, held: 30 + others })
    expect([title, (await world.settle(id, 1)).told]).toEqual([title, 'reservation_ended'])
    await expectAllBack(world, title, 0)
  }),
  'a settle is recognised after a hundred others, and after another day': inBothPlaces(
    async (world, _, title) => {
      const { id } = await world.reserve(30)
      await world.settle(id, 7)
      for (let n = 0; n < 60; n++) {
        world.advance(1000)
        const other = await world.reserve(2, { requestId: world.timed() })
        await world.settle(other.id, 1, { requestId: world.timed() })
      }
      world.advance(DAY_MS)
      expect([title, await world.settle(id, 7)]).toEqual([title, { told: 200, covered: 7, replayed: true }])
      expect([title, (await world.settle(id, 8)).told]).toEqual([title, 'reservation_ended'])
      await expectAllBack(world, title, 67)
    },
  ),
}

/** What the counter says is used and held. */
async function held(world: QuotaWorld): Promise<{ used: number; held: number }> {
  const item = await world.counter()
  const sum = openIn({ item }).reduce((all, { units }) => all + units, 0)
  return { used: Number(item.u), held: sum }
}
