import { describe, expect, test } from 'vitest'
import { cacheOf } from '../../core/quota/container-cache.ts'
import { OPEN_IN_COUNTER, openIn } from '../../core/quota/reservation.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import { scenarios } from '../machine/quota-scenarios.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'
import { sizeOf } from '../support/quota.ts'

test.each(Object.entries(scenarios))('%s', (_, scenario) => scenario(openQuotaWorld))

describe('bounds', () => {
  test('the counter stays under 1 KB with 8 keys, use by services, 16 requests in flight, five alerts, every attribute set and all reservations that fit', async () => {
    const alerts = [999_999_999, 0.5, 3, 2, 1]
    const world = await openQuotaWorld({ left: 1_000_000, size: 1_000_000, keyCount: 8, alerts })
    // One is crossed, so that the counter has its time.
    await world.settle((await world.reserve(500_001)).id, 0)
    await world.table.update(
      keys.quota(world.accountId),
      expr`SET #due = ${'QUOTA#0'}, #dueAtMs = ${world.nowMs()}, #n = ${world.nowMs()}, #r = ${3}, #c1000000 = ${999_999_999}`,
    )
    for (let n = 0; n < OPEN_IN_COUNTER; n++) await world.reserve(999, { ttlSeconds: 3600, slot: n })
    expect(openIn({ item: await world.counter() })).toHaveLength(OPEN_IN_COUNTER)
    let largest = 0
    let most = 0
    for (let round = 0; round < 100; round++) {
      world.advance(1)
      await Promise.all(
        Array.from({ length: 16 }, (_, n) => world.spend(999, world.timed(), { slot: n % 8 })),
      )
      const counter = await world.counter()
      largest = Math.max(largest, sizeOf(counter))
      most = Math.max(most, (counter.a as Set<unknown> | undefined)?.size ?? 0)
    }
    expect([largest < 1024, largest, most]).toEqual([true, largest, most])
    expect(most).toBeLessThan(70)
  })

  test('the cache of a container is bounded', async () => {
    const world = await openQuotaWorld()
    const { refusals, owners } = cacheOf(world.table)
    for (let n = 0; n < 1100; n++) {
      const other = await openQuotaWorld({ left: 0, table: world.table })
      expect(await other.spend(1)).toBe(402)
    }
    expect([refusals.size, owners.size]).toEqual([1000, 0])
  })
})
