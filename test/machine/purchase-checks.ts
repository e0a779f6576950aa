import assert from 'node:assert/strict'
import type Stripe from 'stripe'
import { type Profile, parseProfile } from '../../core/account/account.ts'
import { type LedgerEntry, parseEntry } from '../../core/ledger/entry.ts'
import { TAKEN_BY_OPERATOR } from '../../core/purchases/owed-units.ts'
import { type Purchase, parsePurchase } from '../../core/purchases/purchase.ts'
import { type OrderedRefund, parseRefund } from '../../core/purchases/refund.ts'
import { parseQuota, type Quota } from '../../core/quota/quota.ts'
import { renewalAt } from '../../core/quota/thresholds.ts'
import { REQUEST_KEPT_MS } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { checkPublished } from './event-watch.ts'
import {
  DISPUTED,
  GOOD,
  HOUR_MS,
  MINUTE_MS,
  type PurchaseWorld,
  type Said,
  SECOND_MS,
} from './purchase-world.ts'

/** The stored state of one account, read without port calls. */
export interface Books {
  profile: Profile
  quota: Quota
  /** The counter as stored. */
  counter: Item
  purchases: Purchase[]
  /** Refunds that an operator has ordered. */
  refunds: OrderedRefund[]
  ledger: LedgerEntry[]
  /** Types of the notices; `mails` holds the templates of the mails. */
  notices: string[]
  mails: string[]
  items: Item[]
}

