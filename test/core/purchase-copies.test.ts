import { describe, expect, test } from 'vitest'
import { numberTry } from '../../core/cards/shared-limits.ts'
import { DomainError } from '../../core/errors.ts'
import type { Payment, Payments, Ports } from '../../core/ports.ts'
import { advancePurchase, settleAbandonedPurchase } from '../../core/purchases/advance.ts'
import { buyBundle } from '../../core/purchases/buy.ts'
import { checkQuota, checkQuotas } from '../../core/purchases/check-quotas.ts'
import { finishPurchase } from '../../core/purchases/credit.ts'
import { orderRefund } from '../../core/purchases/order-refund.ts'
import { ownerOfPayment, recordedPurchase } from '../../core/purchases/payment-owner.ts'
import { type Purchase, parsePurchase, readPurchase } from '../../core/purchases/purchase.ts'
import { compareRecorded, examinePayment } from '../../core/purchases/reconcile.ts'
import { reconcileAccount } from '../../core/purchases/reconcile-account.ts'
import { setRenewal } from '../../core/purchases/renewal-settings.ts'
import { settlePurchase } from '../../core/purchases/settle.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import { settleRefunds } from '../../core/purchases/settle-refunds.ts'
import { expr } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import {
  DAY_MS,
  DECLINED,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  OTHER,
  openPurchaseWorld,
  type PurchaseWorld,
} from '../machine/purchase-world.ts'
import { losingRaces } from '../support/lost-races.ts'

Error.stackTraceLimit = 1

async function held() {
  const world = await openPurchaseWorld()
  expect(await world.signUp(await world.newCard(GOOD))).toBe('paid')
  expect(await world.deliver()).toBe(0)
  world.advance(HOUR_MS)
  return world
}

const paying = (world: PurchaseWorld, methods: Partial<Payments>): Ports => ({
  ...world.ports,
  payments: new Proxy(world.ports.payments, {
    get: (object, name, receiver) => methods[name as keyof Payments] ?? Reflect.get(object, name, receiver),
  }),
})

async function openPurchase(world: PurchaseWorld): Promise<Purchase> {
  const { openPurchase: id = '' } = await world.account()
  return (await readPurchase(world.ports, world.accountId, id)) as Purchase
}

/** A customer buys, and something else happens to the purchase between the creation of its payment and its storage. */
async function meanwhile(world: PurchaseWorld, what: (purchase: Purchase) => Promise<unknown>) {
  const canceled: string[] = []
  const via = paying(world, {
    createPayment: async (...request) => {
      const payment = await world.ports.payments.createPayment(...request)
      await what(await openPurchase(world))
      return payment
    },
    cancelPayment: (id) => {
      canceled.push(id)
      return world.ports.payments.cancelPayment(id)
    },
  })
  return { answer: await world.buy(via), canceled: canceled.length }
}

const units = async (world: PurchaseWorld) => (await world.account()).quota?.left

describe('a purchase that another copy of its request works on', () => {
  test('is answered as paid if that copy has credited it, and is credited once', async () => {
    const world = await held()
    const { answer, canceled } = await meanwhile(world, (purchase) => advancePurchase(world.ports, purchase))
    expect([answer, canceled, await units(world), world.charges().length]).toEqual(['paid', 0, 2100, 2])
  })

  test('is answered as declined if the bank has declined it there', async () => {
    const world = await held()
    const card = world.stripe.state.cards[(await world.defaultCard()) ?? '']
    if (card) card.number = DECLINED
    const { answer, canceled } = await meanwhile(world, (purchase) => advancePurchase(world.ports, purchase))
    expect([answer, canceled, world.charges().length]).toEqual(['card_declined', 0, 1])
  })

  test('is pending while that copy goes on with another payment, and its own can take no money', async () => {
    const world = await held()
    const other = async ({ id }: Purchase) => {
      const set = expr`SET #state = ${'saved'}, #paymentId = ${'pi_other'}`
      await world.ports.table.update(keys.purchase(world.accountId, id), set)
    }
    expect(await meanwhile(world, other)).toEqual({ answer: 'pending', canceled: 1 })
  })

  test('has ended if the job has abandoned it, and may be sent again', async () => {
    const world = await held()
    const abandoned = async (purchase: Purchase) => {
      world.advance(2 * MINUTE_MS)
      await settleAbandonedPurchase(world.ports, purchase, true)
    }
    const { answer } = await meanwhile(world, abandoned)
    expect([answer, world.charges().length]).toEqual(['temporarily_unavailable', 1])
    expect(await world.buy()).toBe('paid')
  })
})

