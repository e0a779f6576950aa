import { describe, expect, test } from 'vitest'
import { DomainError } from '../../core/errors.ts'
import type { Payments, Ports } from '../../core/ports.ts'
import { keys } from '../../core/table/keys.ts'
import type { Table } from '../../core/table/table.ts'
import { recordingLog } from '../support/log.ts'
import { settle } from './purchase-checks.ts'
import { held } from './purchase-flows.ts'
import { DAY_MS, GOOD, MINUTE_MS, OTHER, openPurchaseWorld, type PurchaseWorld } from './purchase-world.ts'

// stripe-node captures a stack trace with every call, which costs as much as the call itself.
Error.stackTraceLimit = 1

const outage = () => new DomainError('temporarily_unavailable')
const reject = () => Promise.reject(outage())

/** The ports of a world whose lines can be read, and with other methods of Stripe or of the table. */
function watched(world: PurchaseWorld) {
  const { log, lines } = recordingLog(world.nowMs)
  const through = (payments: Partial<Payments>, table: Partial<Table> = {}): Ports => ({
    ...world.ports,
    log,
    payments: new Proxy(world.ports.payments, {
      get: (real, name) => payments[name as keyof Payments] ?? Reflect.get(real, name),
    }),
    table: { ...world.ports.table, ...table },
  })
  return { lines, through }
}

/** A world with a bundle of which so many units are left. */
async function bundleWith(left: number) {
  const world = await openPurchaseWorld()
  const card = await held(world)
  await world.consumeTo(left)
  return { world, card, ...watched(world) }
}

const accountId = expect.any(String)

