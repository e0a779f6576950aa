import { describe, expect, test } from 'vitest'
import { OPEN_IN_COUNTER } from '../../core/quota/reservation.ts'
import { readUsage } from '../../core/quota/usage.ts'
import { DAY_MS } from '../../core/time.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'

/** Leases of so many units each, of which the last ones are outside the counter if there are many; a day passes. */
async function expired(count: number, unreported: 'charge' | 'return') {
  const world = await openQuotaWorld({ left: 1000 })
  expect(await world.spend(3)).toBe(200)
  for (let n = 0; n < count; n++)
    expect(await world.lease(10, { unreported })).toMatchObject({ told: 200, units: 10 })
  world.advance(DAY_MS)
  const { done, failed } = await world.expire()
  expect([done > 0, failed]).toEqual([true, 0])
  const { days } = await readUsage(world.ports, world.accountId, {})
  const { l, f, u, y = 0 } = (await world.counter()) as Record<string, number>
  return {
    left: (l ?? 0) + (f ?? 0),
    used: u,
    held: y,
    days: days.map(({ startMs, units }) => [
      (startMs - (world.nowMs() - (world.nowMs() % DAY_MS))) / DAY_MS,
      units,
    ]),
  }
}

describe.each([
  ['in the counter', 1],
  ['outside the counter, too', OPEN_IN_COUNTER + 2],
])('leases %s that expire a day later', (_, count) => {
  test('count as used on the day on which the job counts them', async () => {
    expect(await expired(count, 'charge')).toEqual({
      left: 997 - 10 * count,
      used: 3 + 10 * count,
      held: 0,
      days: [
        [-1, 3],
        [0, 10 * count],
      ],
    })
  })

  test('come back if they were to, and no use is counted', async () => {
    expect(await expired(count, 'return')).toEqual({ left: 997, used: 3, held: 0, days: [[-1, 3]] })
  })
})
