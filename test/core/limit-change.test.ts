import { describe, expect, test } from 'vitest'
import { consumeUnits } from '../../core/quota/consume.ts'
import { keyArrivalAttribute, keyTakenAttribute } from '../../core/quota/quota.ts'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import { interleaved, openQuotaWorld, type QuotaWorld } from '../machine/quota-world.ts'
import { metered } from '../support/metered-table.ts'

const monthly = (units: number) => ({ budget: { units, per: 'month' as const } })
const rate = (unitsPerSecond: number, burst: number) => ({ rate: { unitsPerSecond, burst } })

/** Makes reservations of a key, each of these units. @returns their ids. */
async function reserve(world: QuotaWorld, units: readonly number[], slot = 0): Promise<string[]> {
  const ids: string[] = []
  for (const each of units) {
    const { told, id } = await world.reserve(each, { slot })
    expect(told).toBe(200)
    ids.push(id)
  }
  return ids
}

const each = (count: number, units: number) => Array.from({ length: count }, () => units)
const taken = async (world: QuotaWorld, slot = 0) => (await world.counter())[keyTakenAttribute(slot)]
const arrival = async (world: QuotaWorld) => (await world.counter())[keyArrivalAttribute(0)]

describe('the first budget of a key', () => {
  test('begins with what the key has used and holds, wherever its reservations are kept, and not with what others hold', async () => {
    const world = await openQuotaWorld({ keyCount: 2 })
    await world.spend(4)
    await reserve(world, each(OPEN_IN_COUNTER - 1, 10))
    await reserve(world, [7], 1)
    await reserve(world, each(3, 20))
    await reserve(world, each(2, 5), 1)
    expect(await world.limit(0, monthly(1000))).toBe(true)
    expect([await taken(world), await taken(world, 1)]).toEqual([4 + 50 + 60, undefined])
    expect(await world.limit(1, monthly(1000))).toBe(true)
    expect(await taken(world, 1)).toBe(7 + 10)
  })

  test.each([[OPEN_IN_COUNTER], [OPEN_IN_COUNTER + 2]])(
    'is not set if one of %i reservations ended since they were read',
    async (count) => {
      const world = await openQuotaWorld()
      const ids = await reserve(world, each(count, 10))
      const through = interleaved(world.ports, 'transact', 1, () => world.settle(ids.at(-1) ?? '', 10))
      expect(await world.limit(0, monthly(1000), through)).toBe(false)
      expect(await taken(world)).toBeUndefined()
      expect(await world.limit(0, monthly(1000))).toBe(true)
      expect(await taken(world)).toBe(count * 10)
    },
  )

  test('is refused while more than 80 reservations are outside the counter, and set with 80', async () => {
    const world = await openQuotaWorld()
    await reserve(world, each(OPEN_IN_COUNTER + 81, 1))
    await expect(world.limit(0, monthly(1000))).rejects.toMatchObject({ code: 'conflict' })
    expect(await taken(world)).toBeUndefined()
    const fewer = await openQuotaWorld()
    await reserve(fewer, each(OPEN_IN_COUNTER + 80, 1))
    expect(await fewer.limit(0, monthly(1000))).toBe(true)
    expect(await taken(fewer)).toBe(OPEN_IN_COUNTER + 80)
  })
})

describe('other limits', () => {
  test('a budget that ends is forgotten, and another one goes on counting', async () => {
    const world = await openQuotaWorld({ limits: [monthly(100)] })
    await world.spend(30)
    expect(await world.limit(0, monthly(50))).toBe(true)
    expect(await taken(world)).toBe(30)
    expect(await world.limit(0, {})).toBe(true)
    expect(await taken(world)).toBeUndefined()
  })

  test('another rate or burst begins with a full bucket, and the same one keeps its bucket', async () => {
    const world = await openQuotaWorld({ limits: [rate(1, 10)] })
    await world.spend(9)
    const used = await arrival(world)
    expect(used).toBeGreaterThan(0)
    expect(await world.limit(0, { ...rate(1, 10), ...monthly(100) })).toBe(true)
    expect(await arrival(world)).toBe(used)
    expect(await world.limit(0, rate(1, 11))).toBe(true)
    expect(await arrival(world)).toBe(0)
    // A container refuses out of its memory for a second.
    world.advance(1001)
    expect(await world.spend(9)).toBe(200)
    expect(await arrival(world)).toBeGreaterThan(0)
    expect(await world.limit(0, rate(2, 11))).toBe(true)
    expect(await arrival(world)).toBe(0)
    expect(await world.limit(0, {})).toBe(true)
    expect(await arrival(world)).toBeUndefined()
  })
})

describe('a request beyond the limits of its key', () => {
  test.each([
    ['rate_limited', rate(1, 10), 5],
    ['over_burst', rate(1, 10), 11],
    ['key_budget_exhausted', monthly(10), 5],
  ] as const)(
    'is refused as %s after one write at most, by a container that has seen nothing',
    async (code, limits, units) => {
      const world = await openQuotaWorld({ limits: [limits] })
      expect(await world.spend(8)).toBe(200)
      const { table, units: cost } = metered(world.table)
      const through = { ...world.ports, table }
      expect(await world.spend(units, undefined, { through })).toBe(code)
      expect(await world.spend(units, world.timed(), { through })).toBe(code)
      expect(cost.writes).toBeLessThanOrEqual(1)
      expect((await world.batch([{ units }], { through }))[0]).toBe(code)
      expect(await world.counter()).toMatchObject({ u: 8 })
    },
  )

  test('and one for want of units, say whose they are', async () => {
    const world = await openQuotaWorld({ left: 5, limits: [monthly(3)], keyCount: 2 })
    const refusal = (slot: number, units: number) =>
      consumeUnits(world.ports, world.keys[slot] ?? '', { units }).catch((error) => error)
    const { accountId: account } = world
    expect(await refusal(0, 4)).toMatchObject({
      code: 'key_budget_exhausted',
      members: { account, key: { id: expect.any(String), name: expect.any(String), scopes: [] } },
    })
    expect(await refusal(1, 6)).toMatchObject({
      code: 'quota_exhausted',
      members: { account, key: { id: expect.any(String), name: expect.any(String), scopes: [] } },
    })
    expect(await consumeUnits(world.ports, 'no-key', { units: 1 }).catch((error) => error)).toMatchObject({
      code: 'unauthorized',
      members: {},
    })
  })

  test('of an account that a service has named and that does not exist is not found', async () => {
    const world = await openQuotaWorld()
    const accountId = 'f'.repeat(24)
    expect(
      await consumeUnits(world.ports, { accountId }, { units: 1 }).catch((error) => error),
    ).toMatchObject({
      code: 'not_found',
    })
  })
})
