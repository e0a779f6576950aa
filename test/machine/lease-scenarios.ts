import { expect } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { OPEN_IN_COUNTER, openIn, type Unreported } from '../../core/quota/reservation.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { DAY_MS } from '../../core/time.ts'
import type { QuotaWorld } from './quota-world.ts'
import {
  atEachBreak,
  atEachCall,
  expectAllBack,
  expectUnits,
  fillCounter,
  inBothPlaces,
  type ReservationScenario,
  TOTAL,
} from './reservation-scenarios.ts'

/** A lease of 30 units that has expired, so that everything may end it. */
export async function expiredLease(
  world: QuotaWorld,
  isMoved: boolean,
  unreported: Unreported,
): Promise<string> {
  if (isMoved) await fillCounter(world)
  const { id } = await world.lease(30, { requestId: 'lease-1', unreported })
  world.advance(61_000)
  return id
}

const ends: Record<string, (world: QuotaWorld, id: string, through?: Ports) => Promise<unknown>> = {
  'a renewal': (world, id, through = world.ports) =>
    world.report(id, 7, { keep: 20, requestId: 'report-1', through }),
  'a renewal of more': (world, id, through = world.ports) =>
    world.report(id, 40, { keep: 50, requestId: 'report-2', slot: 1, through }),
  'a return': (world, id, through = world.ports) => world.report(id, 12, { through }),
  'the expiry': (world, _, through = world.ports) => world.expire(through),
}

/** Units used, and those held by leases. */
async function unitsOf(world: QuotaWorld): Promise<{ used: number; held: number }> {
  const { u, y = 0 } = await world.counter()
  return { used: Number(u), held: Number(y) }
}

const places = [false, true]
const modes: Unreported[] = ['return', 'charge']

/** Fills the counter's room first, where the lease is to have an item of its own. */
const filled = async (world: QuotaWorld, isMoved: boolean): Promise<string> => {
  if (isMoved) await fillCounter(world)
  return ''
}

const othersOf = (isMoved: boolean): number => (isMoved ? OPEN_IN_COUNTER : 0)

