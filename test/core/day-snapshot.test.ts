import { describe, expect, test } from 'vitest'
import { parseCounter } from '../../core/quota/counter.ts'
import { changeDay, readLastUse, useFinalAtMs, usesBySlot } from '../../core/quota/day-snapshot.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { keys } from '../../core/table/keys.ts'
import { DAY_MS, HOUR_MS } from '../../core/time.ts'
import { openQuotaWorld, START_MS } from '../machine/quota-world.ts'
import { losingRaces } from '../support/lost-races.ts'

const FIRST_MS = Math.floor(START_MS / DAY_MS) * DAY_MS

describe('the last day on which a key was used', () => {
  test('is the day of its last use, however long ago, and none for a key that was never used', async () => {
    const world = await openQuotaWorld({ keyCount: 3 })
    const last = () => readLastUse(world.ports, world.accountId)
    expect(await last()).toEqual({})
    await world.spend(1, undefined, { slot: 0 })
    expect(await last()).toEqual({ 0: FIRST_MS })
    world.advance(DAY_MS)
    await world.spend(1, undefined, { slot: 1 })
    expect(await last()).toEqual({ 0: FIRST_MS, 1: FIRST_MS + DAY_MS })
    // A day without use has no snapshot.
    world.advance(3 * DAY_MS)
    await world.spend(1, undefined, { slot: 1 })
    expect(await last()).toEqual({ 0: FIRST_MS, 1: FIRST_MS + 4 * DAY_MS })
    world.advance(DAY_MS)
    await world.spend(1, undefined, { slot: 0 })
    expect(await last()).toEqual({ 0: FIRST_MS + 5 * DAY_MS, 1: FIRST_MS + 4 * DAY_MS })
  })
})

describe('the use of a day', () => {
  const isOfDay = (_: unknown, { sk }: { sk: string }) => sk.startsWith('DAY#')

  test('is what was used on it, by key, whatever was used before and afterwards', async () => {
    const world = await openQuotaWorld({ keyCount: 2 })
    for (const units of [5, 7, 9]) {
      await world.spend(units, undefined, { slot: 0 })
      await world.spend(1, undefined, { slot: 1 })
      world.advance(DAY_MS)
    }
    const { used, days } = await readUsage(world.ports, world.accountId, {})
    expect(used).toBe(24)
    expect(days.map(({ startMs, units, keys }) => [startMs, units, ...keys.map((key) => key.units)])).toEqual(
      [5, 7, 9].map((units, at) => [FIRST_MS + at * DAY_MS, units + 1, units, 1]),
    )
  })

  test('is final an hour after it has ended, when it is counted in the totals', async () => {
    expect(useFinalAtMs(20_000)).toBe(20_001 * DAY_MS + HOUR_MS)
    const world = await openQuotaWorld()
    await world.spend(1)
    world.advance(2 * DAY_MS)
    await world.spend(1)
    const day = FIRST_MS / DAY_MS
    expect(await world.table.get(keys.day(world.accountId, day))).toMatchObject({
      u: 1,
      c: { 0: 1 },
      t: { 0: day },
      dueAtMs: useFinalAtMs(day + 2),
    })
  })

  test('begins once: another request may have begun it, or have spent on the day before meanwhile', async () => {
    const world = await openQuotaWorld()
    await world.spend(3)
    const before = parseCounter(await world.counter())
    world.advance(DAY_MS)
    const move = () => changeDay(world.ports, world.accountId, before, before.day + 1)
    const moved = await move()
    expect(moved).toMatchObject({ day: before.day + 1, used: 3 })
    // The snapshot is there, and the counter has moved.
    expect(await move()).toMatchObject({ day: before.day + 1, used: 3 })
    await world.spend(2)
    expect(await move()).toMatchObject({ day: before.day + 1, used: 5 })
    expect(await world.table.get(keys.day(world.accountId, before.day))).toMatchObject({ u: 3 })
  })

  test('is stored although others overtake the snapshot, and another failure is told', async () => {
    const world = await openQuotaWorld()
    await world.spend(3)
    const before = parseCounter(await world.counter())
    const { table, lost } = losingRaces(world.table, isOfDay)
    expect(await changeDay({ ...world.ports, table }, world.accountId, before, before.day + 1)).toMatchObject(
      {
        day: before.day + 1,
      },
    )
    expect(lost()).toBe(1)
    for (const method of ['put', 'update'] as const) {
      const torn = { ...world.table, [method]: () => Promise.reject(new TypeError('torn')) }
      const change = changeDay({ ...world.ports, table: torn }, world.accountId, before, before.day + 2)
      await expect(change).rejects.toThrow('torn')
    }
  })
})

test('units by key are the counters of use, and no other attribute', () => {
  const counter = { c0: 1, c12: 2, c: 3, c1x: 4, xc1: 5, kc2: 6, c3: 'no number', l: 7, u: 8, cx: 9 }
  expect(usesBySlot(counter)).toEqual({ 0: 1, 12: 2 })
})
