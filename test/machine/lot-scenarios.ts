import { strict as assert } from 'node:assert'
import { DAY_MS, HOUR_MS } from '../../core/time.ts'
import { BREAK_KINDS, breaking } from './faults.ts'
import { liveTogetherWithLots, liveWithLots } from './lot-history.ts'
import { type LotWorld, openLotWorld } from './lot-world.ts'
import { dawdling, interleaved, type openQuotaWorld, START_MS } from './quota-world.ts'

type LotScenario = (open: typeof openQuotaWorld) => Promise<void>

const START = 100

/** Tries work at every call and with every kind of break, in a world of its own each time. */
async function atEachBreak(
  open: typeof openQuotaWorld,
  prepare: (world: LotWorld) => Promise<void>,
  work: (world: LotWorld, through: LotWorld['ports']) => Promise<unknown>,
  check: (world: LotWorld, title: string) => Promise<void>,
): Promise<void> {
  const first = await openLotWorld(open, { left: START })
  await prepare(first)
  const whole = breaking(first.ports)
  await work(first, whole.ports)
  await check(first, 'unbroken')
  for (let at = 1; at <= whole.calls.length; at++)
    for (const kind of BREAK_KINDS) {
      const world = await openLotWorld(open, { left: START })
      await prepare(world)
      await work(world, breaking(world.ports, { at, kind }).ports).catch(() => undefined)
      await work(world, world.ports)
      await check(world, `${kind} of call ${at}, ${whole.calls[at - 1]}`)
    }
}

async function expectNumbers(
  world: LotWorld,
  title: string,
  wanted: { left: number; used: number; expired: number },
): Promise<void> {
  const { left, used, expired } = await world.numbers()
  assert.deepEqual({ title, left, used, expired }, { title, ...wanted })
  await world.checkBooks(title, START)
}

/** Units are left of a lot that was spent in part before one came that expires sooner. */
async function displaced(world: LotWorld): Promise<void> {
  await world.credit(50, 20)
  await world.spend(10)
  await world.credit(30, 5)
  await world.spend(5)
}

const MONTHLY_UNITS = 30

/** When the units of a plan that was taken at the start come next, and again, epoch ms. */
const SECOND_MONTH_MS = Date.UTC(2026, 11, 21)
const THIRD_MONTH_MS = Date.UTC(2027, 0, 21)

/** Asserts until when the units of each month can be spent that the account has got. */
async function expectMonths(world: LotWorld, title: string, endsMs: readonly number[]): Promise<void> {
  const grants = await world.grants()
  assert.deepEqual(
    [title, grants.map(({ units, expiresAtMs }) => [units, expiresAtMs])],
    [title, endsMs.map((endMs) => [MONTHLY_UNITS, endMs])],
  )
}

/** Moves the clock to a moment. */
const moveTo = (world: LotWorld, atMs: number) => world.advance(atMs - world.nowMs())

