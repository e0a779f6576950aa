import assert from 'node:assert/strict'
import type { Ports } from '../../core/ports.ts'
import { openStates } from '../../core/purchases/purchase.ts'
import { books, checkSettled, settle } from './purchase-checks.ts'
import { through } from './purchase-faults.ts'
import { held } from './purchase-flows.ts'
import {
  ALWAYS_3DS,
  DAY_MS,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  openPurchaseWorld,
  type Purchases,
  type PurchaseWorld,
} from './purchase-world.ts'

/** Disagreements between Stripe and the ledger that no request and no event repairs. */
type Scene = (world: PurchaseWorld) => Promise<void>

const credits = (world: PurchaseWorld): number =>
  books(world).purchases.filter(({ state }) => state === 'credited').length

/** The sweeps of an hour. */
async function sweeps(world: PurchaseWorld): Promise<void> {
  for (let runs = 0; runs < 6; runs++) {
    world.advance(10 * MINUTE_MS)
    await world.jobs()
  }
}

/** A buy whose process dies once the payment has taken money, and whose events are lost. */
async function chargedUnheard(world: PurchaseWorld): Promise<void> {
  const { ports, calls } = through(world.ports)
  const confirmPayment: Ports['payments']['confirmPayment'] = async (...args) => {
    await ports.payments.confirmPayment(...args)
    throw new Error('the process died')
  }
  await world.buy({ ...ports, payments: { ...world.ports.payments, confirmPayment } }).catch(() => 'gone')
  assert.ok(calls.length > 0)
  world.mistakes.length = 0
}

const byHand = (world: PurchaseWorld, metadata: Record<string, string>, confirm: boolean) =>
  world.stripe.operator.paymentIntents.create({
    amount: 99,
    currency: 'usd',
    payment_method: 'pm_card_visa',
    automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    metadata,
    confirm,
  })

const UNKNOWN = '0'.repeat(24)