/** What a request or a job could not do, and leaves for a later run: its line, and that the later run does it. */
describe('a failure that a later run repairs leaves a line', () => {
  test('of the look at a counter that a consume has started: the counter is looked at a minute later, and renews', async () => {
    const { world, lines, through } = await bundleWith(5)
    const charged = world.charges().length
    await world.renewAtOnce(through({}, { transact: reject }))
    expect(lines).toMatchObject([
      { level: 'warn', what: 'a counter was not checked at once; check-quotas checks it again', accountId },
    ])
    await world.job('checkQuotas')
    expect(world.charges()).toHaveLength(charged)
    world.advance(MINUTE_MS)
    await world.job('checkQuotas')
    expect(world.charges()).toHaveLength(charged + 1)
  })

  test('of a look that could not even be postponed: the counter stays due', async () => {
    const { world, lines, through } = await bundleWith(5)
    const charged = world.charges().length
    const isPostponed = (set: unknown) => JSON.stringify(set).includes('#dueAtMs')
    const update: Table['update'] = (key, set, ...rest) =>
      isPostponed(set) ? reject() : world.ports.table.update(key, set, ...rest)
    expect(await world.job('checkQuotas', through({}, { transact: reject, update }))).toBe(1)
    expect(lines.map(({ what }) => what)).toContain(
      'a counter whose check failed could not be postponed; it stays due and is checked again',
    )
    await world.job('checkQuotas')
    expect(world.charges()).toHaveLength(charged + 1)
  })

  test('of a look at a counter that another run has done meanwhile: there is nothing to postpone, and no line says so', async () => {
    const { world, lines, through } = await bundleWith(5)
    const charged = world.charges().length
    let isFirst = true
    const transact: Table['transact'] = async () => {
      if (isFirst) {
        isFirst = false
        await world.job('checkQuotas')
        await world.job('checkQuotas')
        expect(world.items().find(({ sk }) => sk === '#QUOTA')).not.toHaveProperty('due')
      }
      throw outage()
    }
    await world.renewAtOnce(through({}, { transact }))
    expect(world.charges()).toHaveLength(charged + 1)
    expect(lines.map(({ what }) => what)).toEqual([
      'a counter was not checked at once; check-quotas checks it again',
    ])
  })

  test('of an alert: tell-alerts tells it', async () => {
    const { world, lines, through } = await bundleWith(500)
    await world.setRenewal(false)
    await world.setAlerts([400])
    await world.consumeTo(300)
    const tellsAlert = (writes: unknown) => JSON.stringify(writes).includes('quota.alert')
    const told = () => world.items().filter(({ sk }) => String(sk).startsWith('NOTICE#')).length
    const before = told()
    await world.job(
      'checkQuotas',
      through(
        {},
        {
          transact: (writes) => (tellsAlert(writes) ? reject() : world.ports.table.transact(writes)),
        },
      ),
    )
    expect(lines).toMatchObject([
      { level: 'warn', what: 'an alert was not told at once; tell-alerts tells it', accountId },
    ])
    await world.job('tellAlerts')
    expect(told()).toBeGreaterThan(before)
  })

  test('of a refund that Stripe did not take: settle-payments makes it', async () => {
    const { world, lines, through } = await bundleWith(1000)
    const refunded = () => world.charges().map(({ amount_refunded }) => amount_refunded)
    expect(
      await world.orderRefund(
        -1,
        { what: 'amount', amountCents: 40 },
        through({ createRefund: reject }),
        'k',
      ),
    ).not.toBe('temporarily_unavailable')
    expect(lines).toMatchObject([
      {
        level: 'warn',
        what: 'a refund is not settled yet; settle-payments will settle it',
        accountId,
        refund: expect.any(String),
      },
    ])
    expect(refunded()).toEqual([0])
    world.advance(10 * MINUTE_MS)
    await world.job('settleRefunds')
    expect(refunded()).toEqual([40])
    await settle(world, 'refunded')
  })

  test('of a reversal that the sweep could not apply: the next sweep applies it, and no other waits for it', async () => {
    const { world, lines, through } = await bundleWith(1000)
    await world.buy()
    await settle(world, 'bought')
    await world.refund(0, 10)
    await world.refund(1, 10)
    world.loseEvents()
    const [first] = world.charges()
    const readCharge: Payments['readCharge'] = (id) =>
      id === first?.id ? reject() : world.ports.payments.readCharge(id)
    expect(await world.job('compareReversals', through({ readCharge }))).toBe(1)
    expect(lines).toMatchObject([
      {
        level: 'error',
        what: 'a refund, dispute or fraud warning could not be applied; the next sweep retries it',
        item: first?.id,
      },
    ])
    const refunded = () =>
      world
        .items()
        .flatMap(({ sk, refundedCents }) => (String(sk).startsWith('PURCHASE#') ? Number(refundedCents) : []))
    expect(refunded().filter((cents) => cents === 10)).toHaveLength(1)
    expect(await world.job('compareReversals')).toBe(0)
    expect(refunded().filter((cents) => cents === 10)).toHaveLength(2)
    await settle(world, 'reversed')
  })

  test('of an older entry of a card: the sweep detaches it', async () => {
    const { world, card, lines, through } = await bundleWith(1000)
    await world.setRenewal(false)
    const again = await world.newCard(GOOD)
    expect(await world.changeCard(again, through({ detachCard: reject }))).toBe('proved')
    expect(lines).toMatchObject([
      {
        level: 'warn',
        what: 'an older entry of a card could not be detached; the job sweep will retry it',
        accountId,
        cardId: card,
      },
    ])
    const attached = () => world.stripe.state.paymentMethods[card]?.customer
    expect(attached()).toBeTruthy()
    world.advance(DAY_MS)
    await world.job('sweepCards')
    expect(attached()).toBeFalsy()
    await settle(world, 'detached')
  })

  test('of a hold that could not be released: the card is proved, and the sweep releases it', async () => {
    const { world, lines, through } = await bundleWith(1000)
    await world.setRenewal(false)
    const other = await world.newCard(OTHER)
    expect(await world.changeCard(other, through({ cancelPayment: reject }))).toBe('proved')
    expect(lines).toMatchObject([
      {
        level: 'warn',
        what: 'a hold could not be released; its webhook or the job sweep will retry it',
        accountId,
        holdId: expect.any(String),
      },
    ])
    const isHeld = () =>
      Object.values(world.stripe.state.paymentIntents).some(({ status }) => status === 'requires_capture')
    expect(isHeld()).toBe(true)
    world.advance(DAY_MS)
    await world.job('sweepHolds')
    expect(isHeld()).toBe(false)
    await settle(world, 'released')
  })

  test('of a payment that could not be compared: it holds up no other, and is compared again', async () => {
    const { world, lines, through } = await bundleWith(1000)
    await world.buy()
    await settle(world, 'bought')
    const records = () => world.items().filter(({ sk }) => String(sk).startsWith('PURCHASE#'))
    const [failing] = records().map(({ paymentId }) => paymentId)
    let reads = 0
    const get: Table['get'] = async (key) => {
      const item = await world.ports.table.get(key)
      if (!item?.paymentId || item.paymentId !== failing || reads++ > 0) return item
      throw outage()
    }
    world.advance(DAY_MS)
    await world.ports.table.remove(keys.job('compare-payments'))
    await world.job('comparePayments', through({}, { get }))
    expect(lines).toMatchObject([
      { level: 'error', what: 'a payment could not be compared; it is looked at again', item: failing },
    ])
    expect(world.alarms).toEqual([])
    await settle(world, 'compared')
  })

  test('of an event that was missed: the next sweep does its work', async () => {
    const { world, lines, through } = await bundleWith(1000)
    await world.refund(0, 10)
    world.stripe.tick()
    world.advance(10 * MINUTE_MS)
    expect(await world.job('sweepEvents', through({ readCharge: reject }))).toBeGreaterThan(0)
    expect(lines[0]).toMatchObject({
      level: 'error',
      what: 'a missed event of the provider failed; the next sweep will retry it',
      event: expect.stringMatching(/^evt_/),
      type: expect.any(String),
    })
    const refunded = () =>
      world
        .items()
        .some(({ sk, refundedCents }) => String(sk).startsWith('PURCHASE#') && refundedCents === 10)
    expect(refunded()).toBe(false)
    expect(await world.job('sweepEvents')).toBe(0)
    expect(refunded()).toBe(true)
    await settle(world, 'heard')
  })
})