export const lotScenarios: Readonly<Record<string, LotScenario>> = {
  'lots that expire are booked once, wherever the job breaks off': (open) =>
    atEachBreak(
      open,
      async (world) => {
        await displaced(world)
        world.advance(7 * DAY_MS)
      },
      (world, through) => world.endLots(through),
      async (world, title) => {
        await expectNumbers(world, title, { left: START + 40, used: 15, expired: 25 })
        world.advance(20 * DAY_MS)
        await world.endLots()
        await expectNumbers(world, title, { left: START, used: 15, expired: 65 })
        assert.deepEqual([title, await world.lots()], [title, []])
      },
    ),
  'a lot is credited once, wherever its credit breaks off, also before one that is spent in part': (open) =>
    atEachBreak(
      open,
      async (world) => {
        await displaced(world)
        await world.sell(7, 3)
      },
      (world, through) => world.applyLedger(through),
      async (world, title) => {
        const { expiring } = await world.numbers()
        assert.deepEqual([title, expiring.map(({ units }) => units)], [title, [7, 25, 40]])
        await world.checkBooks(title, START)
      },
    ),
  'a unit is not spent after its expiry, wherever a day begins': async (open) => {
    for (const method of ['get', 'list', 'put', 'update'] as const)
      for (let nth = 1; nth <= 4; nth++) {
        const world = await openLotWorld(open, { left: 10 })
        await world.credit(50, 1)
        world.advance(3 * DAY_MS)
        const through = interleaved(world.ports, method, nth, () => world.spend(4))
        const told = await world.spend(20, undefined, { through })
        assert.deepEqual([method, nth, told], [method, nth, 402])
        const { left, used } = await world.numbers()
        assert.equal(left + used, 10)
      }
  },
  'a reservation holds no unit after its expiry': async (open) => {
    const world = await openLotWorld(open, { left: 10 })
    await world.credit(50, 1)
    world.advance(3 * DAY_MS)
    assert.equal((await world.reserve(20)).told, 402)
    assert.equal((await world.reserve(10)).told, 200)
  },
  'an expiry leaves no unit behind, wherever a reservation returns its units': async (open) => {
    for (const method of ['get', 'list', 'put', 'update'] as const)
      for (let nth = 1; nth <= 4; nth++) {
        const world = await openLotWorld(open, { left: 10 })
        await world.credit(50, 1)
        // Reserved shortly before the units expire.
        world.advance(DAY_MS + 12 * HOUR_MS - 60_000)
        const { id } = await world.reserve(30, { ttlSeconds: 600 })
        world.advance(120_000)
        const through = interleaved(world.ports, method, nth, () => world.settle(id, 0))
        await world.spend(1, undefined, { through })
        await world.checkBooks(`${method} ${nth}`, 10)
        world.advance(DAY_MS)
        await world.settle(id, 0)
        await world.endLots()
        world.advance(DAY_MS)
        await world.endLots()
        const { left, used } = await world.numbers()
        assert.ok(left + used <= 40, `${method} ${nth}`)
        assert.equal((await world.lots()).length, 0)
      }
  },
  'use that comes between the look and the credit of a lot counts for the lots before it': async (open) => {
    for (const days of [2, 9]) {
      const world = await openLotWorld(open, { left: START })
      await world.credit(20, 5)
      await world.sell(30, days)
      // The lot that is there is used up meanwhile, and some units that never expire.
      const through = interleaved(world.ports, 'update', 1, () => world.spend(25))
      await world.applyLedger(through)
      const { expiring } = await world.numbers()
      assert.deepEqual(
        [days, expiring.map(({ units }) => units)],
        [days, [30]],
        'the units that were spent are not those of the new lot',
      )
    }
  },
  'use that comes between the look and the credit of a lot counts for the lots after it': async (open) => {
    const world = await openLotWorld(open, { left: START })
    await world.credit(10, 5)
    await world.credit(50, 9)
    await world.sell(30, 2)
    // The whole lot that would follow the new one is used up meanwhile, and some of the lot after it.
    const through = interleaved(world.ports, 'update', 1, () => world.spend(20))
    await world.applyLedger(through)
    const { expiring } = await world.numbers()
    assert.deepEqual(
      expiring.map(({ units }) => units),
      [30, 40],
    )
  },
  'a process that was slow to move the rest of a lot does not bring back what was true earlier': async (
    open,
  ) => {
    const world = await openLotWorld(open, { left: START })
    await displaced(world)
    await world.sell(7, 3)
    const through = interleaved(world.ports, 'update', 1, async () => {
      await world.applyLedger()
      // The item of the first lot comes to have 50 units again, others than those that it began with.
      await world.credit(10, 20)
      await world.spend(32)
      await world.credit(5, 2)
      await world.credit(1, 1)
    })
    await world.applyLedger(through)
    const { expiring } = await world.numbers()
    assert.deepEqual(
      expiring.map(({ units }) => units),
      [1, 5, 50],
    )
  },
  'an expiry that takes the balance below a threshold calls for a renewal and a notice, once': async (
    open,
  ) => {
    const world = await openLotWorld(open, { left: 5, size: 1000 })
    await world.credit(500, 2)
    world.advance(4 * DAY_MS)
    await world.endLots()
    const { n, r, due } = await world.counter()
    assert.deepEqual([n !== undefined, Number(r) > 0, String(due).startsWith('QUOTA')], [true, true, true])
  },
  'a request that was refused still waits for its renewal after units were booked as expired': async (
    open,
  ) => {
    const world = await openLotWorld(open, { left: 300, size: 1000 })
    await world.credit(500, 2)
    world.advance(4 * DAY_MS)
    assert.equal(await world.spend(400), 402)
    assert.equal(await world.spend(1), 200)
    const { k, s } = await world.counter()
    await world.endLots()
    const after = await world.counter()
    assert.equal(after.s, Number(s) + 1)
    assert.deepEqual([k === s, after.k === after.s, after.due !== undefined], [true, true, true])
  },
  'units that an operator gives and that expire are given once, wherever the request breaks off': (open) =>
    atEachBreak(
      open,
      displaced,
      (world, through) =>
        world.grant({ units: 7, expiresAtMs: START_MS + 2.5 * DAY_MS, key: 'one' }, through),
      async (world, title) => {
        const { expiring } = await world.numbers()
        assert.deepEqual([title, expiring.map(({ units }) => units)], [title, [7, 25, 40]])
        assert.equal((await world.grants()).length, 1, title)
        await world.checkBooks(title, START)
      },
    ),
  'the units of a month come once, wherever the job breaks off': (open) =>
    atEachBreak(
      open,
      async (world) => {
        await displaced(world)
        await world.takePlan(MONTHLY_UNITS)
      },
      (world, through) => world.grantMonthly(through),
      async (world, title) => {
        await expectMonths(world, title, [SECOND_MONTH_MS])
        await world.checkBooks(title, START)
        world.advance(DAY_MS)
        await world.grantMonthly()
        // A refill, and what each credit of a plan with monthly units says.
        await world.takePlan(MONTHLY_UNITS)
        await world.grantMonthly()
        await expectMonths(world, title, [SECOND_MONTH_MS])
        moveTo(world, SECOND_MONTH_MS)
        await world.endLots()
        for (let runs = 0; runs < 2; runs++) await world.grantMonthly()
        await expectMonths(world, title, [SECOND_MONTH_MS, THIRD_MONTH_MS])
        const { expiring } = await world.numbers()
        assert.deepEqual([title, expiring.map(({ units }) => units)], [title, [MONTHLY_UNITS]])
        await world.checkBooks(title, START)
      },
    ),
  'the units of a month come once, however many runs there are at once': async (open) => {
    for (let slow = 0; slow < 6; slow++) {
      const world = await openLotWorld(open, { left: START })
      await world.takePlan(MONTHLY_UNITS)
      for (const endMs of [SECOND_MONTH_MS, THIRD_MONTH_MS]) {
        const runs = [0, 1, 2, 3].map((run) => dawdling(world.ports, () => (run * slow) % 5))
        await Promise.all(runs.map((through) => world.grantMonthly(through)))
        moveTo(world, endMs)
      }
      await expectMonths(world, `${slow}`, [SECOND_MONTH_MS, THIRD_MONTH_MS])
      await world.checkBooks(`${slow}`, START)
    }
  },
  'no units come for months in which an account is not active, and then those of the month that has begun':
    async (open) => {
      const world = await openLotWorld(open, { left: START })
      await world.takePlan(MONTHLY_UNITS)
      await world.grantMonthly()
      await world.suspend()
      world.advance(DAY_MS)
      await world.resume()
      await world.grantMonthly()
      await expectMonths(world, 'the same month', [SECOND_MONTH_MS])
      await world.suspend()
      for (let weeks = 0; weeks < 14; weeks++) {
        world.advance(7 * DAY_MS)
        await world.grantMonthly()
      }
      await expectMonths(world, 'suspended', [SECOND_MONTH_MS])
      await world.resume()
      for (let runs = 0; runs < 2; runs++) await world.grantMonthly()
      await expectMonths(world, 'resumed', [SECOND_MONTH_MS, Date.UTC(2027, 2, 21)])
    },
  'an account that stops being active, or is active again, while the job looks gets what it should': async (
    open,
  ) => {
    const world = await openLotWorld(open, { left: START })
    await world.takePlan(MONTHLY_UNITS)
    await world.grantMonthly(interleaved(world.ports, 'transact', 1, world.suspend))
    await expectMonths(world, 'suspended', [])
    moveTo(world, SECOND_MONTH_MS)
    await world.grantMonthly(interleaved(world.ports, 'transact', 1, world.resume))
    await expectMonths(world, 'resumed', [THIRD_MONTH_MS])
  },
  'another plan ends the units of the month or goes on with them, and gives none twice': async (open) => {
    const world = await openLotWorld(open, { left: START })
    await world.takePlan(MONTHLY_UNITS)
    await world.grantMonthly()
    world.advance(3 * DAY_MS)
    for (const units of [undefined, MONTHLY_UNITS + 1, undefined, MONTHLY_UNITS]) {
      await world.takePlan(units)
      await world.grantMonthly()
    }
    await expectMonths(world, 'changed within a month', [SECOND_MONTH_MS])
    moveTo(world, SECOND_MONTH_MS)
    await world.grantMonthly()
    await expectMonths(world, 'the day has not moved', [SECOND_MONTH_MS, THIRD_MONTH_MS])
    await world.takePlan(undefined)
    moveTo(world, THIRD_MONTH_MS)
    // Somebody takes a plan with such units in the moment in which the job finds none.
    const again = interleaved(world.ports, 'transact', 1, () => world.takePlan(MONTHLY_UNITS))
    await world.grantMonthly(again)
    await expectMonths(world, 'taken again', [SECOND_MONTH_MS, THIRD_MONTH_MS, Date.UTC(2027, 1, 21)])
    await world.takePlan(undefined)
    world.advance(70 * DAY_MS)
    await world.grantMonthly()
    assert.equal(await world.monthly(), undefined)
  },
  'random lives with units that expire are as counted by hand': async (open) => {
    for (let seed = 1; seed <= 12; seed++) await liveWithLots(seed, open)
  },
  'random lives of several processes with units that expire lose nothing': async (open) => {
    for (let seed = 1; seed <= 6; seed++) await liveTogetherWithLots(seed, open)
  },
}
