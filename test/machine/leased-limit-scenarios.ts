import { expect } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { OPEN_IN_COUNTER, type Unreported } from '../../core/quota/reservation.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { DAY_MS } from '../../core/time.ts'
import { expiredLease } from './lease-scenarios.ts'
import { aheadMs, bucketOf, expectTaken, limited, perDay, usedBy } from './limit-scenarios.ts'
import type { QuotaWorld } from './quota-world.ts'
import { atEachBreak, atEachCall, fillCounter, type ReservationScenario } from './reservation-scenarios.ts'

const SECOND_MS = 1000
const BUDGET = 70
const BURST = 12

type Work = (world: QuotaWorld, id: string, through?: Ports) => Promise<unknown>

const places = [false, true]
const modes: Unreported[] = ['return', 'charge']

const numbersOf = async (world: QuotaWorld) => (await world.counter()) as Record<string, number | undefined>

/** What may come to a key that has an expired lease of 30 units. */
const works: Record<string, Work> = {
  'a spend': (world, _, through = world.ports) => world.spend(30, undefined, { through }),
  'a lease': (world, _, through = world.ports) => world.lease(50, { through }),
  'a renewal': (world, id, through = world.ports) => world.report(id, 7, { keep: 60, through }),
  'a renewal by another key': (world, id, through = world.ports) =>
    world.report(id, 12, { keep: 60, slot: 1, through }),
  'a report of more': (world, id, through = world.ports) => world.report(id, 90, { slot: 1, through }),
  'the expiry': (world, _, through = world.ports) => world.expire(through),
}

/** Asserts that the first key has taken no more than its budget, and may take the rest to the last unit. */
async function expectRest(world: QuotaWorld, title: string): Promise<void> {
  await expectTaken(world, title)
  const { p0 = 0 } = await numbersOf(world)
  expect([title, p0 <= BUDGET || p0]).toEqual([title, true])
  // A container refuses for a second by what it has seen.
  world.advance(SECOND_MS)
  const rest = BUDGET - p0
  expect([title, await world.spend(rest + 1)]).toEqual([title, 'key_budget_exhausted'])
  if (rest > 0) expect([title, await world.spend(rest)]).toEqual([title, 200])
}

const budgets: Record<string, ReservationScenario> = {
  'a budget is never exceeded by leases, whichever two things come to one at once': async (open) => {
    for (const [isMoved, unreported] of [
      [false, 'return'],
      [true, 'charge'],
    ] as const)
      for (const [second, work] of Object.entries(works))
        for (const [first, other] of Object.entries(works))
          await atEachCall(
            limited(open, perDay(BUDGET)),
            async (world) => {
              await world.spend(5)
              return expiredLease(world, isMoved, unreported)
            },
            work,
            (world, id) => other(world, id),
            (world, title) =>
              expectRest(world, `${unreported}, moved ${isMoved}: ${first}, ${title} of ${second}`),
          )
  },
  'a report counts in the budget of the day on which its units count, wherever the day ends': async (
    open,
  ) => {
    for (const slot of [0, 1])
      await atEachCall(
        limited(open, perDay(BUDGET)),
        async (world) => {
          await world.spend(40)
          world.advance(DAY_MS / 2 - SECOND_MS)
          return (await world.lease(20)).id
        },
        (world, id, through) => world.report(id, 50, { keep: 60, slot, through }),
        async (world) => world.advance(2 * SECOND_MS),
        async (world, title) => {
          await expectTaken(world, title)
          const { days } = await readUsage(world.ports, world.accountId, {})
          const byDay = days.map(({ keys: by }) => by.find(({ id }) => id === 'default')?.units ?? 0)
          expect([title, slot, byDay.every((units) => units <= BUDGET) || byDay]).toEqual([title, slot, true])
        },
      )
  },
  'a first budget counts what a lease has used and holds, wherever that is renewed or ends': async (open) => {
    const moves: Record<string, Work> = {
      'a renewal of as much': (world, id) => world.report(id, 0, { keep: 30 }),
      'a renewal with use': (world, id) => world.report(id, 8, { keep: 30 }),
      'a renewal by another key': (world, id) => world.report(id, 3, { keep: 40, slot: 1 }),
      'a return': (world, id) => world.report(id, 11),
      'the expiry': (world) => world.expire(),
      'a late report': async (world, id) => {
        await world.expire()
        await world.report(id, 44)
      },
    }
    for (const isMoved of places)
      for (const unreported of modes)
        for (const [move, first] of Object.entries(moves))
          await atEachCall(
            () => open({ keyCount: 2 }),
            (world) => expiredLease(world, isMoved, unreported),
            async (world, _, through) => {
              if (!(await world.limit(0, perDay(100), through)))
                expect(await world.limit(0, perDay(100))).toBe(true)
            },
            first,
            (world, title) => expectTaken(world, `${move} ${title}, ${unreported}, moved ${isMoved}`),
          )
  },
  'a renewal of which the budget has nothing left settles, and has what there is': async (open) => {
    for (const slot of [0, 1]) {
      const world = await limited(open, perDay(50))()
      const lease = await world.lease(900)
      expect([lease.told, lease.units]).toEqual([200, 50])
      expect((await world.lease(1)).told).toBe('key_budget_exhausted')
      const second = await world.report(lease.id, 30, { keep: 50, slot })
      expect(second).toMatchObject({ told: 200, covered: 30, units: 20 })
      const last = await world.report(second.id, 25, { keep: 10, slot })
      expect(last).toMatchObject({ told: 200, covered: 20, units: 0 })
      expect((await numbersOf(world)).y).toBe(0)
      await expectTaken(world, 'in the end')
    }
  },
  'a renewal after the budget was lowered returns what exceeds it, wherever it is lowered': async (open) => {
    for (const slot of [0, 1])
      for (const isMoved of places) {
        let isRenewed = false
        await atEachCall(
          limited(open, perDay(100)),
          async (world) => {
            if (isMoved) await fillCounter(world)
            return (await world.lease(60)).id
          },
          (world, id, through) => world.report(id, 10, { keep: 60, slot, through }),
          async (world) => {
            isRenewed = (await usedBy(world)) > 0
            expect(await world.limit(0, perDay(26))).toBe(true)
          },
          async (world, title) => {
            const what = `${title}, ${slot}, moved ${isMoved}`
            await expectTaken(world, what)
            const { p0, y } = await numbersOf(world)
            const taken = isRenewed ? 70 + (isMoved ? 6 : 0) : 26
            expect([what, await usedBy(world), p0, y]).toEqual([what, 10, taken, taken - 10])
          },
        )
      }
  },
  'a late report is covered within the budget, wherever a spend comes': async (open) => {
    for (const unreported of modes)
      for (const slot of [0, 1])
        await atEachCall(
          limited(open, perDay(BUDGET)),
          async (world) => {
            const id = await expiredLease(world, false, unreported)
            await world.expire()
            return id
          },
          (world, id, through) => world.report(id, 90, { slot, through }),
          (world) => world.spend(25),
          async (world, title, id) => {
            const what = `${unreported}, ${slot}, ${title}`
            const { covered } = await world.report(id, 90, { slot })
            // A spend that came too late for the rest of the budget was refused.
            expect([what, await usedBy(world)]).toEqual([what, BUDGET])
            expect([what, [BUDGET, BUDGET - 25].includes(covered) || covered]).toEqual([what, true])
            await expectRest(world, what)
          },
        )
  },
}

