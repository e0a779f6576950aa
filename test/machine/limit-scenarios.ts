import { expect } from 'vitest'
import { microsecondsAt } from '../../core/quota/key-limits.ts'
import { openIn } from '../../core/quota/reservation.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { keys } from '../../core/table/keys.ts'
import { DAY_MS } from '../../core/time.ts'
import type { openQuotaWorld, QuotaWorld } from './quota-world.ts'
import {
  atEachBreak,
  atEachCall,
  ends,
  expectUnits,
  expiredReservation,
  fillCounter,
  type ReservationScenario,
} from './reservation-scenarios.ts'

const TOTAL = 1000
const SECOND_MS = 1000

export const perDay = (units: number) => ({ budget: { units, per: 'day' as const } })
const inTotal = (units: number) => ({ budget: { units, per: 'total' as const } })
/** One unit a second. */
export const bucketOf = (burst: number) => ({ rate: { unitsPerSecond: 1, burst } })

/** Opens a world whose first key has these limits, and whose second one has none. */
export const limited =
  (open: typeof openQuotaWorld, ...limits: Parameters<QuotaWorld['limit']>[1][]) =>
  () =>
    open({ keyCount: 2, limits })

/** Asserts that each key with a budget has taken what it has used and what its open reservations hold. */
export async function expectTaken(world: QuotaWorld, title: string): Promise<void> {
  const counter = await world.counter()
  const stored = await world.table.list(keys.account(world.accountId), 'RESERVED#')
  const open = [...openIn({ item: counter }), ...stored.filter(({ due }) => due !== undefined)]
  for (const [name, taken] of Object.entries(counter)) {
    if (!/^p\d+$/.test(name)) continue
    const slot = Number(name.slice(1))
    const held = open.reduce((sum, each) => sum + (each.slot === slot ? Number(each.units) : 0), 0)
    expect([title, name, taken]).toEqual([title, name, Number(counter[`c${slot}`] ?? 0) + held])
  }
}

export const usedBy = async (world: QuotaWorld, slot = 0) => Number((await world.counter())[`c${slot}`] ?? 0)

/** How far ahead of the clock the bucket of the first key is full again, ms. */
export const aheadMs = async (world: QuotaWorld) =>
  (Number((await world.counter()).t0) - microsecondsAt(world.nowMs())) / 1000

