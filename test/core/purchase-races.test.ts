import { describe, expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type { Ports } from '../../core/ports.ts'
import { collectOwedUnits } from '../../core/purchases/collect-owed.ts'
import { readPurchase } from '../../core/purchases/purchase.ts'
import { reversedAmounts } from '../../core/purchases/reversal.ts'
import type { Key } from '../../core/table/keys.ts'
import type { Write } from '../../core/table/table.ts'
import { GOOD, HOUR_MS, MINUTE_MS, openPurchaseWorld, type PurchaseWorld } from '../machine/purchase-world.ts'
import { losingRaces } from '../support/lost-races.ts'

Error.stackTraceLimit = 1

function racing(world: PurchaseWorld, loses: (write: Write, key: Key) => boolean, most?: number) {
  const { table, lost } = losingRaces(world.ports.table, loses, most)
  return { via: { ...world.ports, table } as Ports, lost }
}

/** A world whose customer has a bundle, and 1,100 units with those of the trial. */
async function held() {
  const world = await openPurchaseWorld()
  expect(await world.signUp(await world.newCard(GOOD))).toBe('paid')
  expect(await world.deliver()).toBe(0)
  world.advance(HOUR_MS)
  return world
}

const left = async (world: PurchaseWorld) => (await world.account()).quota?.left
const codeOf = (call: Promise<unknown>) =>
  call.then(
    (answer) => answer ?? 'done',
    (error) => (error instanceof DomainError ? error.code : String(error)),
  )

const isEntry = (write: Write, { sk }: Key) => 'put' in write && sk.startsWith('LEDGER#')
const isProfile = (write: Write, { sk }: Key) => 'update' in write && sk === '#PROFILE'

describe('a purchase that others overtake', () => {
  test('is credited by the last of ten tries', async () => {
    const world = await held()
    const { via, lost } = racing(world, isEntry, 9)
    expect(await world.buy(via)).toBe('paid')
    expect([lost(), await left(world)]).toEqual([9, 2100])
  })

  test('is pending after ten lost races, and a job credits it, once', async () => {
    const world = await held()
    const { via, lost } = racing(world, isEntry)
    expect(await world.buy(via)).toBe('pending')
    expect([lost(), await left(world)]).toEqual([10, 1100])
    world.advance(2 * MINUTE_MS)
    for (let n = 0; n < 3; n++) expect(await world.jobs()).toBe(0)
    expect(await left(world)).toBe(2100)
    expect(world.charges()).toHaveLength(2)
  })

  test('begins by the last of five tries, and begins nothing after five lost races', async () => {
    const world = await held()
    const takesSlot = (write: Write, key: Key) =>
      isProfile(write, key) && JSON.stringify(write).includes('openPurchase')
    const once = racing(world, takesSlot, 4)
    expect(await world.buy(once.via)).toBe('paid')
    expect(once.lost()).toBe(4)
    world.advance(MINUTE_MS)
    const never = racing(world, takesSlot)
    expect(await world.buy(never.via)).toBe('purchase_open')
    expect(never.lost()).toBe(5)
    expect(world.charges()).toHaveLength(2)
    expect((await world.account()).openPurchase).toBeUndefined()
  })
})

describe('a payment that went back', () => {
  const isReversal = (write: Write, { sk }: Key) => 'update' in write && sk.startsWith('PURCHASE#')

  test('is booked by the last of 20 tries, and by the next delivery after 20 lost races', async () => {
    const world = await held()
    await world.refund(0, 50)
    const never = racing(world, isReversal)
    const [event] = world.waiting().filter(({ type }) => type === 'charge.refunded')
    expect(event).toBeDefined()
    expect(await world.receive(event as never, never.via)).toBe(false)
    expect([never.lost(), await left(world)]).toEqual([20, 1100])
    const once = racing(world, isReversal, 19)
    expect(await world.receive(event as never, once.via)).toBe(true)
    expect([once.lost(), await left(world)]).toEqual([19, 595])
  })

  test('is taken out of units once they return, by the last of 20 tries', async () => {
    const world = await held()
    await world.lease(900, 'return')
    await world.refund(0)
    expect(await world.deliver()).toBe(0)
    expect((await world.account()).owed).toBeDefined()
    const collect = (via: Ports) => codeOf(collectOwedUnits(via, world.accountId))
    // Nothing is left to take while the units are held.
    expect(await collect(world.ports)).toBe(true)
    await world.report(0, 0, 0)
    const never = racing(world, isEntry)
    expect(await collect(never.via)).toBe('temporarily_unavailable')
    expect(never.lost()).toBe(20)
    const once = racing(world, isEntry, 19)
    expect(await collect(once.via)).toBe(false)
    expect(once.lost()).toBe(19)
    const account = await world.account()
    expect([account.owed, account.quota?.left]).toEqual([undefined, 100])
    expect(await collect(world.ports)).toBe(false)
  })

  const charge = (over: Record<string, unknown> = {}) =>
    reversedAmounts({
      captured: true,
      amountCents: 100,
      currency: 'usd',
      refundedCents: 0,
      disputes: [],
      ...over,
    } as never)
  const dispute = (status: string, amountCents: number, currency = 'usd') => ({
    status,
    amountCents,
    currency,
  })

  test('counts as refunded and as disputed, each once, and never more than was paid', () => {
    expect(charge()).toEqual({ refundedCents: 0, disputedCents: 0 })
    expect(charge({ refundedCents: 40 })).toEqual({ refundedCents: 40, disputedCents: 0 })
    expect(charge({ refundedCents: 140 })).toEqual({ refundedCents: 100, disputedCents: 0 })
    // The release of a hold is no refund.
    expect(charge({ captured: false, refundedCents: 100, disputes: [dispute('open', 50)] })).toEqual({
      refundedCents: 0,
      disputedCents: 0,
    })
    const disputes = [dispute('open', 10), dispute('lost', 20), dispute('won', 30), dispute('inquiry', 5)]
    expect(charge({ disputes })).toEqual({ refundedCents: 0, disputedCents: 30 })
    expect(charge({ refundedCents: 80, disputes })).toEqual({ refundedCents: 80, disputedCents: 20 })
    expect(charge({ disputes: [dispute('open', 7, 'eur')] })).toEqual({
      refundedCents: 0,
      disputedCents: 100,
    })
  })
})

describe('a setting of renewals that others overtake', () => {
  test('is stored by the last of 20 tries, and is told to be sent again after 20 lost races', async () => {
    const world = await held()
    const never = racing(world, isProfile)
    expect(await world.setCap(500, never.via)).toBe('temporarily_unavailable')
    expect(never.lost()).toBe(20)
    expect((await world.account()).monthlyCapCents).toBeUndefined()
    const once = racing(world, isProfile, 19)
    expect(await world.setCap(500, once.via)).toBe('done')
    expect(once.lost()).toBe(19)
    expect((await world.account()).monthlyCapCents).toBe(500)
  })
})

describe('a second click', () => {
  test('waits up to eight seconds for the first one, and then is answered as pending', async () => {
    const world = await held()
    const waits: number[] = []
    const clock = { ...world.ports.clock, wait: async (ms: number) => void waits.push(ms) }
    let second: Promise<string> | undefined
    const confirmPayment: Ports['payments']['confirmPayment'] = async (...request) => {
      second ??= world.buy({ ...world.ports, clock })
      await second
      return world.ports.payments.confirmPayment(...request)
    }
    const first = world.buy({ ...world.ports, payments: { ...world.ports.payments, confirmPayment } })
    expect(await first).toBe('paid')
    expect(await second).toBe('pending')
    expect(waits).toEqual(Array.from({ length: 40 }, () => 200))
    expect(world.charges()).toHaveLength(2)
  })

  test('within ten seconds of the end of the first one buys nothing, and after that it does', async () => {
    const world = await held()
    expect(await world.buy()).toBe('paid')
    world.advance(9_999)
    expect(await world.buy()).toBe('paid')
    expect(world.charges()).toHaveLength(2)
    world.advance(1)
    expect(await world.buy()).toBe('paid')
    expect(world.charges()).toHaveLength(3)
  })
})

test('an outage while a payment is confirmed leaves the purchase pending, and a job settles it by what Stripe says', async () => {
  const world = await held()
  const down = () => Promise.reject(new DomainError('temporarily_unavailable'))
  const payments = { ...world.ports.payments, confirmPayment: down }
  expect(await world.buy({ ...world.ports, payments })).toBe('pending')
  const { openPurchase = '' } = await world.account()
  expect(await readPurchase(world.ports, world.accountId, openPurchase)).toMatchObject({ state: 'saved' })
  world.advance(2 * MINUTE_MS)
  expect(await world.jobs()).toBe(0)
  // Nothing was charged, so the purchase ends, and the next one begins.
  expect(await readPurchase(world.ports, world.accountId, openPurchase)).toMatchObject({ state: 'abandoned' })
  expect(world.charges()).toHaveLength(1)
  expect(await world.buy()).toBe('paid')
})