export const reconciliations = {
  'an edited payment is credited by its stored id': async (world) => {
    await held(world)
    await chargedUnheard(world)
    const payment = Object.values(world.stripe.state.paymentIntents).at(-1)
    if (payment) payment.metadata = { account: world.accountId, purchase: `hold_${UNKNOWN}`, stage: 'other' }
    await settle(world, 'edited')
    assert.equal(credits(world), 2, 'a charge that is not credited')
  },
  'refunds and disputes that no event reports reach the ledger': async (world) => {
    await held(world)
    await world.setRenewal(false)
    assert.ok(await world.refund(0, 33))
    world.loseEvents()
    await sweeps(world)
    checkSettled(world, 'refunded')
  },
  'with the key of another account nothing ends': async (world) => {
    await held(world)
    await chargedUnheard(world)
    world.loseEvents()
    world.stripe.faults.add({ fault: 'other-account' })
    await sweeps(world)
    world.stripe.faults.clear()
    const open: readonly string[] = openStates
    assert.ok(
      books(world).purchases.some(({ state }) => open.includes(state)),
      'a purchase has ended',
    )
    // The operator was told that purchases and payments cannot be found.
    world.alarms.length = 0
    await settle(world, 'the key is right again')
    assert.equal(credits(world), 2, 'a charge that is not credited')
  },
  'an event whose object is absent is not done': async (world) => {
    await held(world)
    await chargedUnheard(world)
    world.stripe.faults.add({ fault: 'other-account' })
    await world.deliver()
    assert.ok(world.waiting().length > 0, 'an event without its object was accepted')
    world.stripe.faults.clear()
    await world.deliver()
    assert.equal(credits(world), 2, 'a charge that its event did not credit')
  },
  'a payment that is open when it is compared is compared again': async (world) => {
    await held(world)
    const { id } = await byHand(world, { account: world.accountId, purchase: UNKNOWN }, false)
    await sweeps(world)
    assert.equal(world.alarms.length, 0, 'an alarm without a reason')
    await world.stripe.operator.paymentIntents.confirm(id)
    await sweeps(world)
    assert.equal(
      world.alarms.filter((alarm) => alarm.includes(id)).length,
      1,
      'one alarm for money without a purchase',
    )
  },
  'a credit without its payment raises an alarm': async (world) => {
    await held(world)
    const [payment] = Object.keys(world.stripe.state.paymentIntents)
    world.stripe.deleteObjects([payment ?? ''])
    await world.buy()
    await sweeps(world)
    assert.deepEqual(world.alarms.length, 0, 'the first payment was compared before')
    const newest = Object.keys(world.stripe.state.paymentIntents).at(-1) ?? ''
    await world.buy()
    const bought = Object.keys(world.stripe.state.paymentIntents).at(-1) ?? ''
    assert.notEqual(newest, bought)
    world.stripe.deleteObjects([bought])
    await sweeps(world)
    assert.equal(world.alarms.filter((alarm) => alarm.includes(bought)).length, 1, 'an alarm for the credit')
  },
  'a key that is put right between two calls proves nothing about a payment': async (world) => {
    await held(world)
    assert.equal(await world.buy(), 'paid')
    world.advance(2 * HOUR_MS)
    world.stripe.faults.add({ fault: 'other-account', times: 1, match: 'GET /v1/payment_intents/*' })
    await world.job('compareRecorded')
    assert.deepEqual(world.alarms, [], 'an alarm without a reason')
    await settle(world, 'the key is right again')
  },
  'an event is given up only after a day of looks': async (world) => {
    await held(world)
    assert.ok(await world.refund(0, 33))
    world.advance(2 * DAY_MS)
    for (const match of ['GET /v1/refunds/*', 'GET /v1/charges/*'])
      world.stripe.faults.add({ fault: 'other-account', match })
    assert.ok((await world.job('sweepEvents')) > 0)
    assert.deepEqual(world.alarms, [], 'given up at the first look')
    world.stripe.faults.clear()
    await world.job('sweepEvents')
    assert.equal(books(world).purchases[0]?.refundedCents, 33, 'an event that is not handled any more')
    await settle(world, 'the key is right again')
  },
  'a deleted payment ends its purchase': async (world) => {
    await held(world, ALWAYS_3DS)
    assert.equal(await world.buy(), 'payment_action_required')
    const open = Object.values(world.stripe.state.paymentIntents).find(
      ({ status }) => status === 'requires_action',
    )
    world.stripe.deleteObjects([open?.id ?? ''])
    await settle(world, 'deleted')
    assert.equal(credits(world), 1)
    assert.equal(await world.buy(), 'payment_action_required')
  },
  'payments of another stage are left alone': async (world) => {
    await held(world)
    const metadata = { account: world.accountId, purchase: UNKNOWN, stage: 'other' }
    const { id } = await byHand(world, metadata, false)
    await byHand(world, metadata, true)
    for (const event of Object.values(world.stripe.state.events)) {
      if (event.type === 'payment_intent.created') await world.receive(event)
    }
    await sweeps(world)
    assert.equal(world.stripe.state.paymentIntents[id]?.status, 'requires_confirmation', 'canceled by us')
    assert.equal(world.alarms.length, 0, 'an alarm without a reason')
  },
  'a charge of December that is settled in January is of December': async (world) => {
    await held(world)
    world.advance(Date.UTC(2026, 11, 31, 23, 58) - world.nowMs())
    await world.consumeTo(5)
    const { ports } = through(world.ports)
    const confirmPayment: Ports['payments']['confirmPayment'] = async (...args) => {
      await ports.payments.confirmPayment(...args)
      throw new Error('the process died')
    }
    await world.job('checkQuotas', { ...ports, payments: { ...world.ports.payments, confirmPayment } })
    world.mistakes.length = 0
    world.loseEvents()
    world.advance(5 * MINUTE_MS)
    await world.job('settlePayments')
    const { profile, ledger, purchases } = books(world)
    assert.deepEqual(
      [profile.renewed?.month, profile.renewed?.cents],
      ['2026-12', 99],
      'the month of the cap',
    )
    const chargedMs = Date.UTC(2026, 11, 31, 23, 58)
    assert.equal(ledger.findLast(({ kind }) => kind === 'payment')?.atMs, chargedMs, 'the ledger')
    assert.equal(purchases.at(-1)?.paidAtMs, chargedMs, 'the invoice')
  },
  'a comparison that is out of time goes on where it stopped': async (world) => {
    await held(world, GOOD)
    await world.jobs()
    for (let payments = 0; payments < 250; payments++) {
      await byHand(world, { account: world.accountId, purchase: UNKNOWN }, true)
    }
    world.advance(HOUR_MS)
    let lists = 0
    // Each list takes longer than a run has.
    const slow = new Proxy(world.ports.payments, {
      get: (payments, name) =>
        name === 'listPayments'
          ? async (...args: Parameters<Ports['payments']['listPayments']>) => {
              lists++
              const page = await payments.listPayments(...args)
              world.advance(2 * MINUTE_MS)
              return page
            }
          : Reflect.get(payments, name),
    })
    for (let runs = 0; runs < 3; runs++)
      await world.job('comparePayments', { ...world.ports, payments: slow })
    assert.equal(world.alarms.length, 250, 'every payment is compared')
    assert.equal(lists, 3, 'each page is listed once')
  },
} satisfies Record<string, Scene>

/** Plays a disagreement with the given functions. */
export const reconciled =
  (title: keyof typeof reconciliations) =>
  async (functions?: Purchases): Promise<void> =>
    reconciliations[title](await openPurchaseWorld(functions))