test('a purchase that has ended is told as it ended, whatever its payment says now', async () => {
  const world = await held()
  const item = world.items().find(({ sk }) => String(sk).startsWith('PURCHASE#')) ?? {}
  const purchase = parsePurchase(item)
  const payment = (await world.ports.payments.readPayment(purchase.paymentId ?? '')) as Payment
  const outcome = (state: Purchase['state']) => settlePurchase(world.ports, { ...purchase, state }, payment)
  expect(await outcome('credited')).toMatchObject({ status: 'credited', purchase: { id: purchase.id } })
  expect(await outcome('declined')).toEqual({ status: 'declined' })
  expect(await outcome('abandoned')).toEqual({ status: 'abandoned' })
})

describe('a card that the provider does not accept', () => {
  test('is declined if it stays the default card, and no bank was asked', async () => {
    const world = await held()
    const refused = async () => ({ status: 'refused', reason: 'card_unusable' }) as never
    expect(await world.buy(paying(world, { createPayment: refused }))).toBe('card_declined')
    const card = world.items().find(({ sk }) => String(sk).startsWith('CARD#'))
    expect(card).toMatchObject({ declined: true, reason: 'card_unusable' })
    expect(world.items().some(({ sk }) => String(sk).startsWith('NUMBER#'))).toBe(false)
  })

  test('of a sign-up is refused once it was tried too often, and that counts as no try', async () => {
    const world = await openPurchaseWorld()
    const card = await world.newCard(GOOD)
    const fingerprint = (await world.ports.payments.cardFingerprintOf(card)) ?? ''
    for (let n = 0; n < 10; n++) await world.ports.table.transact([numberTry(fingerprint, world.nowMs())])
    expect(await world.signUp(card)).toBe('too_many_cards_tried')
    expect(world.charges()).toHaveLength(0)
    expect((await world.account()).cardTriesMs).toEqual([])
    expect((await world.account()).openPurchase).toBeUndefined()
    // Another number may be tried.
    expect(await world.signUp(await world.newCard('6011111111111117'))).toBe('paid')
  })
})

test('a refund that fails for a reason that nobody foresaw is no pending one', async () => {
  const world = await held()
  const torn = paying(world, { createRefund: () => Promise.reject(new TypeError('torn')) })
  const of = { accountId: world.accountId, purchaseId: [...world.creditedAtMs.keys()][0] ?? '' }
  const via = { ...torn, origin: { by: 'operator', name: 'bob' } } as Ports
  const refund = orderRefund(via, of, { what: 'all' }, { reason: 'a ticket', idempotencyKey: undefined })
  await expect(refund).rejects.toThrow('torn')
})

test('a purchase was paid by the card that its payment names, or else by the one that it was for', async () => {
  const paidBy = async (change: (cardId: string) => string | undefined) => {
    const world = await held()
    await world.buy(
      paying(world, {
        confirmPayment: async (...request) => {
          await world.ports.payments.confirmPayment(...request)
          throw new DomainError('temporarily_unavailable')
        },
      }),
    )
    const purchase = await openPurchase(world)
    const payment = (await world.ports.payments.readPayment(purchase.paymentId ?? '')) as Payment
    const of = { ...payment, paymentMethodId: change(purchase.cardId) }
    await settlePurchase(world.ports, purchase, of as Payment)
    const { cardId } = (await readPurchase(world.ports, world.accountId, purchase.id)) as Purchase
    return cardId === purchase.cardId ? 'its card' : cardId
  }
  expect(await paidBy((cardId) => cardId)).toBe('its card')
  expect(await paidBy(() => 'pm_other')).toBe('pm_other')
  expect(await paidBy(() => undefined)).toBe('its card')
})

