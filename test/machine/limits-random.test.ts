import { asyncProperty, assert as check, integer } from 'fast-check'
import { expect, test } from 'vitest'
import { readUsage } from '../../core/quota/usage.ts'
import { DAY_MS } from '../../core/time.ts'
import { expectTaken } from './limit-scenarios.ts'
import { dawdling, openQuotaWorld } from './quota-world.ts'
import { randomFrom } from './random.ts'

const RUNS = process.env.DEEP ? 40 : 3
const OPERATIONS = 150
const LANES = 6
const START_UNITS = 100_000

const BUDGET = 150
const RATE = { unitsPerSecond: 2, burst: 40 }
const LIMITS = [
  { budget: { units: BUDGET, per: 'day' } },
  { budget: { units: 4 * BUDGET, per: 'total' }, rate: RATE },
  { rate: RATE },
] as const

/** Units that passed, and the times between which they did. */
interface Passed {
  slot: number
  units: number
  fromMs: number
  toMs: number
}

/**
 * A random history of three keys with limits: two containers spend, reserve, lease, settle, renew and return while time
 * passes, the job runs and owners change other settings.
 */
async function history(seed: number): Promise<void> {
  const random = randomFrom(seed)
  const pick = (limit: number) => Math.floor(random() * limit)
  const world = await openQuotaWorld({ left: START_UNITS, keyCount: 3, limits: LIMITS })
  const slowness = pick(4) + 1
  const containers = [0, 1].map(() => dawdling(world.ports, () => pick(slowness)))
  const passed: Passed[] = []
  const reserved: { id: string; slot: number }[] = []
  const leased: { id: string; slot: number; units: number }[] = []
  let settled = 0

  async function take(slot: number, work: () => Promise<number>): Promise<void> {
    const fromMs = world.nowMs()
    const units = await work()
    if (units > 0) passed.push({ slot, units, fromMs, toMs: world.nowMs() })
  }

  async function lease(through: typeof world.ports, slot: number): Promise<number> {
    const unreported = random() < 0.5 ? 'return' : 'charge'
    const ttlSeconds = 1 + pick(90)
    const { told, id, units } = await world.lease(1 + pick(60), { through, slot, ttlSeconds, unreported })
    if (told === 200) leased.push({ id, slot, units })
    return units
  }

  /** Reports use of a lease, now and then with another key. What it newly holds counts in the rate. */
  async function report(through: typeof world.ports, slot: number): Promise<void> {
    const one = leased[pick(leased.length)]
    if (!one) return
    const keep = random() < 0.7 ? 1 + pick(60) : 0
    await take(one.slot, async () => {
      const ttlSeconds = 1 + pick(90)
      const { told, id, units, covered, replayed } = await world.report(one.id, pick(one.units + 8), {
        keep,
        ttlSeconds,
        through,
        slot: random() < 0.7 ? one.slot : slot,
      })
      if (told !== 200 || replayed) return 0
      if (units > 0) leased.push({ id, slot: one.slot, units })
      return units - Math.max(0, one.units - covered)
    })
  }

  async function operate(): Promise<void> {
    const through = containers[pick(2)] ?? world.ports
    const slot = pick(3)
    const units = 1 + pick(25)
    const requestId = random() < 0.5 ? world.timed() : undefined
    const choice = random()
    if (choice < 0.25)
      await take(slot, async () =>
        (await world.spend(units, requestId, { through, slot })) === 200 ? units : 0,
      )
    else if (choice < 0.35)
      await take(slot, async () => {
        const told = await world.batch([{ units }, { units: 3 }, { units: 1 }], { through, slot })
        return (told[0] === 200 ? units : 0) + (told[1] === 200 ? 3 : 0) + (told[2] === 200 ? 1 : 0)
      })
    else if (choice < 0.45)
      await take(slot, async () => {
        const { told, id } = await world.reserve(units, { through, slot, ttlSeconds: 1 + pick(90) })
        if (told === 200) reserved.push({ id, slot })
        return told === 200 ? units : 0
      })
    else if (choice < 0.55) await take(slot, () => lease(through, slot))
    else if (choice < 0.7) await report(through, slot)
    else if (choice < 0.8) {
      const one = reserved[pick(reserved.length)]
      if (!one) return
      const { covered, replayed } = await world.settle(one.id, pick(40), { through, slot })
      if (!replayed) settled += covered
    } else if (choice < 0.87) await world.expire(through)
    else if (choice < 0.9) await world.limit(slot, LIMITS[slot] ?? {}, through)
    else world.advance(choice < 0.97 ? pick(4000) : choice < 0.99 ? pick(60_000) : DAY_MS / 2)
  }

  let left = OPERATIONS
  const lane = async () => {
    while (left-- > 0) await operate()
  }
  await Promise.all(Array.from({ length: LANES }, lane))

  await expectTaken(world, 'in the end')
  world.advance(91_000)
  await world.expire()
  await expectTaken(world, 'after all expiries')
  for (const { id, slot, units } of leased) await world.report(id, units + 3, { slot })
  await expectTaken(world, 'after late reports')
  const { days } = await readUsage(world.ports, world.accountId, {})
  for (const { keys: by } of days)
    expect(by.find(({ id }) => id === 'default')?.units ?? 0).toBeLessThanOrEqual(BUDGET)
  const counter = (await world.counter()) as Record<string, number>
  expect(counter.c1 ?? 0).toBeLessThanOrEqual(4 * BUDGET)
  expect(settled).toBeLessThanOrEqual(counter.u ?? 0)
  for (const slot of [1, 2]) {
    const own = passed.filter((each) => each.slot === slot)
    for (const { fromMs } of own)
      for (const { toMs } of own) {
        const within = own.filter((each) => each.fromMs >= fromMs && each.toMs <= toMs)
        const units = within.reduce((sum, each) => sum + each.units, 0)
        const seconds = Math.max(0, toMs - fromMs) / 1000 + 1e-6
        expect(units).toBeLessThanOrEqual(RATE.burst + RATE.unitsPerSecond * seconds)
      }
  }
}

test(`${RUNS} random histories: no key uses more than its budget in a period, nor its rate in any window`, async () => {
  await check(asyncProperty(integer(), history), { numRuns: RUNS, seed: 20261128, endOnFailure: true })
}, 120_000)