export const leaseScenarios: Readonly<Record<string, ReservationScenario>> = {
  'a lease ends once, whichever two ends come at once and wherever one overtakes the other': async (open) => {
    const world = () => open({ keyCount: 2, size: 500 })
    for (const isMoved of places)
      for (const unreported of modes)
        for (const [first, endFirst] of Object.entries(ends))
          for (const [second, endSecond] of Object.entries(ends)) {
            const inOrder = async (...order: (typeof endFirst)[]) => {
              const here = await world()
              const id = await expiredLease(here, isMoved, unreported)
              for (const end of order) await end(here, id)
              return JSON.stringify(await unitsOf(here))
            }
            const possible = [await inOrder(endFirst, endSecond), await inOrder(endSecond, endFirst)]
            await atEachCall(
              world,
              (here) => expiredLease(here, isMoved, unreported),
              (here, id, through) => endSecond(here, id, through),
              (here, id) => endFirst(here, id),
              async (here, title) => {
                const what = `${unreported}, moved ${isMoved}: ${first}, ${title} of ${second}`
                const now = await unitsOf(here)
                expect([what, possible.includes(JSON.stringify(now)) || possible]).toEqual([what, true])
                await expectUnits(here, what, now)
                const { charged } = await openUnits(here)
                await expectAllBack(here, what, now.used + charged)
              },
            )
          }
  },
  'a lease that breaks off at any call holds its units once, and loses none': async (open) => {
    for (const isMoved of places)
      await atEachBreak(
        open,
        (world) => filled(world, isMoved),
        (world, _, through) => world.lease(5000, { requestId: 'l-1', through }),
        async (world, title) => {
          const units = TOTAL - othersOf(isMoved)
          await expectUnits(world, title, { used: 0, held: TOTAL })
          const again = await world.lease(5000, { requestId: 'l-1' })
          expect([title, again.told, again.units]).toEqual([title, 200, units])
          expect((await world.report(again.id, 5)).covered).toBe(5)
          await expectAllBack(world, title, 5)
        },
      )
  },
  'a renewal that breaks off at any call takes effect once': async (open) => {
    for (const isMoved of places)
      for (const [used, keep] of [
        [7, 400],
        [450, 30],
        [7, 5000],
        [5000, 10],
      ] as const)
        await atEachBreak(
          open,
          async (world) => {
            await filled(world, isMoved)
            return (await world.lease(400)).id
          },
          (world, id, through) => world.report(id, used, { keep, through }),
          async (world, title, id) => {
            const covered = Math.min(used, TOTAL - othersOf(isMoved))
            const units = Math.min(keep, TOTAL - othersOf(isMoved) - covered)
            const again = await world.report(id, used, { keep })
            expect([title, again]).toEqual([
              title,
              { told: 200, id: again.id, units, covered, replayed: true },
            ])
            expect([title, (await world.report(id, used + 1, { keep })).told]).toEqual([title, 'lease_ended'])
            await expectUnits(world, title, { used: covered, held: units + othersOf(isMoved) })
            const last = units > 0 ? (await world.report(again.id, 1)).covered : 0
            await expectAllBack(world, title, covered + last)
          },
        )
  },
  'an expiry of leases that breaks off at any call takes effect once, and a late report once': async (
    open,
  ) => {
    for (const isMoved of places)
      for (const unreported of modes)
        await atEachBreak(
          open,
          (world) => expiredLease(world, isMoved, unreported),
          (world, _, through) => world.expire(through),
          async (world, title, id) => {
            const used = unreported === 'charge' ? 30 : 0
            await expectUnits(world, title, { used, held: 0 })
            expect([title, (await world.report(id, 12, { keep: 10 })).units]).toEqual([title, 0])
            expect([title, (await world.report(id, 13)).told]).toEqual([title, 'lease_ended'])
            await expectAllBack(world, title, Math.max(used, 12))
          },
        )
  },
  'a late report that breaks off at any call takes effect once': async (open) => {
    for (const isMoved of places)
      for (const unreported of modes)
        for (const used of [12, 45, 5000])
          await atEachBreak(
            open,
            async (world) => {
              const id = await expiredLease(world, isMoved, unreported)
              await world.expire()
              return id
            },
            (world, id, through) => world.report(id, used, { through }),
            async (world, title, id) => {
              const covered = Math.min(used, TOTAL)
              const again = await world.report(id, used)
              expect([title, again.covered, again.replayed]).toEqual([title, covered, true])
              await expectAllBack(world, title, unreported === 'charge' ? Math.max(30, covered) : covered)
            },
          )
  },
  'a late report counts once, wherever another one comes': async (open) => {
    for (const unreported of modes)
      await atEachCall(
        () => open({ keyCount: 2 }),
        async (world) => {
          const id = await expiredLease(world, false, unreported)
          await world.expire()
          return id
        },
        (world, id, through) => world.report(id, 45, { through }),
        (world, id) => world.report(id, 50, { slot: 1 }),
        async (world, title) => {
          const { used } = await unitsOf(world)
          expect([title, [45, 50].includes(used)]).toEqual([title, true])
          await expectAllBack(world, title, used)
        },
      )
  },
  'a renewed lease always has an alarm, wherever the job comes while it is renewed': async (open) => {
    for (const isMoved of places)
      await atEachCall(
        () => open({ keyCount: 2 }),
        async (world) => {
          const others: string[] = []
          for (let n = 0; isMoved && n < OPEN_IN_COUNTER; n++) others.push((await world.reserve(1)).id)
          const { id } = await world.lease(30, { ttlSeconds: 600 })
          for (const other of others) await world.settle(other, 0)
          return id
        },
        (world, id, through) => world.report(id, 5, { keep: 30, through }),
        (world) => world.expire(),
        async (world, title) => {
          await expectUnits(world, title, { used: 5, held: 30 })
          await expectAllBack(world, title, 5)
        },
      )
  },
  'a renewal takes effect once, wherever its copy comes': async (open) => {
    for (const isMoved of places)
      await atEachCall(
        () => open({ keyCount: 2 }),
        async (world) => {
          await filled(world, isMoved)
          return (await world.lease(30)).id
        },
        (world, id, through) => world.report(id, 7, { keep: 30, requestId: 'r-1', through }),
        (world, id) => world.report(id, 7, { keep: 30, requestId: 'r-1', slot: 1 }),
        (world, title) => expectUnits(world, title, { used: 7, held: 30 + othersOf(isMoved) }),
      )
  },
  'a renewal keeps the other leases of the account, wherever one of them is made or ends': async (open) => {
    for (const other of ['made', 'ended'])
      await atEachCall(
        () => open({ keyCount: 2 }),
        async (world) => {
          await world.lease(40, { requestId: 'other' })
          return (await world.lease(30)).id
        },
        (world, id, through) => world.report(id, 7, { keep: 30, through }),
        async (world) => {
          if (other === 'made') return world.lease(50)
          return world.report((await world.lease(40, { requestId: 'other' })).id, 0)
        },
        async (world, title) => {
          const held = 30 + (other === 'made' ? 40 + 50 : 0)
          await expectUnits(world, `${other}, ${title}`, { used: 7, held })
          const entries = openIn({ item: await world.counter() }).reduce((sum, { units }) => sum + units, 0)
          expect([other, title, entries]).toEqual([other, title, held])
          await expectAllBack(world, title, 7)
        },
      )
  },
  'a renewal that a spend overtakes never takes more than is left': async (open) => {
    for (const [used, keep] of [
      [10, 990],
      [10, 5000],
      [1500, 10],
    ] as const)
      await atEachCall(
        () => open({ size: 500 }),
        async (world) => (await world.lease(30)).id,
        (world, id, through) => world.report(id, used, { keep, through }),
        (world) => world.spend(50),
        async (world, title) => {
          const now = await unitsOf(world)
          expect([title, now.used + now.held]).toEqual([title, TOTAL])
          await expectUnits(world, title, now)
        },
      )
  },
  'a lease that a spend overtakes takes what is left': async (open) => {
    await atEachCall(
      () => open({ size: 500 }),
      async () => '',
      (world, _, through) => world.lease(TOTAL, { through }),
      (world) => world.spend(50),
      async (world, title) => {
        const now = await unitsOf(world)
        expect([title, now.used + now.held]).toEqual([title, TOTAL])
        await expectUnits(world, title, now)
      },
    )
  },
  'what an expired lease is charged counts on the day of the expiry, for its key unless that is revoked':
    inBothPlaces(async (world, _, title) => {
      await world.spend(3)
      await world.lease(30, { slot: 1, unreported: 'charge' })
      await world.lease(20, { slot: 0, unreported: 'charge' })
      world.advance(DAY_MS)
      await world.table.update(keys.quota(world.accountId), expr`REMOVE #h1`)
      await world.expire()
      await expectUnits(world, title, { used: 53, held: 0 })
      const { c0, c1 } = await world.counter()
      expect([title, c0, c1]).toEqual([title, 23, undefined])
      const days = await world.table.list(keys.account(world.accountId), 'DAY#')
      expect([title, days.map(({ u }) => u)]).toEqual([title, [3]])
    }),
  'the floor follows the units that leases take and return, wherever a spend comes': async (open) => {
    for (const spent of [1, 45, 60])
      for (const keep of [5, 95, 140])
        await atEachCall(
          () => open({ left: 150, size: 1000 }),
          async (world) => (await world.lease(100)).id,
          (world, id, through) => world.report(id, 3, { keep, through }),
          (world) => world.spend(spent),
          async (world, title) => expectUnits(world, title, await unitsOf(world), 150),
        )
  },
}

/** Units of open leases that will count as used if nobody reports. */
async function openUnits(world: QuotaWorld): Promise<{ charged: number }> {
  const inItems = await world.table.list(keys.account(world.accountId), 'RESERVED#')
  const open = [
    ...openIn({ item: await world.counter() }),
    ...inItems
      .filter(({ due }) => due !== undefined)
      .map((item) => ({ units: Number(item.units), unreported: item.unreported })),
  ]
  const charged = open.filter(({ unreported }) => unreported === 'charge')
  return { charged: charged.reduce((sum, { units }) => sum + units, 0) }
}