export function books(world: PurchaseWorld): Books {
  const items = world.items()
  const of = (prefix: string) => items.filter(({ sk }) => String(sk).startsWith(prefix))
  const [profile] = of('#PROFILE')
  const [counter] = of('#QUOTA')
  assert.ok(profile && counter)
  return {
    profile: parseProfile(profile),
    quota: parseQuota(counter),
    counter,
    purchases: of('PURCHASE#').map(parsePurchase),
    refunds: of('REFUND#').map(parseRefund),
    ledger: of('LEDGER#')
      .map(parseEntry)
      .sort((a, b) => a.seq - b.seq),
    notices: of('NOTICE#').map(({ messageType }) => String(messageType)),
    mails: of('MAIL#').map(({ template }) => String(template)),
    items,
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0)
const count = (names: readonly string[], name: string): number => names.filter((each) => each === name).length
const OPEN = ['created', 'saved', 'action_required']

/** The id of the purchase that a charge belongs to: by the stored id, since metadata may have been edited. */
const purchaseOf = (
  purchases: readonly Purchase[],
  { payment_intent: id, metadata }: Stripe.Charge,
): string => purchases.find(({ paymentId }) => paymentId === id)?.id ?? metadata.purchase ?? ''

/** Cents of a charge that Stripe has refunded or taken back in disputes. */
function reversedAt(world: PurchaseWorld, charge: Stripe.Charge): { refunded: number; disputed: number } {
  const disputes = Object.values(world.stripe.state.disputes).filter((each) => each.charge === charge.id)
  const taken = disputes.filter(({ status }) => !status.startsWith('warning') && status !== 'won')
  const refunded = charge.amount_refunded
  return { refunded, disputed: Math.min(sum(taken.map(({ amount }) => amount)), charge.amount - refunded) }
}

/** Checks that a purchase expires only if it took no money. @throws AssertionError */
export function checkExpiry(world: PurchaseWorld, title: string): void {
  const taken = world.charges().map(({ payment_intent }) => payment_intent)
  const expiring = books(world).items.filter(
    ({ sk, ttl, paymentId }) =>
      String(sk).startsWith('PURCHASE#') && ttl !== undefined && taken.some((id) => id === paymentId),
  )
  assert.deepEqual(expiring, [], `${title}: a purchase that took money expires`)
}

/** Checks what must hold at every moment. @throws AssertionError */
export function checkAlways(world: PurchaseWorld, title: string): void {
  const { profile, quota, counter, purchases, ledger } = books(world)
  const paid = world.charges().filter((charge) => !purchaseOf(purchases, charge).startsWith('hold_'))
  checkExpiry(world, title)
  assert.deepEqual(world.stripe.mistakes, [], `${title}: mistakes of the double`)
  assert.deepEqual(world.mistakes, [], `${title}: unexpected errors`)
  assert.equal(
    new Set(paid.map((charge) => purchaseOf(purchases, charge))).size,
    paid.length,
    `${title}: a purchase was charged twice`,
  )
  assert.deepEqual(
    ledger.map(({ seq }) => seq),
    ledger.map((_, n) => n + 1),
    `${title}: gaps in the ledger`,
  )
  assert.equal(ledger.length, profile.ledgerSeq, `${title}: the last number`)
  const { status } = profile
  assert.equal(counter.x, status === 'active' ? undefined : status, `${title}: who may spend`)
  assert.equal(profile.suspension !== undefined, status === 'suspended', `${title}: the suspension`)
  const cents = sum(ledger.map(({ amountCents }) => amountCents))
  assert.equal(cents, profile.balanceCents, `${title}: the balance is not the sum of the ledger`)
  assert.ok(quota.seq <= profile.ledgerSeq, `${title}: the counter is ahead of the ledger`)
  const applied = sum(ledger.filter(({ seq }) => seq <= quota.seq).map(({ units }) => units))
  assert.equal(
    quota.left,
    applied - quota.used - quota.held,
    `${title}: units left are not those credited less those used and held`,
  )
  assert.ok(
    Number(counter.l) >= 0 && Number(counter.f) >= 0,
    `${title}: below zero: ${counter.l} + ${counter.f}`,
  )
  for (const entry of ledger.filter(({ kind }) => kind === 'payment')) {
    const charge = paid.find((each) => purchaseOf(purchases, each) === entry.purchaseId)
    assert.equal(charge?.amount, entry.amountCents, `${title}: a credit without its charge`)
  }
  const sales = ledger.filter(({ kind }) => kind === 'sale')
  assert.equal(
    new Set(sales.map(({ purchaseId }) => purchaseId)).size,
    sales.length,
    `${title}: credited twice`,
  )
  const credited = purchases.filter(({ state }) => state === 'credited')
  assert.equal(sales.length, credited.length, `${title}: credited purchases and sales`)
  for (const { id, units, amountCents } of credited) {
    const sale = sales.find(({ purchaseId }) => purchaseId === id)
    assert.deepEqual([sale?.units, sale?.amountCents], [units, -amountCents], `${title}: a sale`)
  }
  const open = purchases.filter(({ state }) => OPEN.includes(state))
  assert.ok(open.length <= 1, `${title}: two purchases are open`)
  assert.equal(profile.openPurchase, open[0]?.id, `${title}: the slot`)
  const credit = sum(
    ledger.filter(({ kind }) => kind === 'credit' || kind === 'debit').map(({ amountCents }) => amountCents),
  )
  assert.equal(profile.creditCents ?? 0, credit, `${title}: the credit is not the sum of the ledger`)
  assert.ok(credit >= 0, `${title}: more was debited than credited`)
  checkCoupons(world, title)
  checkOrders(world, title)
}

/**
 * Checks that a coupon's count is that of the open and charged purchases with it, here and elsewhere, and within its
 * limits. @throws AssertionError
 */
function checkCoupons(world: PurchaseWorld, title: string): void {
  const { items } = books(world)
  const counts = items.filter(({ pk, sk }) => String(sk).startsWith('COUPON#') && pk !== 'COUPONS')
  for (const { pk, code, used, left, limit, perAccount } of items) {
    if (pk !== 'COUPONS') continue
    const with_ = items.filter(
      ({ sk, coupon, state, ttl }) =>
        String(sk).startsWith('PURCHASE#') &&
        (coupon as Purchase['coupon'])?.code === code &&
        // One that was abandoned for good expires; of any other it is not known that it charged nothing.
        (OPEN.includes(String(state)) ||
          state === 'credited' ||
          (state === 'abandoned' && ttl === undefined)),
    )
    const of = (isOwn: boolean) =>
      sum(
        counts
          .filter((each) => each.code === code && String(each.pk).endsWith(world.accountId) === isOwn)
          .map(({ count: each }) => Number(each)),
      )
    assert.equal(of(true), with_.length, `${title}: redemptions of ${code} by the account`)
    assert.equal(used, with_.length + of(false), `${title}: redemptions of ${code}`)
    assert.equal(left, Number(limit) - Number(used), `${title}: redemptions of ${code} that are left`)
    assert.ok(
      Number(left) >= 0 && with_.length <= Number(perAccount),
      `${title}: ${code} was redeemed too often`,
    )
    for (const purchase of with_.map(parsePurchase)) {
      const { discountCents = 0, bonusUnits = 0 } = purchase.coupon ?? {}
      const { priceCents = 0, units = 0 } = purchase.plan ?? {}
      const literal = [purchase.amountCents, purchase.units]
      assert.deepEqual(literal, [priceCents - discountCents, units + bonusUnits], `${title}: ${code} given`)
      assert.ok(purchase.amountCents >= 50, `${title}: a price below Stripe's minimum`)
    }
  }
}

/**
 * Checks that each order of an operator was carried out once, and each answer is true. @throws AssertionError
 */
function checkOrders(world: PurchaseWorld, title: string): void {
  const { ledger, refunds } = books(world)
  const madeAt = Object.values(world.stripe.state.refunds).map(({ metadata }) => metadata?.refund ?? '')
  for (const { id, state } of refunds) {
    const times = count(madeAt, id)
    assert.ok(times <= 1, `${title}: one order was refunded ${times} times`)
    if (state === 'refused') assert.equal(times, 0, `${title}: a refund was made and called refused`)
    if (state === 'made') assert.equal(times, 1, `${title}: a refund was called made and is not`)
  }
  for (const { order, made, answer } of world.ordered) {
    if (made === undefined) continue
    if (order.kind === 'refund') {
      const refund = refunds.find(({ id }) => id === made)
      assert.equal(refund?.purchaseId, order.purchaseId, `${title}: a refund was answered and is not there`)
      if (answer === 'made') assert.equal(refund?.state, 'made', `${title}: a refund was answered made`)
      continue
    }
    const entry = ledger.find(({ seq }) => String(seq) === made)
    assert.equal(entry?.kind, order.kind, `${title}: an entry was answered and is not there`)
    if (order.kind === 'grant') assert.equal(entry?.units, order.units, `${title}: units granted`)
    if (order.kind === 'take') assert.ok((entry?.units ?? 0) >= -order.units, `${title}: units taken`)
    if (order.kind === 'credit') assert.equal(entry?.amountCents, order.amountCents, `${title}: credited`)
    if (order.kind === 'debit') assert.equal(entry?.amountCents, -order.amountCents, `${title}: debited`)
  }
  checkRepeats(world, title)
}

/** Checks that orders of one key within a day did one thing, and all others one thing each. */
function checkRepeats({ ordered }: PurchaseWorld, title: string): void {
  const answered = ordered.filter(({ made }) => made !== undefined)
  for (const [at, one] of answered.entries())
    for (const other of answered.slice(at + 1)) {
      if ((one.order.kind === 'refund') !== (other.order.kind === 'refund')) continue
      const isRepeat = one.key !== undefined && one.key === other.key
      if (isRepeat && Math.abs(one.atMs - other.atMs) >= 24 * HOUR_MS) continue
      const what = isRepeat ? 'one key did two things' : 'two orders did one thing'
      assert.equal(one.made === other.made, isRepeat, `${title}: ${what}`)
    }
}

/** Checks what must hold once nothing is under way. @throws AssertionError */
export function checkSettled(world: PurchaseWorld, title: string): void {
  checkAlways(world, title)
  const { profile, quota, purchases, ledger, notices, mails, items, counter } = books(world)
  assert.deepEqual(world.alarms, [], `${title}: alarms`)
  assert.equal(profile.openPurchase, undefined, `${title}: the slot is taken`)
  assert.equal(quota.seq, profile.ledgerSeq, `${title}: the counter is behind the ledger`)
  assert.equal(quota.held, 0, `${title}: units are held though every lease has expired`)
  if (profile.owed) assert.equal(quota.left, 0, `${title}: units are left though units are owed`)
  assert.deepEqual(
    purchases.filter(({ state, finished }) => OPEN.includes(state) || (state === 'credited' && !finished)),
    [],
    `${title}: not finished`,
  )
  const due = items.filter(({ sk, due: at }) => String(sk).startsWith('PURCHASE#') && at !== undefined)
  assert.deepEqual(due, [], `${title}: still due`)
  const unsettled = items.filter(
    ({ sk, due: at, state, openRefund }) =>
      openRefund !== undefined ||
      (String(sk).startsWith('REFUND#') && (at !== undefined || state === 'created')),
  )
  assert.deepEqual(unsettled, [], `${title}: a refund is not settled`)

  const paid = world.charges()
  for (const charge of paid) checkCharge(world, charge, title)
  assert.equal(paid.length, count(kindsOf(ledger), 'payment'), `${title}: charges and credits differ`)
  for (const payment of Object.values(world.stripe.state.paymentIntents)) {
    const purchase = purchases.find(
      ({ id, paymentId }) => paymentId === payment.id || id === payment.metadata.purchase,
    )
    // A retry may have created a second payment. Its id is stored nowhere, so nobody can confirm it.
    const stray = payment.status === 'requires_confirmation' && payment.id !== purchase?.paymentId
    const over = payment.status === 'succeeded' || payment.status === 'canceled'
    assert.ok(over || stray, `${title}: a payment is left open: ${payment.status}`)
  }

  const last = ledger.findLast(({ size }) => size !== undefined)
  assert.equal(quota.size, last?.size ?? 0, `${title}: the size of the bundle`)
  const held = purchases.find(({ id }) => id === last?.purchaseId)?.bundle
  assert.equal(profile.bundle, held, `${title}: the bundle held`)
  assert.equal(profile.paid, last !== undefined, `${title}: paid`)
  const debts = purchases.map(({ returnedCents, refundedCents, disputedCents }) =>
    Math.min(0, returnedCents - refundedCents - disputedCents),
  )
  const balance = profile.balanceCents - (profile.creditCents ?? 0)
  assert.equal(balance, sum(debts), `${title}: the balance is what is owed, and what was credited`)
  const owed = Object.keys(profile.owed ?? {}).filter((key) => key !== TAKEN_BY_OPERATOR)
  assert.equal(balance < 0, owed.length > 0 && sum(debts) < 0, `${title}: owed`)

  const credits = purchases.filter(({ state }) => state === 'credited')
  const renewals = credits.filter(({ kind }) => kind === 'renewal').length
  assert.equal(count(notices, 'renewed'), renewals, `${title}: notices of renewals`)
  assert.equal(count(mails, 'renewed'), renewals, `${title}: mails of renewals`)
  assert.equal(count(notices, 'purchased'), credits.length - renewals, `${title}: notices of purchases`)
  const declined = purchases.filter(({ kind, state }) => kind === 'renewal' && state === 'declined').length
  assert.equal(
    count(mails, 'renewal-declined'),
    count(notices, 'renewal_declined'),
    `${title}: mails of declines`,
  )
  assert.ok(
    count(mails, 'renewal-declined') <= declined,
    `${title}: a mail about a decline that never happened`,
  )
  assert.equal(
    count(mails, 'renewal-action'),
    count(notices, 'renewal_action'),
    `${title}: mails to authenticate`,
  )
  const tried = purchases.filter(({ kind }) => kind === 'renewal').length
  assert.ok(count(mails, 'renewal-action') <= tried, `${title}: two mails to authenticate`)
  const low = count(notices, 'low_quota')
  assert.ok(
    low <= world.crossings.size,
    `${title}: ${low} low-quota notices, ${world.crossings.size} crossings`,
  )
  assert.equal(count(mails, 'low-quota'), low, `${title}: mails of low quota`)
  const types = world.told.map(({ id, type }) => `${type} ${id}`)
  const lows = [...new Set(types)].filter((each) => each.startsWith('quota.low ')).length
  assert.ok(lows >= low && lows <= world.crossings.size, `${title}: ${lows} events of low quota`)
  assert.equal(counter.nx, undefined, `${title}: the event of exhausted units waits`)
  if (profile.flags.lowQuotaNotification && profile.bundle !== undefined && world.crossings.size > 0) {
    assert.equal(counter.n, undefined, `${title}: a notice waits`)
  }
  checkSuspensions(world, title)
  checkAlerts(world, title)
  checkPublished(world.told, items, title)
  for (const each of world.said) checkSaid(world, each, title)
  checkRenewed(world, title)
}

/** Checks that each suspension and its end were told, announced and recorded once, in turn. */
function checkSuspensions(world: PurchaseWorld, title: string): void {
  const { profile, notices, items } = books(world)
  const of = (prefix: string, attribute: string) =>
    items.flatMap((item) => (String(item.sk).startsWith(prefix) ? [String(item[attribute])] : []))
  const told = ['suspended', 'resumed'].map((event) => [
    count(notices, event),
    items.filter(({ values }) => Object(values).event === event).length,
    count(of('OUTEVENT#', 'type'), `account.${event}`),
    count(of('AUDIT#', 'action'), `operator.${event}`),
  ])
  const [[suspended = 0] = [], [resumed = 0] = []] = told
  assert.deepEqual(told, [Array(4).fill(suspended), Array(4).fill(resumed)], `${title}: told of suspensions`)
  assert.equal(suspended - resumed, profile.status === 'suspended' ? 1 : 0, `${title}: suspensions`)
}

/** Checks that each crossing of an alert was told once by notice, mail and event. */
function checkAlerts(world: PurchaseWorld, title: string): void {
  const { notices, mails, items } = books(world)
  const crossed = world.alertCrossings.length
  assert.equal(count(notices, 'quota_alert'), crossed, `${title}: notices of alerts`)
  assert.equal(count(mails, 'quota-alert'), crossed, `${title}: mails of alerts`)
  assert.equal(new Set(world.published).size, crossed, `${title}: events of alerts`)
  const due = items.filter(({ sk, due: at }) => String(sk).startsWith('ALERT#') && at !== undefined)
  assert.deepEqual(due, [], `${title}: an alert waits`)
}

const kindsOf = (ledger: readonly LedgerEntry[]): string[] => ledger.map(({ kind }) => kind)

/** Checks that a charge is credited once, and that the ledger has its refunds and disputes. */
function checkCharge(world: PurchaseWorld, charge: Stripe.Charge, title: string): void {
  const { purchases, ledger, profile } = books(world)
  const purchase = purchases.find(({ id }) => id === purchaseOf(purchases, charge))
  assert.equal(purchase?.state, 'credited', `${title}: charged and not credited`)
  if (!purchase) return
  assert.equal(purchase.paymentId, charge.payment_intent, `${title}: credited by another payment`)
  const { refunded, disputed } = reversedAt(world, charge)
  const has = [purchase.refundedCents, purchase.disputedCents]
  assert.deepEqual(has, [refunded, disputed], `${title}: refunded and disputed`)
  const mine = ledger.filter(({ purchaseId }) => purchaseId === purchase.id)
  const of = (...kinds: string[]) => mine.filter(({ kind }) => kinds.includes(kind))
  const cents = (...kinds: string[]) => sum(of(...kinds).map(({ amountCents }) => amountCents))
  assert.equal(cents('refund', 'refund_failed') + refunded, 0, `${title}: refunds in the ledger`)
  assert.equal(cents('dispute', 'dispute_won') + disputed, 0, `${title}: disputes in the ledger`)
  const returned = sum(of('return', 'restore').map(({ units }) => 0 - units))
  assert.equal(purchase.returnedUnits, returned, `${title}: units taken back`)
  assert.equal(purchase.returnedCents, cents('return', 'restore'), `${title}: what they are worth`)
  const back = refunded + disputed
  const wanted =
    back >= purchase.amountCents ? purchase.units : Math.floor((purchase.units * back) / purchase.amountCents)
  assert.equal(profile.owed?.[purchase.id] ?? 0, wanted - returned, `${title}: units owed`)
}

/** Checks that an answer to a client is true. */
function checkSaid(world: PurchaseWorld, said: Said, title: string): void {
  const { kind, key, answer, fromMs } = said
  if (answer !== 'paid' && answer !== 'card_declined') return
  const { purchases } = books(world)
  const state = answer === 'paid' ? 'credited' : 'declined'
  // A second click within ten seconds after the end of a purchase gets the answer of the first click.
  const fits = (purchase: Purchase) =>
    purchase.state === state &&
    (purchase.kind === kind || purchase.kind === 'renewal') &&
    (answer !== 'paid' || creditedNear(world, purchase, said) || key !== undefined)
  const isRefused = answer === 'card_declined' && isRefusedAtOnce(world, said)
  assert.ok(
    isRefused || purchases.some(fits),
    `${title}: ${kind} was answered ${answer}, and none is ${state}`,
  )
  if (key === undefined) return
  // An Idempotency-Key is remembered for at least a day.
  const same = world.said.filter((each) => each.key === key && Math.abs(each.toMs - fromMs) < 24 * HOUR_MS)
  const told = same.map((each) => each.answer)
  const both = told.includes('paid') && told.includes('card_declined')
  assert.ok(!both, `${title}: one key was answered paid and declined`)
}

/**
 * Whether a purchase was credited during a request or within ten seconds of it. A sign-up or a change that is
 * sent again within a day is a repeat, as long as nothing was bought since.
 */
function creditedNear(world: PurchaseWorld, { id }: Purchase, { kind, newest, fromMs, toMs }: Said): boolean {
  const atMs = world.creditedAtMs.get(id) ?? 0
  const forMs = kind !== 'buy' && newest.includes(id) ? REQUEST_KEPT_MS : 10 * SECOND_MS
  return atMs >= fromMs - forMs && atMs <= toMs + forMs
}

/** Whether a card is declined before anything begins: it was reported as misused, or its bank closed it. */
function isRefusedAtOnce(world: PurchaseWorld, { cards, toMs }: Said): boolean {
  const { stripe } = world
  if (books(world).items.some(({ sk }) => sk === '#FINGERPRINT')) return true
  const { charges, disputes, fraudWarnings } = stripe.state
  if (Object.keys({ ...disputes, ...fraudWarnings }).length > 0) return true
  return Object.values(charges).some(
    ({ outcome, created, payment_method: id, payment_method_details: details }) =>
      outcome?.advice_code === 'do_not_try_again' &&
      created * SECOND_MS <= toMs &&
      (cards.includes(id ?? '') || cards.includes(details?.card?.fingerprint ?? '')),
  )
}

/** Checks that a low bundle either renews or has a stored reason why not. */
function checkRenewed(world: PurchaseWorld, title: string): void {
  const { profile, quota, counter, items } = books(world)
  const customer = items.find(({ sk }) => sk === '#CUSTOMER')
  const low = quota.size > 0 && (quota.left < renewalAt(quota) || counter.k === counter.s)
  if (!low || profile.status !== 'active' || !profile.flags.bundleAutoRenewal) return
  const { renewal } = profile
  const stands = renewal !== undefined && renewal.cardId === customer?.defaultCardId
  assert.ok(stands, `${title}: the bundle is low and does not renew`)
  if (renewal.state === 'paused') return
  assert.ok(counter.due !== undefined, `${title}: the renewal waits, but no job will look at it`)
  const next = renewal.nextAttemptAtMs ?? 0
  assert.ok(
    Number(counter.dueAtMs) <= next + MINUTE_MS,
    `${title}: the job is due later than the next attempt`,
  )
}

const ROUNDS_MS = [2, 11, 25 * 60, 11, 2, 25 * 60, 11, 2, 25 * 60, 11, 2].map(
  (minutes) => minutes * MINUTE_MS,
)

/**
 * Delivers events, runs jobs and lets the customers' time run out; then checks that nothing is left.
 * @throws AssertionError
 */
export async function settle(world: PurchaseWorld, title: string): Promise<void> {
  world.stripe.faults.clear()
  world.catchUpClock()
  // Otherwise a card whose every charge is disputed would renew the bundle without end.
  for (const memory of Object.values(world.stripe.state.cards)) {
    if (memory.number === DISPUTED) memory.number = GOOD
  }
  let failed = 0
  for (const waitMs of ROUNDS_MS) {
    world.advance(waitMs)
    const refused = await world.deliver()
    failed = (await world.jobs()) + refused
    checkAlways(world, title)
    if (waitMs > MINUTE_MS * 10 && isQuiet(world)) break
  }
  await world.deliver()
  assert.equal(failed, 0, `${title}: a job or an event failed with nothing broken`)
  assert.equal(world.waiting().length, 0, `${title}: events refused`)
  checkSettled(world, title)
}

function isQuiet(world: PurchaseWorld): boolean {
  const { profile, items, counter } = books(world)
  const busy =
    items.some(
      ({ sk, due }) => /^(PURCHASE|REFUND|HOLD|ALERT|OUTEVENT)#/.test(String(sk)) && due !== undefined,
    ) ||
    (counter.due !== undefined && Number(counter.dueAtMs) <= world.nowMs() + MINUTE_MS)
  return profile.openPurchase === undefined && !busy
}