test('a sign-up that was declined may be sent again later, and asks the bank again', async () => {
  const world = await openPurchaseWorld()
  const card = await world.newCard(DECLINED)
  expect(await world.signUp(card)).toBe('card_declined')
  world.advance(HOUR_MS)
  const stored = world.stripe.state.cards[card]
  if (stored) stored.number = GOOD
  expect(await world.signUp(card)).toBe('paid')
})

test('each later try to create a payment has an idempotency key of its own', async () => {
  const world = await held()
  await world.consumeTo(3)
  const asked: (string | undefined)[] = []
  const down = paying(world, {
    createPayment: ({ idempotencyKey }) => {
      asked.push(idempotencyKey)
      return Promise.reject(new DomainError('temporarily_unavailable'))
    },
  })
  await world.job('checkQuotas', down)
  const [first = ''] = asked
  for (const minutes of [2, 3]) {
    world.advance(minutes * MINUTE_MS)
    await world.job('settlePayments', down)
  }
  expect(asked).toEqual([first, `${first}_2`, `${first}_5`])
})

test('a renewal that another run has begun is looked at a minute later', async () => {
  const world = await held()
  await world.consumeTo(3)
  const { table, lost } = losingRaces(
    world.ports.table,
    (write) => 'update' in write && JSON.stringify(write).includes('openPurchase'),
  )
  const run = { untilMs: world.nowMs() + MINUTE_MS, width: 1 }
  const checked = await checkQuotas({ ...world.ports, table }, run)
  expect(lost()).toBeGreaterThan(0)
  expect(checked).toEqual({ notices: 1, renewed: 0, tried: 0, failed: 0 })
  expect(world.items().find(({ sk }) => sk === '#QUOTA')?.dueAtMs).toBe(world.nowMs() + MINUTE_MS)
  expect(world.charges()).toHaveLength(1)
})

test('a refund whose answer cannot be stored is no pending one, unless another run has stored it', async () => {
  const world = await held()
  let isMade = false
  const made = paying(world, {
    createRefund: async (...request) => {
      isMade = true
      return world.ports.payments.createRefund(...request)
    },
  })
  const table = new Proxy(world.ports.table, {
    get: (object, name, receiver) =>
      isMade && (name === 'update' || name === 'transact')
        ? () => Promise.reject(new TypeError('torn'))
        : Reflect.get(object, name, receiver),
  })
  const of = { accountId: world.accountId, purchaseId: [...world.creditedAtMs.keys()][0] ?? '' }
  const via = { ...made, table, origin: { by: 'operator', name: 'bob' } } as Ports
  const refund = orderRefund(via, of, { what: 'all' }, { reason: 'a ticket', idempotencyKey: undefined })
  await expect(refund).rejects.toThrow('torn')
})

test('a refund that Stripe refuses is told with its reason, and again to who repeats the request', async () => {
  const world = await held()
  const refusing = paying(world, {
    createRefund: async () => ({ status: 'refused', reason: 'disputed' }) as never,
  })
  const of = { accountId: world.accountId, purchaseId: [...world.creditedAtMs.keys()][0] ?? '' }
  const via = { ...refusing, origin: { by: 'operator', name: 'bob' } } as Ports
  const order = () => orderRefund(via, of, { what: 'all' }, { reason: 'a ticket', idempotencyKey: 'key' })
  const detail = 'The payment is disputed, so that its bank has the money already. Nothing was refunded.'
  await expect(order()).rejects.toMatchObject({ code: 'refund_refused', detail, replayed: false })
  await expect(order()).rejects.toMatchObject({ code: 'refund_refused', detail, replayed: true })
})

test('a refund has one idempotency key a day, which Stripe has forgotten before the next', async () => {
  const world = await held()
  const asked: (string | undefined)[] = []
  const down = paying(world, {
    createRefund: ({ idempotencyKey }) => {
      asked.push(idempotencyKey)
      return Promise.reject(new DomainError('temporarily_unavailable'))
    },
  })
  await world.orderRefund(0, { what: 'all' }, down)
  for (const ms of [HOUR_MS, 22 * HOUR_MS, 23 * HOUR_MS]) {
    world.advance(ms)
    await world.job('settleRefunds', down)
  }
  const [first = ''] = asked
  expect(first).toMatch(/^refund_[0-9a-f]{24}$/)
  expect(asked).toEqual([first, first, `${first}_1`, `${first}_2`])
})

