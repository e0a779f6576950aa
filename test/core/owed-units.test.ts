import { assert as check, integer, property, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Profile } from '../../core/account/account.ts'
import type { Ports } from '../../core/ports.ts'
import {
  centsForReturnedUnits,
  payOwedUnits,
  TAKEN_BY_OPERATOR,
  unitsForReversal,
  unitsOwed,
} from '../../core/purchases/owed-units.ts'
import type { Purchase } from '../../core/purchases/purchase.ts'
import { keys } from '../../core/table/keys.ts'
import { memoryTable } from '../machine/memory-table.ts'

const purchaseOf = (over: Partial<Purchase> = {}): Purchase => ({
  id: 'p1',
  accountId: 'account',
  kind: 'buy',
  state: 'credited',
  bundle: 'STARTER',
  units: 1000,
  amountCents: 99,
  currency: 'USD',
  customerId: 'cus_1',
  asked: 'pm_1',
  cardId: 'pm_1',
  fingerprint: 'digest',
  createdAtMs: 0,
  refundedCents: 0,
  disputedCents: 0,
  returnedUnits: 0,
  returnedCents: 0,
  ...over,
})

/** An account that owes these units, and what a credit of so many pays. */
async function pay(owed: Profile['owed'], purchases: Purchase[], units: number) {
  const table = memoryTable()
  for (const each of purchases) await table.put({ ...keys.purchase('account', each.id), ...each })
  const paid = await payOwedUnits({ table } as unknown as Ports, { id: 'account', owed } as Profile, units)
  await table.transact(paid.writes)
  const stored = await Promise.all(purchases.map(({ id }) => table.get(keys.purchase('account', id))))
  return { paid, returned: stored.map((item) => [item?.returnedUnits, item?.returnedCents]) }
}

describe('a reversal', () => {
  test.each([
    [99, 1000],
    [100, 1000],
    [98, 989],
    [1, 10],
    [0, 0],
  ])('of %i of 99 cents takes back %i of 1000 units', (cents, units) => {
    expect(unitsForReversal(purchaseOf(), cents)).toBe(units)
  })

  test('is worth what went back, to the cent, however many steps its units are taken back in', () => {
    const steps = tuple(
      integer({ min: 1, max: 5000 }),
      integer({ min: 1, max: 5000 }),
      integer({ min: 1, max: 5000 }),
    )
    check(
      property(steps, integer({ min: 0, max: 5000 }), ([units, amountCents, reversed], first) => {
        const purchase = purchaseOf({ units, amountCents })
        const reversedCents = Math.min(reversed, amountCents)
        const owed = unitsForReversal(purchase, reversedCents)
        const some = Math.min(first, owed)
        const worth = centsForReturnedUnits(purchase, reversedCents, some)
        expect(worth).toBeGreaterThanOrEqual(0)
        expect(worth).toBeLessThanOrEqual(reversedCents)
        expect(worth).toBe(some === owed ? reversedCents : Math.floor((reversedCents * some) / owed))
        expect(centsForReturnedUnits(purchase, reversedCents, owed)).toBe(reversedCents)
      }),
    )
  })
})

describe('a credit pays what the account owes', () => {
  const refunded = { refundedCents: 99, returnedUnits: 600, returnedCents: 59 }

  test('the oldest purchase first, then what an operator has taken, and keeps the rest', async () => {
    const purchases = [purchaseOf({ id: 'b', ...refunded }), purchaseOf({ id: 'a', ...refunded })]
    const owed = { [TAKEN_BY_OPERATOR]: 50, b: 400, a: 400 }
    expect(unitsOwed({ owed })).toBe(850)
    const { paid, returned } = await pay(owed, purchases, 500)
    expect(paid.entries).toMatchObject([
      { kind: 'return', units: -400, amountCents: 40, currency: 'USD', purchaseId: 'a' },
      { kind: 'return', units: -100, amountCents: 10, currency: 'USD', purchaseId: 'b' },
    ])
    expect(paid).toMatchObject({ amountCents: 50, owed: { b: 300, [TAKEN_BY_OPERATOR]: 50 } })
    expect(Object.keys(paid.owed ?? {})).not.toContain('a')
    expect(returned).toEqual([
      [700, 69],
      [1000, 99],
    ])
  })

  test('all of it, and nothing is owed then', async () => {
    const { paid } = await pay({ p1: 400, [TAKEN_BY_OPERATOR]: 50 }, [purchaseOf(refunded)], 1000)
    expect(paid.entries).toMatchObject([
      { kind: 'return', units: -400, amountCents: 40 },
      { kind: 'take', units: -50, amountCents: 0 },
    ])
    expect(paid.owed).toBeUndefined()
    expect(paid.amountCents).toBe(40)
  })

  test('a part of what an operator has taken', async () => {
    const { paid } = await pay({ [TAKEN_BY_OPERATOR]: 50 }, [], 20)
    expect(paid).toEqual({
      entries: [{ kind: 'take', units: -20, amountCents: 0 }],
      writes: [],
      amountCents: 0,
      owed: { [TAKEN_BY_OPERATOR]: 30 },
    })
  })

  test('with nothing, if there is nothing: no entry and no write', async () => {
    const { paid } = await pay({ p1: 400, [TAKEN_BY_OPERATOR]: 5 }, [purchaseOf(refunded)], 0)
    expect(paid).toEqual({
      entries: [],
      writes: [],
      amountCents: 0,
      owed: { p1: 400, [TAKEN_BY_OPERATOR]: 5 },
    })
    expect((await pay(undefined, [], 10)).paid).toEqual({
      entries: [],
      writes: [],
      amountCents: 0,
      owed: undefined,
    })
  })

  test('of five purchases at once, because their writes go into its transaction', async () => {
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    const owed = Object.fromEntries(ids.map((id) => [id, 400]))
    const { paid } = await pay(
      owed,
      ids.map((id) => purchaseOf({ id, ...refunded })),
      10_000,
    )
    expect(paid.entries).toHaveLength(5)
    expect(paid.owed).toEqual({ f: 400 })
  })

  test('only if no refund came between', async () => {
    const table = memoryTable()
    const purchase = purchaseOf(refunded)
    const key = keys.purchase('account', purchase.id)
    for (const change of [{ returnedUnits: 601 }, { refundedCents: 98 }, { disputedCents: 1 }]) {
      await table.put({ ...key, ...purchase })
      const profile = { id: 'account', owed: { p1: 400 } } as unknown as Profile
      const paid = await payOwedUnits({ table } as unknown as Ports, profile, 400)
      await table.put({ ...key, ...purchase, ...change })
      await expect(table.transact(paid.writes)).rejects.toThrow()
    }
  })
})