const budgets: Record<string, ReservationScenario> = {
  'a budget is used to its last unit and no further, wherever another request comes': async (open) => {
    const works: Record<string, (world: QuotaWorld, through?: QuotaWorld['ports']) => Promise<unknown>> = {
      spend: (world, through) => world.spend(30, undefined, { ...(through && { through }) }),
      batch: (world, through) => world.batch([{ units: 30 }, { units: 30 }], { ...(through && { through }) }),
      reserve: async (world, through) => {
        const { id, told } = await world.reserve(30, { ...(through && { through }) })
        if (told === 200) await world.settle(id, 30)
      },
    }
    for (const [one, work] of Object.entries(works))
      for (const [other, first] of Object.entries(works))
        await atEachCall(
          limited(open, perDay(50)),
          async (world) => {
            expect(await world.spend(5)).toBe(200)
            return ''
          },
          (world, _, through) => work(world, through),
          (world) => first(world),
          async (world, title) => {
            const what = `${other} ${title} of ${one}`
            expect([what, await usedBy(world)]).toEqual([what, 35])
            await expectTaken(world, what)
            expect([what, await world.spend(16)]).toEqual([what, 'key_budget_exhausted'])
            expect([what, await world.spend(15)]).toEqual([what, 200])
          },
        )
  },
  'a budget refuses each request of a batch by itself, and tells what is left after each': async (open) => {
    const world = await limited(open, perDay(50))()
    const { answers } = await world.functions.consumeBatch(world.ports, world.keys[0] ?? '', [
      { units: 30 },
      { units: 30 },
      { units: 20 },
      { units: 1 },
      { units: 51 },
      { units: 0 },
    ])
    expect(
      answers.map(({ outcome, keyLeft, retryAfterSeconds }) => [outcome, keyLeft, retryAfterSeconds]),
    ).toEqual([
      ['spent', 20, undefined],
      ['key_budget_exhausted', 20, 43_200],
      ['spent', 0, undefined],
      ['key_budget_exhausted', 0, 43_200],
      ['key_budget_exhausted', 0, undefined],
      ['spent', 0, undefined],
    ])
  },
  'a budget begins anew with the day, wherever the day ends': async (open) => {
    await atEachCall(
      limited(open, perDay(50)),
      async (world) => {
        await world.spend(40)
        return (await world.reserve(5, { ttlSeconds: 3600 })).id
      },
      (world, _, through) => world.spend(10, undefined, { through }),
      async (world) => {
        world.advance(DAY_MS)
        await world.spend(1, undefined, { slot: 1 })
      },
      async (world, title, id) => {
        // The reservation still counts, and so does the spend that was overtaken.
        const left = 45 - ((await usedBy(world)) - 40)
        expect([title, await world.spend(left + 1)]).toEqual([title, 'key_budget_exhausted'])
        expect([title, await world.spend(left)]).toEqual([title, 200])
        expect([title, (await world.settle(id, 5)).covered]).toEqual([title, 5])
        expect([title, await world.spend(1)]).toEqual([title, 'key_budget_exhausted'])
        const { days } = await readUsage(world.ports, world.accountId, {})
        const byDay = days.map(({ keys: by }) => by.find(({ id }) => id === 'default')?.units)
        expect([title, byDay]).toEqual([title, [40, 50]])
        await expectTaken(world, title)
      },
    )
  },
  'a budget by month spans its days, and one for good all of them': async (open) => {
    const world = await open({
      keyCount: 2,
      limits: [{ budget: { units: 50, per: 'month' } }, inTotal(50)],
    })
    // From 21 November on.
    for (let day = 0; day < 10; day++) {
      for (const slot of [0, 1])
        expect([day, slot, await world.spend(5, undefined, { slot })]).toEqual([day, slot, 200])
      if (day < 9) world.advance(DAY_MS)
    }
    for (const slot of [0, 1]) expect(await world.spend(1, undefined, { slot })).toBe('key_budget_exhausted')
    world.advance(DAY_MS)
    expect(await world.spend(51)).toBe('key_budget_exhausted')
    expect(await world.spend(50)).toBe(200)
    expect(await world.spend(1, undefined, { slot: 1 })).toBe('key_budget_exhausted')
  },
  'a budget counts what a key has used and holds, whichever two ends of a reservation come at once': async (
    open,
  ) => {
    for (const isMoved of [false, true])
      for (const [first, endFirst] of Object.entries(ends))
        for (const [second, endSecond] of Object.entries(ends))
          await atEachCall(
            limited(open, perDay(100), perDay(100)),
            (world) => expiredReservation(world, isMoved),
            (world, id, through) => endSecond(world, id, through),
            (world, id) => endFirst(world, id),
            (world, title) => expectTaken(world, `${first}, ${title} of ${second}`),
          )
  },
  'a budget covers what was used beyond a reservation as far as it goes, whoever settles': async (open) => {
    for (const slot of [0, 1])
      for (const isMoved of [false, true])
        await atEachCall(
          limited(open, perDay(56)),
          async (world) => {
            if (isMoved) await fillCounter(world)
            await world.spend(10)
            return (await world.reserve(20)).id
          },
          (world, id, through) => world.settle(id, 100, { slot, through }),
          (world) => world.spend(7),
          async (world, title, id) => {
            const what = `${title}, ${slot}`
            const { covered } = await world.settle(id, 100, { slot })
            const used = await usedBy(world)
            expect([what, used + (isMoved ? 6 : 0)]).toEqual([what, 56])
            expect([what, covered]).toEqual([what, used === 10 + covered ? covered : used - 17])
            await expectTaken(world, what)
          },
        )
  },
  'a first budget counts what is used and held, wherever a reservation begins or ends': async (open) => {
    const moves: Record<string, (world: QuotaWorld, id: string) => Promise<unknown>> = {
      'a spend': (world) => world.spend(3),
      'a reservation': (world) => world.reserve(11),
      'a settle': (world, id) => world.settle(id, 4),
      'a return': (world, id) => world.settle(id, 0),
      'an exchange with another key': async (world, id) => {
        await world.settle(id, 0)
        await world.reserve(30, { slot: 1 })
      },
      'an expiry and a reservation': async (world) => {
        world.advance(61_000)
        await world.expire()
        await world.reserve(30, { slot: 1 })
      },
    }
    for (const isMoved of [false, true])
      for (const [move, first] of Object.entries(moves))
        await atEachCall(
          () => open({ keyCount: 2 }),
          async (world) => {
            if (isMoved) await fillCounter(world)
            await world.spend(2)
            return (await world.reserve(30)).id
          },
          async (world, _, through) => {
            if (!(await world.limit(0, perDay(100), through)))
              expect(await world.limit(0, perDay(100))).toBe(true)
          },
          first,
          (world, title) => expectTaken(world, `${move} ${title}, ${isMoved}`),
        )
  },
  'a budget that is lowered, or a first one, holds for a request that was under way': async (open) => {
    for (const before of [{}, perDay(1000), bucketOf(100)])
      await atEachCall(
        limited(open, before),
        async (world) => {
          await world.spend(4)
          return ''
        },
        (world, _, through) => world.spend(20, undefined, { through }),
        async (world) => expect(await world.limit(0, perDay(10))).toBe(true),
        async (world, title) => expect([title, await usedBy(world)]).toEqual([title, 4]),
      )
  },
  'a budget that was removed counts nothing, and a new one counts from the use of the period': async (
    open,
  ) => {
    const world = await limited(open, perDay(10))()
    await world.spend(10)
    await world.limit(0, {})
    expect((await world.counter()).p0).toBe(undefined)
    // A container refuses for a second by what it has seen.
    world.advance(SECOND_MS)
    expect(await world.spend(30)).toBe(200)
    await world.limit(0, perDay(45))
    expect(await world.spend(6)).toBe('key_budget_exhausted')
    expect(await world.spend(5)).toBe(200)
    await expectTaken(world, 'in the end')
  },
  'a request that its key may not make calls for no renewal': async (open) => {
    for (const limits of [perDay(60), bucketOf(60), bucketOf(200)]) {
      const world = await open({ left: 100, size: 1000, limits: [limits] })
      await world.limit(0, limits)
      expect(await world.spend(1)).toBe(200)
      // Nothing is refused out of a container's memory then.
      world.advance(SECOND_MS)
      const started = world.started()
      await world.spend(150)
      await world.batch([{ units: 150 }])
      await world.reserve(150)
      // A bucket of 200 units has enough of them, but the account has not.
      expect([limits, world.started() - started]).toEqual([
        limits,
        'rate' in limits && limits.rate.burst === 200 ? 1 : 0,
      ])
    }
  },
}