test('a bundle that is not sold is refused with the names of those that are', async () => {
  const world = await held()
  const message = 'must be one of STARTER, DEVELOPER, ENTERPRISE'
  const order = async (wanted: Parameters<typeof buyBundle>[2]) =>
    buyBundle(world.ports, await world.account(), wanted, undefined)
  const change = order({ kind: 'change', bundle: 'NOTHING' })
  await expect(change).rejects.toMatchObject({ fields: [{ field: 'bundleName', message }] })
})

describe('what a crash leaves after the credit of a sign-up', () => {
  test('does not take back the card that the customer has chosen since', async () => {
    const world = await held()
    await world.setRenewal(false)
    const item = world.items().find(({ sk }) => String(sk).startsWith('PURCHASE#')) ?? {}
    await world.ports.table.put({ ...item, finished: undefined } as never)
    expect(await world.changeCard(await world.newCard(OTHER))).toBe('proved')
    const chosen = await world.defaultCard()
    const cards = () => world.items().filter(({ sk }) => String(sk).startsWith('CARD#'))
    const before = structuredClone(cards())
    await finishPurchase(world.ports, { ...parsePurchase(item), finished: undefined })
    expect(await world.defaultCard()).toBe(chosen)
    expect(cards()).toEqual(before)
  })
})

test('a payment that is canceled already is not canceled again', async () => {
  const world = await held()
  const [id = ''] = Object.keys(world.stripe.state.paymentIntents)
  const payment = (await world.ports.payments.readPayment(id)) as Payment
  const item = world.items().find(({ sk }) => String(sk).startsWith('PURCHASE#')) ?? {}
  await world.ports.table.put({ ...item, state: 'abandoned' } as never)
  const asked: string[] = []
  const via = paying(world, {
    cancelPayment: async (of) => {
      asked.push(of)
      return { ...payment, status: 'canceled' }
    },
  })
  expect(await examinePayment(via, { ...payment, status: 'canceled' })).toBe('agrees')
  expect(asked).toEqual([])
  expect(await examinePayment(via, { ...payment, status: 'unconfirmed' })).toBe('agrees')
  expect(asked).toEqual([id])
})

test('a check at once says what it has done', async () => {
  const world = await held()
  await world.consumeTo(3)
  const event = { accountId: world.accountId }
  const [none, one] = [
    { tried: 0, failed: 0 },
    { notices: 1, renewed: 1 },
  ]
  expect(await checkQuota(world.ports, event)).toEqual({ ...none, ...one })
  expect(await checkQuota(world.ports, event)).toEqual({ ...none, notices: 0, renewed: 0 })
})

test('units that come while an account is compared are no difference', async () => {
  const world = await held()
  const table = new Proxy(world.ports.table, {
    get: (object, name, receiver) => {
      const call = Reflect.get(object, name, receiver)
      if (name !== 'list') return call
      return async (...request: [unknown, string]) => {
        if (request[1] === 'LEDGER#' && !granted) {
          granted = true
          await world.grant(50)
        }
        return (call as (...all: unknown[]) => Promise<unknown>)(...request)
      }
    },
  })
  let granted = false
  const via = { ...world.ports, table, origin: { by: 'operator', name: 'bob' } } as Ports
  const report = await reconcileAccount(via, world.accountId, { reason: 'a ticket' })
  expect(granted).toBe(true)
  expect(report).toMatchObject({ entries: 3, mended: [], found: [] })
})

describe('a job whose run is out of time', () => {
  test('leaves refunds and purchases as they are', async () => {
    const world = await held()
    const down = () => Promise.reject(new DomainError('temporarily_unavailable'))
    await world.orderRefund(0, { what: 'all' }, paying(world, { createRefund: down }))
    await world.buy(paying(world, { confirmPayment: down }))
    world.advance(2 * MINUTE_MS)
    const before = structuredClone(world.items())
    const run = { untilMs: world.nowMs() + MINUTE_MS, width: 1, ready: async () => false }
    expect(await settleRefunds(world.ports, run)).toEqual({ done: 0, failed: 0 })
    expect(await settlePayments(world.ports, run)).toEqual({ credited: 0, ended: 0, waiting: 0, failed: 0 })
    expect(world.items()).toEqual(before)
    const whole = { untilMs: world.nowMs() + MINUTE_MS, width: 1 }
    expect(await settleRefunds(world.ports, whole)).toEqual({ done: 1, failed: 0 })
    expect(await settlePayments(world.ports, whole)).toEqual({ credited: 0, ended: 1, waiting: 0, failed: 0 })
  })
})

