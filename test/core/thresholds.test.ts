import { describe, expect, test } from 'vitest'
import { moveThreshold } from '../../core/quota/apply-ledger.ts'
import { parseQuota } from '../../core/quota/quota.ts'
import {
  balanceParts,
  crossedThresholds,
  effectiveBelow,
  isBelowRenewal,
  isLowQuota,
  renewalAt,
  thresholdAbove,
} from '../../core/quota/thresholds.ts'
import { keys } from '../../core/table/keys.ts'
import { openQuotaWorld } from '../machine/quota-world.ts'

describe('the threshold of a renewal', () => {
  test.each([
    ['one per cent of the bundle, unless anybody says otherwise', { size: 1000 }, 10],
    ['none before the first bundle', { size: 0 }, 0],
    ['what the plan says', { size: 1000, renewalPercent: 5 }, 50],
    [
      'a share that the owner chose, whatever the plan says',
      { size: 1000, renewalPercent: 5, below: 0.2 },
      200,
    ],
    ['a number of units', { size: 1000, below: 300 }, 300],
    ['a number of units, up to half of the bundle', { size: 1000, below: 501 }, 500],
    ['half of an odd bundle, rounded down', { size: 1001, below: 900 }, 500],
    ['half of the bundle that will be bought', { size: 1000, below: 900, renewalSize: 5000 }, 900],
    ['half of a smaller bundle that will be bought', { size: 1000, below: 900, renewalSize: 100 }, 50],
    ['none before the first bundle, whatever was chosen', { size: 0, below: 300 }, 0],
    ['one unit', { size: 1000, below: 1 }, 1],
  ])('is %s', (_, levels, units) => {
    expect(renewalAt(levels)).toBe(units)
    expect(isBelowRenewal(units, levels)).toBe(false)
    expect(isBelowRenewal(units - 1, levels)).toBe(true)
  })

  test('is the owner’s choice as it is, while there is no bundle to buy', () => {
    expect(effectiveBelow({ size: 0, below: 300 })).toBe(300)
    expect(effectiveBelow({ size: 1000, below: 300, renewalSize: 0 })).toBe(300)
    expect(effectiveBelow({ size: 1000, below: 0.3 })).toBe(0.3)
  })
})

describe('a balance', () => {
  const levels = { size: 1000, lowPercent: 20, below: 50 }

  test.each([
    [1500, 1300, 200],
    [200, 0, 200],
    [199, 149, 50],
    [50, 0, 50],
    [49, 49, 0],
    [0, 0, 0],
  ])('of %i units has %i above the floor of %i', (balance, left, floor) => {
    expect(balanceParts(balance, levels)).toEqual({ left, floor })
  })

  test('is low below the plan’s share, ten per cent unless it says otherwise, rounded up', () => {
    expect([isLowQuota(199, levels), isLowQuota(200, levels)]).toEqual([true, false])
    expect([isLowQuota(10, { size: 101 }), isLowQuota(11, { size: 101 })]).toEqual([true, false])
  })

  test('has the next threshold above its floor, and none above the highest', () => {
    expect([0, 49, 50, 199, 200].map((floor) => thresholdAbove(floor, levels))).toEqual([
      50,
      50,
      200,
      200,
      Infinity,
    ])
  })

  test.each([
    [200, 199, true, false],
    [200, 200, false, false],
    [199, 50, false, false],
    [50, 49, false, true],
    [200, 49, true, true],
    [49, 0, false, false],
    [49, 300, false, false],
  ])('that moves from %i to %i crosses the notice: %s, and the renewal: %s', (from, to, notice, renewal) => {
    expect(crossedThresholds(from, to, levels, 0)).toMatchObject({ notice, renewal })
  })
})

describe('another choice of the owner', () => {
  test('is in the counter with the bundle to buy, moves the floor, and calls for a look; without it both go', async () => {
    const world = await openQuotaWorld({ left: 500, size: 1000 })
    const choose = async (choice: { below?: number; renewalSize?: number }) => {
      const change = moveThreshold(world.ports, world.accountId, parseQuota(await world.counter()), {
        below: choice.below,
        renewalSize: choice.renewalSize,
      })
      await world.table.update(keys.quota(world.accountId), change.set, change.if)
      return world.counter()
    }
    const chosen = await choose({ below: 300, renewalSize: 5000 })
    expect(chosen).toMatchObject({ b: 300, w: 5000, l: 200, f: 300, due: expect.any(String) })
    const without = await choose({})
    expect(without).toMatchObject({ l: 400, f: 100 })
    expect(Object.keys(without)).not.toEqual(expect.arrayContaining(['b']))
    expect(Object.keys(without)).not.toEqual(expect.arrayContaining(['w']))
  })
})