const rates: Record<string, ReservationScenario> = {
  'a bucket lets its burst through and no more, wherever another request comes': async (open) => {
    const works: Record<string, (world: QuotaWorld, through?: QuotaWorld['ports']) => Promise<unknown>> = {
      spend: (world, through) => world.spend(6, undefined, { ...(through && { through }) }),
      batch: (world, through) => world.batch([{ units: 6 }, { units: 6 }], { ...(through && { through }) }),
      reserve: async (world, through) => {
        const { id, told } = await world.reserve(6, { ...(through && { through }) })
        if (told === 200) await world.settle(id, 6)
      },
    }
    for (const waitMs of [0, 500, 4000])
      for (const [one, work] of Object.entries(works))
        for (const [other, first] of Object.entries(works))
          await atEachCall(
            limited(open, bucketOf(12)),
            async (world) => {
              expect(await world.spend(3)).toBe(200)
              world.advance(waitMs)
              return ''
            },
            (world, _, through) => work(world, through),
            (world) => first(world),
            async (world, title) => {
              const what = `${other} ${title} of ${one} after ${waitMs}`
              expect([what, await usedBy(world)]).toEqual([what, waitMs > 3000 ? 15 : 9])
              expect([what, await aheadMs(world)]).toEqual([what, waitMs > 3000 ? 12_000 : 9000 - waitMs])
            },
          )
  },
  'a bucket refills with time, and a refusal says when': async (open) => {
    const world = await limited(open, bucketOf(10))()
    expect(await world.spend(10)).toBe(200)
    const key = world.keys[0] ?? ''
    const refusal = await world.functions.consumeUnits(world.ports, key, { units: 4 }).catch((error) => error)
    expect(refusal).toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 4,
      members: { needed: 4, left: TOTAL - 10 },
      rate: { burst: 10, windowSeconds: 10, left: 0, nextSeconds: 1 },
    })
    world.advance(4 * SECOND_MS - 1)
    expect(await world.spend(4)).toBe('rate_limited')
    world.advance(1)
    expect(await world.spend(4)).toBe(200)
    expect(await world.spend(1)).toBe('rate_limited')
    world.advance(100 * SECOND_MS)
    expect(await world.spend(11)).toBe('over_burst')
    expect(await world.spend(10)).toBe(200)
    expect(await world.spend(1)).toBe('rate_limited')
  },
  'what is used beyond a reservation empties the bucket at most, and is not refused': async (open) => {
    for (const slot of [0, 1])
      for (const waitMs of [0, 500_000]) {
        const world = await limited(open, bucketOf(10))()
        const { id } = await world.reserve(2, { ttlSeconds: 3600 })
        world.advance(waitMs)
        expect((await world.settle(id, 300, { slot })).covered).toBe(300)
        expect(await world.spend(1)).toBe('rate_limited')
        expect(await aheadMs(world)).toBe(10_000)
      }
  },
  'another rate begins with a full bucket, and an unchanged one goes on': async (open) => {
    const world = await limited(open, bucketOf(10))()
    await world.spend(10)
    await world.limit(0, { ...bucketOf(10), ...perDay(100) })
    expect(await world.spend(1)).toBe('rate_limited')
    await world.limit(0, bucketOf(20))
    world.advance(SECOND_MS)
    expect(await world.spend(20)).toBe(200)
    await world.limit(0, {})
    expect((await world.counter()).t0).toBe(undefined)
  },
}