const rates: Record<string, ReservationScenario> = {
  'a bucket lets its burst through and no more, wherever a lease is made or renewed': async (open) => {
    const takes: Record<string, Work> = {
      spend: (world, _, through = world.ports) => world.spend(6, undefined, { through }),
      lease: (world, _, through = world.ports) => world.lease(20, { through }),
      renew: (world, id, through = world.ports) => world.report(id, 2, { keep: 8, through }),
      'renew with all': (world, id, through = world.ports) =>
        world.report(id, 1, { keep: 50, slot: 1, through }),
    }
    for (const isMoved of places)
      for (const [second, work] of Object.entries(takes))
        for (const [first, other] of Object.entries(takes))
          await atEachCall(
            limited(open, bucketOf(BURST)),
            async (world) => {
              for (let n = 0; isMoved && n < 6; n++) await world.reserve(1, { slot: 1 })
              return (await world.lease(4)).id
            },
            work,
            (world, id) => other(world, id),
            async (world, title) => {
              const what = `moved ${isMoved}: ${first}, ${title} of ${second}`
              const { u = 0, y = 0 } = await numbersOf(world)
              const taken = u + y - (isMoved ? 6 : 0)
              expect([what, await aheadMs(world)]).toEqual([what, taken * SECOND_MS])
              expect([what, taken <= BURST || taken]).toEqual([what, true])
              world.advance(SECOND_MS)
              const rest = BURST - taken + 1
              if (rest < BURST) expect([what, await world.spend(rest + 1)]).toEqual([what, 'rate_limited'])
              expect([what, await world.spend(rest)]).toEqual([what, 200])
            },
          )
  },
  'a renewal of which the bucket has nothing left settles, and has what there is': async (open) => {
    for (const slot of [0, 1]) {
      const world = await limited(open, bucketOf(10))()
      const lease = await world.lease(900)
      expect([lease.told, lease.units]).toEqual([200, 10])
      expect((await world.lease(5)).told).toBe('rate_limited')
      const second = await world.report(lease.id, 4, { keep: 10, slot })
      expect(second).toMatchObject({ told: 200, covered: 4, units: 6 })
      world.advance(3 * SECOND_MS)
      const third = await world.report(second.id, 5, { keep: 10, slot })
      expect(third).toMatchObject({ told: 200, covered: 5, units: 4 })
      // What is used beyond a lease is not refused, and leaves nothing for the next one.
      const last = await world.report(third.id, 300, { keep: 10, slot })
      expect(last).toMatchObject({ told: 200, covered: 300, units: 0 })
      expect(await aheadMs(world)).toBe(10_000)
    }
  },
}

const repeats: Record<string, ReservationScenario> = {
  'a report of a limited key that breaks off at any call counts once in its limits': async (open) => {
    for (const isMoved of places)
      for (const [used, keep, units] of [
        [5, 60, 41],
        [20, 10, 10],
        [90, 10, 0],
        [8, 0, 0],
      ] as const) {
        const others = isMoved ? OPEN_IN_COUNTER : 0
        await atEachBreak(
          (options) => open({ ...options, limits: [{ ...perDay(46 + others), ...bucketOf(80) }] }),
          async (world) => {
            if (isMoved) await fillCounter(world)
            return (await world.lease(20)).id
          },
          (world, id, through) => world.report(id, used, { keep, through }),
          async (world, title, id) => {
            const what = `${title}, ${used} of ${keep}, moved ${isMoved}`
            const covered = Math.min(used, 46)
            const again = await world.report(id, used, { keep })
            expect([what, again]).toEqual([what, { told: 200, id: again.id, units, covered, replayed: true }])
            expect([what, await usedBy(world)]).toEqual([what, covered])
            await expectTaken(world, what)
            const grown = Math.max(0, covered + units - 20)
            expect([what, await aheadMs(world)]).toEqual([what, (20 + others + grown) * SECOND_MS])
          },
        )
      }
  },
}

export const leasedLimitScenarios: Readonly<Record<string, ReservationScenario>> = {
  ...budgets,
  ...rates,
  ...repeats,
}