test('a run leaves to another one what that has just begun, and counts it as nothing done', async () => {
  const world = await held()
  const down = () => Promise.reject(new DomainError('temporarily_unavailable'))
  await world.orderRefund(0, { what: 'all' }, paying(world, { createRefund: down }))
  await world.buy(paying(world, { confirmPayment: down }))
  world.advance(DAY_MS)
  const isLease = (write: object) => 'update' in write
  const { table, lost } = losingRaces(world.ports.table, isLease)
  const via = { ...world.ports, table }
  const run = { untilMs: world.nowMs() + MINUTE_MS, width: 1, alarm: () => undefined }
  expect(await settleRefunds(via, run)).toEqual({ done: 0, failed: 0 })
  expect(await settlePayments(via, run)).toEqual({ credited: 0, ended: 0, waiting: 0, failed: 0 })
  expect(await compareRecorded(via, run)).toEqual({ done: 0, failed: 0 })
  expect(lost()).toBeGreaterThanOrEqual(3)
})

describe('a threshold of renewals', () => {
  test('that is more than half of a bundle is refused with the most that it may be', async () => {
    const refused = async (world: PurchaseWorld, below: number, message: string) =>
      expect(setRenewal(world.ports, await world.account(), { below })).rejects.toMatchObject({
        code: 'invalid_request',
        fields: [{ field: 'below', message }],
      })
    await refused(await openPurchaseWorld(), 500_001, 'must be at most 500000, half of the largest bundle')
    await refused(await held(), 501, 'must be at most 500, half of the STARTER bundle that renewals buy')
  })
})

test('a threshold is a share of the bundle that the account renews, even if that has just changed', async () => {
  const world = await held()
  const before = await world.account()
  await world.choose({ renewalBundle: 'DEVELOPER' })
  await setRenewal(world.ports, before, { below: 0.3 })
  const { quota } = await world.account()
  expect(quota).toMatchObject({ below: 0.3, renewalSize: 100_000 })
  const item = world.items().find(({ sk }) => sk === '#QUOTA')
  expect(item?.r ?? item?.f).toBeDefined()
})

describe('a renewal', () => {
  const low = async () => {
    const world = await held()
    await world.consumeTo(3)
    return world
  }
  const due = (world: PurchaseWorld) => world.items().find(({ sk }) => sk === '#QUOTA')?.dueAtMs

  test('that a run has no time for is due at once, for the next run', async () => {
    const world = await low()
    const run = { untilMs: world.nowMs() + MINUTE_MS, width: 1, ready: async () => false }
    expect(await checkQuotas(world.ports, run)).toEqual({ notices: 1, renewed: 0, tried: 0, failed: 0 })
    expect(due(world)).toBe(world.nowMs())
    expect(world.charges()).toHaveLength(1)
  })

  test.each(['no_card', 'declined'])(
    'whose obstacle cannot be noted is looked at a minute later: %s',
    async (why) => {
      const world = await low()
      if (why === 'no_card') {
        await world.setRenewal(false)
        await world.remove((await world.defaultCard()) ?? '')
        await world.setRenewal(true)
      } else {
        const key = keys.card(world.accountId, (await world.defaultCard()) ?? '')
        await world.ports.table.update(
          key,
          expr`SET #closed = ${true}, #declined = ${true}, #reason = ${'card_lost'}`,
        )
      }
      const notes = (_: unknown, { sk }: { sk: string }) => sk === '#PROFILE'
      const { table, lost } = losingRaces(world.ports.table, notes)
      await world.job('checkQuotas', { ...world.ports, table })
      expect(lost()).toBeGreaterThan(0)
      expect(due(world)).toBe(world.nowMs() + MINUTE_MS)
      expect((await world.account()).renewal).toBeUndefined()
      world.advance(MINUTE_MS)
      await world.job('checkQuotas')
      expect((await world.account()).renewal).toMatchObject({
        state: 'paused',
        reason: why === 'no_card' ? 'no_card' : 'card_lost',
      })
    },
  )

  test('with a card that rests is tried again once its rest is over', async () => {
    const world = await low()
    const restsUntilMs = world.nowMs() + 5 * DAY_MS
    const key = keys.card(world.accountId, (await world.defaultCard()) ?? '')
    await world.ports.table.update(key, expr`SET #restsUntilMs = ${restsUntilMs}`)
    await world.job('checkQuotas')
    expect((await world.account()).renewal).toMatchObject({
      state: 'retrying',
      reason: 'too_many_declines',
      nextAttemptAtMs: restsUntilMs,
    })
    expect(due(world)).toBe(restsUntilMs)
    world.advance(5 * DAY_MS)
    await world.job('checkQuotas')
    expect(world.charges()).toHaveLength(2)
  })
})