const repeats: Record<string, ReservationScenario> = {
  'a request of a limited key that breaks off at any call counts once': async (open) => {
    const works: Record<string, (world: QuotaWorld, through: QuotaWorld['ports']) => Promise<unknown>> = {
      spend: (world, through) => world.spend(30, 'one', { through }),
      batch: (world, through) =>
        world.batch(
          [
            { units: 10, requestId: 'a' },
            { units: 20, requestId: 'b' },
          ],
          { through },
        ),
      reserve: (world, through) => world.reserve(30, { requestId: 'one', through }),
    }
    for (const [what, work] of Object.entries(works))
      await atEachBreak(
        (options) => open({ ...options, limits: [{ ...perDay(50), ...bucketOf(60) }] }),
        async (world) => {
          await world.spend(10)
          world.advance(DAY_MS)
          return ''
        },
        (world, _, through) => work(world, through),
        async (world, title) => {
          await expectTaken(world, `${what} ${title}`)
          await expectUnits(world, `${what} ${title}`, {
            used: what === 'reserve' ? 10 : 40,
            held: what === 'reserve' ? 30 : 0,
          })
          expect([title, await aheadMs(world)]).toEqual([title, 30_000])
          expect([title, await world.spend(21)]).toEqual([title, 'key_budget_exhausted'])
          expect([title, await world.spend(20)]).toEqual([title, 200])
        },
      )
  },
  'a remembered refusal by a limit is no answer to a spent id or a check, and lasts at most a second': async (
    open,
  ) => {
    for (const limits of [perDay(10), bucketOf(10)]) {
      const world = await limited(open, limits)()
      const { id } = await world.reserve(4)
      expect(await world.spend(6, 'spent')).toBe(200)
      expect(await world.spend(1)).not.toBe(200)
      expect(await world.spend(1, 'spent')).toBe(200)
      expect(await world.spend(0)).toBe(200)
      await world.settle(id, 0)
      world.advance(SECOND_MS)
      expect([limits, await world.spend(1)]).toEqual([limits, 200])
    }
  },
  'replays and checks are never refused by a limit, and count nothing': async (open) => {
    const world = await limited(open, { ...perDay(10), ...bucketOf(10) })()
    expect(await world.spend(10, 'spent')).toBe(200)
    const before = await world.counter()
    expect(await world.spend(10, 'spent')).toBe(200)
    expect(await world.spend(0)).toBe(200)
    expect(await world.batch([{ units: 10, requestId: 'spent' }, { units: 0 }])).toEqual([200, 200])
    expect(await world.counter()).toEqual(before)
  },
}

export const limitScenarios: Readonly<Record<string, ReservationScenario>> = {
  ...budgets,
  ...rates,
  ...repeats,
}
