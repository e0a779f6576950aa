import { describe, expect, test } from 'vitest'
import type { Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import { DAY_MS } from '../../core/time.ts'
import { openLotWorld } from '../machine/lot-world.ts'
import { interleaved, openQuotaWorld } from '../machine/quota-world.ts'

/** A world with a lot of 60 units that has expired today, of which 10 were spent. */
async function withExpiredLot() {
  const world = await openLotWorld(openQuotaWorld, { left: 100 })
  await world.credit(60, 2)
  expect(await world.spend(10)).toBe(200)
  world.advance(3 * DAY_MS)
  return world
}

describe('the end of a lot', () => {
  test('takes what is left of it, once, however often the job runs', async () => {
    const world = await withExpiredLot()
    for (let n = 0; n < 3; n++) await world.endLots()
    expect(await world.numbers()).toMatchObject({
      left: 100,
      used: 10,
      expired: 50,
      unbooked: 0,
      expiring: [],
    })
    await world.checkBooks('ended', 100)
  })

  test.each([1, 2, 3])('is booked although the ledger goes on before its write number %i', async (nth) => {
    const world = await withExpiredLot()
    const sell = interleaved(world.ports, 'transact', nth, () => world.sell(7))
    expect(await world.endLots(sell)).toMatchObject({ failed: 0 })
    await world.endLots()
    await world.applyLedger()
    const { expired, used, left, unbooked } = await world.numbers()
    const sold = (await world.counter()).s === 3 ? 0 : 7
    expect({ expired, used, left, unbooked }).toEqual({
      expired: 50,
      used: 10,
      left: 100 + sold,
      unbooked: 0,
    })
    await world.checkBooks('ended', 100)
  })

  test('that cannot be booked fails, and a later run books it', async () => {
    const world = await withExpiredLot()
    const failing: Ports = {
      ...world.ports,
      table: { ...world.table, transact: () => Promise.reject(new TypeError('torn')) },
    }
    const { failed } = await world.endLots(failing)
    expect(failed).toBe(1)
    world.advance(DAY_MS)
    await world.endLots()
    expect(await world.numbers()).toMatchObject({ left: 100, expired: 50 })
    await world.checkBooks('ended', 100)
  })
})

describe('the notice that units will expire', () => {
  const notices = async (world: Awaited<ReturnType<typeof openLotWorld>>) =>
    (await world.table.list(keys.account(world.accountId), 'NOTICE#')).map(({ sk, message }) => ({
      atMs: Number.parseInt(String(sk).slice('NOTICE#'.length, 'NOTICE#'.length + 12), 16),
      message,
    }))

  test('comes a week before the day, once for all lots of the day, and is dated then', async () => {
    const world = await openLotWorld(openQuotaWorld, { left: 100 })
    await world.credit(60, 10)
    await world.credit(40, 10)
    const [{ day } = { day: 0 }] = (await world.numbers()).expiring
    world.advance((day - 7) * DAY_MS - world.nowMs() - 1)
    await world.endLots()
    expect(await notices(world)).toEqual([])
    world.advance(1)
    for (let n = 0; n < 3; n++) await world.endLots()
    expect(await notices(world)).toEqual([
      { atMs: (day - 7) * DAY_MS, message: expect.stringMatching(/^100 .* will expire/) },
    ])
  })

  test('does not come for units that are used', async () => {
    const world = await openLotWorld(openQuotaWorld, { left: 100 })
    await world.credit(60, 10)
    expect(await world.spend(60)).toBe(200)
    world.advance(4 * DAY_MS)
    await world.endLots()
    expect(await notices(world)).toEqual([])
    world.advance(7 * DAY_MS)
    await world.endLots()
    expect(await world.numbers()).toMatchObject({ left: 100, expired: 0 })
  })
})