describe('what a payment belongs to', () => {
  async function paid() {
    const world = await held()
    const [id = ''] = Object.keys(world.stripe.state.paymentIntents)
    const payment = (await world.ports.payments.readPayment(id)) as Payment
    const owner = (over: Record<string, unknown>) =>
      ownerOfPayment(world.ports, { ...payment, ...over } as Payment)
    const examine = (over: Record<string, unknown>) =>
      examinePayment(world.ports, { ...payment, ...over } as Payment)
    return { world, payment, owner, examine }
  }

  test('is its purchase, by the stored id, whatever its metadata say', async () => {
    const { owner } = await paid()
    expect(await owner({})).toMatchObject({ kind: 'purchase', purchase: { state: 'credited' } })
    expect(await owner({ metadata: {} })).toMatchObject({ kind: 'purchase' })
  })

  test('is a purchase of ours that has no payment yet, only if it fits', async () => {
    const { world, payment, owner } = await paid()
    const down = () => Promise.reject(new Error('down'))
    await world.buy(paying(world, { createPayment: down as never }))
    world.mistakes.length = 0
    const { id, customerId } = await openPurchase(world)
    const metadata = { account: world.accountId, purchase: id, stage: 'world' }
    const fits = { id: 'pi_new', metadata, customerId, status: 'unconfirmed' }
    expect(await owner(fits)).toMatchObject({ kind: 'purchase', purchase: { id } })
    // It may still become that of the purchase, so it is no stray.
    expect(await owner({ ...fits, amountCents: 98 })).toMatchObject({ kind: 'unexplained', purchase: { id } })
    expect(await owner({ ...fits, metadata: { ...payment.metadata } })).toMatchObject({ kind: 'stray' })
  })

  test('is not the purchase that its record names, if that has another payment', async () => {
    const { world, payment } = await paid()
    const record = world.items().find(({ pk }) => pk === `PAYMENT#${payment.id}`) ?? {}
    await world.ports.table.put({ ...record, pk: 'PAYMENT#pi_new' } as never)
    expect(await recordedPurchase(world.ports, payment.id)).toMatchObject({ paymentId: payment.id })
    expect(await recordedPurchase(world.ports, 'pi_new')).toBeUndefined()
    expect(await recordedPurchase(world.ports, 'pi_none')).toBeUndefined()
  })

  test('is no lost purchase after a restore while its purchase is there', async () => {
    const { world, payment } = await paid()
    const down = () => Promise.reject(new Error('down'))
    await world.buy(paying(world, { createPayment: down as never }))
    world.mistakes.length = 0
    const { id, customerId } = await openPurchase(world)
    const metadata = { ...payment.metadata, purchase: id }
    const other = { ...payment, id: 'pi_new', metadata, customerId, amountCents: 98 } as Payment
    const restored = { ...world.ports, sessionsSinceMs: world.nowMs() }
    expect(await examinePayment(restored, { ...other, latestChargeId: undefined } as never)).toEqual({
      alarm: 'charged, but not credited; refund it in Stripe',
    })
    expect(await units(world)).toBe(1100)
  })

  test('is nothing of ours in another deployment, or with nothing that names us', async () => {
    const { world, payment, owner } = await paid()
    const id = 'pi_new'
    expect(await owner({ id, metadata: { ...payment.metadata, stage: 'other' } })).toEqual({
      kind: 'foreign',
    })
    expect(await owner({ id, metadata: {}, customerId: 'cus_other' })).toEqual({ kind: 'foreign' })
    expect(await owner({ id, metadata: { account: 'f'.repeat(24) }, customerId: undefined })).toEqual({
      kind: 'foreign',
    })
    expect(await owner({ id, metadata: { account: 'x' }, customerId: undefined })).toEqual({
      kind: 'foreign',
    })
    // A customer of ours, or an account of ours, is named.
    const unclear = { purchase: undefined, isHold: false }
    expect(await owner({ id, metadata: {} })).toEqual({ kind: 'unexplained', ...unclear })
    const { accountId } = world
    expect(await owner({ id, metadata: { account: accountId }, customerId: undefined })).toEqual({
      kind: 'unexplained',
      ...unclear,
    })
    expect(await owner({ id, metadata: { stage: 'world' } })).toEqual({ kind: 'unexplained', ...unclear })
    expect(await owner({ id, metadata: { stage: 'world' }, customerId: 'cus_other' })).toEqual({
      kind: 'foreign',
    })
  })

  test('is a hold of ours, or one that is over', async () => {
    const { world, owner, examine } = await paid()
    const holdId = 'c'.repeat(24)
    const metadata = { account: world.accountId, purchase: `hold_${holdId}`, stage: 'world' }
    const customerId = (await world.account()).customer?.id
    const of = { id: 'pi_hold', metadata, amountCents: 100, customerId }
    expect(await owner(of)).toMatchObject({ kind: 'stray', isHold: true })
    const hold = {
      id: holdId,
      accountId: world.accountId,
      purpose: 'verify',
      asked: 'pm',
      cardId: 'pm',
      customerId,
      state: 'created',
      createdAtMs: 1,
    }
    const key = keys.hold(world.accountId, holdId)
    await world.ports.table.put({ ...key, ...hold })
    expect(await owner(of)).toMatchObject({ kind: 'hold', hold: { id: holdId } })
    expect(await owner({ ...of, amountCents: 99 })).toMatchObject({ kind: 'unexplained', isHold: true })
    await world.ports.table.put({ ...key, ...hold, state: 'saved', paymentId: 'pi_hold' })
    expect(await owner({ ...of, amountCents: 99 })).toMatchObject({ kind: 'hold' })
    // A hold that took money raises an alarm, unless the money has gone back; others agree once they are over.
    const alarm = { alarm: 'a card verification took money; refund it in Stripe' }
    expect(await examine({ ...of, status: 'succeeded', latestChargeId: undefined })).toEqual(alarm)
    expect(await examine({ ...of, status: 'canceled' })).toBe('agrees')
    expect(await examine({ ...of, status: 'held' })).toBe('open')
    await world.ports.table.put({ ...key, ...hold, state: 'saved', paymentId: 'pi_other' })
    expect(await owner(of)).toMatchObject({ kind: 'stray', isHold: true })
  })

  test('agrees with its purchase, or raises an alarm that says what to do', async () => {
    const { world, examine } = await paid()
    expect(await examine({})).toBe('agrees')
    expect(await examine({ status: 'canceled' })).toEqual({
      alarm: 'credited, but not charged; check the ledger of the account',
    })
    expect(await examine({ amountCents: 98 })).toEqual({
      alarm: 'differs from its purchase; compare amount, currency, customer and metadata',
    })
    expect(await examine({ id: 'pi_new', metadata: { stage: 'other' } })).toBe('agrees')
    const item = world.items().find(({ sk }) => String(sk).startsWith('PURCHASE#')) ?? {}
    const { id } = parsePurchase(item)
    const state = (of: string) =>
      world.ports.table.update(keys.purchase(world.accountId, id), expr`SET #state = ${of}`)
    await state('saved')
    const createdMs = world.nowMs() - 50 * MINUTE_MS + 1
    expect(await examine({ createdMs })).toBe('open')
    expect(await examine({ status: 'unconfirmed', createdMs: 0 })).toBe('open')
    await state('abandoned')
    expect(await examine({ status: 'canceled' })).toBe('agrees')
    expect(await examine({})).toEqual({ alarm: 'charged, but not credited; refund it in Stripe' })
    await world.refund(0)
    expect(await examine({})).toBe('agrees')
  })
})