describe('a payment that Stripe has deleted', () => {
  const absent = () => Promise.reject(new DomainError('not_found'))
  const gone = async () => undefined

  test('ends its purchase, charges nothing, and leaves a line', async () => {
    const { world, lines, through } = await bundleWith(1000)
    const answer = await world.buy(through({ confirmPayment: absent, readPayment: gone }))
    expect(answer).toBe('temporarily_unavailable')
    expect(lines).toMatchObject([
      {
        level: 'warn',
        what: 'the provider has deleted the payment of a purchase; the purchase ends',
        accountId,
        purchaseId: expect.any(String),
      },
    ])
    expect(world.charges()).toHaveLength(1)
    expect(world.items().find(({ sk }) => sk === '#PROFILE')).not.toHaveProperty('openPurchase')
  })

  test('ends its verification, proves nothing, and leaves a line', async () => {
    const { world, lines, through } = await bundleWith(1000)
    await world.setRenewal(false)
    const before = await world.defaultCard()
    const answer = await world.changeCard(
      await world.newCard(OTHER),
      through({ confirmPayment: absent, readPayment: gone }),
    )
    expect(answer).not.toBe('proved')
    expect(lines).toMatchObject([
      {
        level: 'warn',
        what: 'the provider has deleted the payment of a hold; the verification ends',
        accountId,
        holdId: expect.any(String),
      },
    ])
    expect(await world.defaultCard()).toBe(before)
    expect(world.items().some(({ sk }) => String(sk).startsWith('HOLD#'))).toBe(false)
  })
})
