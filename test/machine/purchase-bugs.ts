// biome-ignore-all lint/suspicious/noTemplateCurlyInString: patches of sources that have them

import { keepCard } from '../../core/cards/keep-card.ts'
import { applyFraudReport } from '../../core/cards/report-fraud.ts'
import { giveBackWrites } from '../../core/coupons/redeem.ts'
import { ledgerWrites } from '../../core/ledger/entry.ts'
import { advancePurchase } from '../../core/purchases/advance.ts'
import { beginPurchase } from '../../core/purchases/begin.ts'
import { buyBundle } from '../../core/purchases/buy.ts'
import { creditPurchase } from '../../core/purchases/credit.ts'
import { closePaymentRecord } from '../../core/purchases/payment-record.ts'
import { purchaseOf } from '../../core/purchases/purchase.ts'
import { advanceRefund } from '../../core/purchases/refund.ts'
import { applyReversal } from '../../core/purchases/reversal.ts'
import { cancelPurchase, endPurchase, settlePurchase } from '../../core/purchases/settle.ts'
import { handOverAlerts } from '../../core/quota/crossed-alerts.ts'
import { trialClaim } from '../../core/quota/trial.ts'
import { decideTrial } from '../../core/quota/trial-card.ts'
import { isLeased } from '../../core/table/lease.ts'
import { writeAll, writeUnlessDone } from '../../core/table/write-all.ts'
import type { Bug } from './patch.ts'
import type { PurchaseBreak } from './purchase-faults.ts'
import { breaksOf, type Flow, failuresOf, flows, type Mode, play } from './purchase-flows.ts'
import { meetTwo } from './purchase-pairs.ts'
import {
  alertMeanwhile,
  allowedOnce,
  backoff,
  cap,
  changedPayment,
  choseMeanwhile,
  chosenBelow,
  chosenBundle,
  closedCard,
  crossings,
  declinedAtOnce,
  detachedUnseen,
  expiredLink,
  fiftyAtOnce,
  forbidden,
  forbiddenMeanwhile,
  givenUp,
  heldBackByDay,
  heldBackByHour,
  indebted,
  longOutage,
  lowAtCap,
  madeUpLink,
  neverRetry,
  otherDefaultCard,
  otherReversal,
  outage,
  promised,
  refunded,
  refusedLarge,
  refusedOnce,
  replacedByNetwork,
  reportedCard,
  restoredMeanwhile,
  type Scenario,
  switchedOffInOutage,
  tiredCard,
} from './purchase-scenarios.ts'
import { HOUR_MS, type Purchases } from './purchase-world.ts'
import { reconciled, type reconciliations } from './reconcile-scenarios.ts'

/** Plays scenarios of the other files with the given functions. @returns the messages of the failures. */
type Finder = (functions: Purchases) => Promise<string[]>

const unbroken =
  (flow: Flow, mode: Mode): Finder =>
  (functions) =>
    failuresOf([mode], () => play(flow, mode, { functions }))

const broken =
  (flow: Flow, mode: Mode, kind: PurchaseBreak['kind'] = 'crash-after', afterMs = 0): Finder =>
  async (functions) => {
    const { calls } = await play(flow, mode)
    return failuresOf(breaksOf(calls, [kind]), (trouble) =>
      play(flow, mode, { ...trouble, afterMs, functions }),
    )
  }

/** Crashes the process right after the confirmation, then breaks each call of the recovery. */
const brokenAfter =
  (flow: Flow, mode: Mode): Finder =>
  async (functions) => {
    const { calls } = await play(flow, mode)
    const breaks: PurchaseBreak[] = [
      { at: calls.indexOf('payments.confirmPayment') + 1, kind: 'crash-after' },
    ]
    const { callsAfter } = await play(flow, mode, { breaks })
    const troubles = breaksOf(callsAfter, ['error-before'])
    return failuresOf(troubles, ({ breaks: after, name }) =>
      play(flow, mode, { breaks, after, name, functions }),
    )
  }

const met =
  (scene: string, first: string, second: string): Finder =>
  (functions) =>
    meetTwo(scene, [first, second], functions)

const failed =
  (scenario: Scenario): Finder =>
  (functions) =>
    failuresOf([scenario], (each) => each(functions))

const unreconciled =
  (title: keyof typeof reconciliations): Finder =>
  (functions) =>
    failuresOf([title], () => reconciled(title)(functions))
/** The list of what the decision about a renewal reads, as `core/purchases/renewal.ts` has it. */
const DECISION_FIELDS = `[
  'status', 'flags', 'bundle', 'plan', 'renewalBundle', 'renewalPlan', 'openPurchase', 'renewal', 'owed', 'renewed',
  'monthlyCapCents', 'maxRenewalsPerHour', 'maxRenewalsPerDay',
]`

const BUNDLE = 'the account has a bundle'
const LOW = 'a renewal is due'
const COUPON = 'one redemption of a coupon is left'
const DISPUTED_ELSEWHERE = 'another account disputes payments with the cards'
const leftAfter = (call: number) => `a buy crashed after its call ${call}`

/** The event is announced once too, so a notice that is given twice takes a second mistake. */
const ANNOUNCED_EACH_TIME = {
  find: "announce(deps, accountId, 'quota.low', { left, bundleUnits: size }, once)",
  put: "announce(deps, accountId, 'quota.low', { left, bundleUnits: size })",
}

/** No purchase looks at what other accounts have done with the card. */
const buysWithBlocked = {
  near: advancePurchase,
  find: '(record && numberRefusal(record, deps.clock.nowMs())) ?? (await blockRefusal(deps, cardFingerprint, accountId))',
  put: 'record && numberRefusal(record, deps.clock.nowMs())',
}

export const purchaseBugs: readonly (Bug & { title: string; foundBy: Finder })[] = [
  // --- Charging ---
  {
    title: 'a confirmation that timed out is treated as a decline',
    find: "payment.status === 'unknown' ? pending(deps, purchase, payment.cause)",
    put: "payment.status === 'unknown' ? end(deps, purchase, { reason: 'declined', retry: 'retryable' })",
    using: { end: endPurchase },
    namesFrom: ["end(deps, purchase, { reason: 'card_unusable', retry: 'never' })"],
    foundBy: broken(flows.buy, 'jobs', 'error-after'),
  },
  {
    title: 'an outage is treated as a decline of a renewal',
    near: advancePurchase,
    find: [
      "if (waiting === 'customer' && rateLimitOf(error)) await promisePurchase(deps, purchase)",
      'return pending(deps, purchase, error)',
    ],
    put: [
      "if (waiting === 'customer' && rateLimitOf(error)) await promisePurchase(deps, purchase)",
      "return { status: 'declined' }",
    ],
    namesFrom: ["{ status: 'credited', purchase: saved }"],
    foundBy: broken(flows.buy, 'jobs', 'error-after'),
  },
  {
    title: 'a payment is confirmed before its id is saved',
    find: ['const saved = await save(deps, purchase, payment)', "if (saved === 'not wanted') {"],
    put: [
      "await deps.payments.confirmPayment(payment.id, 'purchase')",
      'const saved = await save(deps, purchase, payment)',
      "if (saved === 'not wanted') {",
    ],
    more: [{ find: 'if (isLeased(deps, purchase)) return undefined', put: 'return undefined' }],
    namesFrom: [
      "await deps.payments.confirmPayment(paymentId, 'purchase', cardId)",
      'if (saved.paymentId !== payment.id) await deps.payments.cancelPayment(payment.id)',
    ],
    foundBy: broken(flows.buy, 'client', 'crash-after', 25 * HOUR_MS),
  },
  {
    title: 'a cancellation does not check whether the payment was confirmed meanwhile',
    find: "if (fenced.status !== 'canceled') return settlePurchase(deps, purchase, fenced)",
    put: '',
    more: [
      {
        find: "if: purchase.paymentId === undefined ? expr`#state = ${'created'}` : stillOpen",
        put: 'if: stillOpen',
      },
    ],
    foundBy: met(leftAfter(3), 'settle-payments', 'the same buy, crashed once it is confirmed'),
  },
  {
    title: 'a purchase is abandoned although its payment id was saved meanwhile',
    find: "if: purchase.paymentId === undefined ? expr`#state = ${'created'}` : stillOpen",
    put: 'if: stillOpen',
    foundBy: met(leftAfter(2), 'settle-payments', 'the same buy, crashed once it is confirmed'),
  },
  {
    title: 'an account can have two open purchases',
    find: "expr`#status = ${'active'} AND attribute_not_exists(#openPurchase)`",
    put: "expr`#status = ${'active'}`",
    foundBy: failed(fiftyAtOnce((n) => `key-${n}`)),
  },
  {
    title: 'a request that read the account before the last purchase can open another purchase',
    find: "['emailVerified', 'bundle', 'plan', 'lastPurchase']",
    put: "['emailVerified', 'bundle', 'plan']",
    foundBy: met(BUNDLE, 'buy', 'buy'),
  },
  {
    title: 'a deactivated account keeps a payment that waits for 3-D Secure',
    find: 'await settleAbandonedPurchase(deps, open, true)\n    await stopVerification',
    put: 'await stopVerification',
    foundBy: met('a buy waits for 3-D Secure', 'deactivate', 'buy'),
  },
  {
    title: 'a suspended account keeps a payment that waits for 3-D Secure',
    find: [
      'const { account, suspended } = await changeAny(deps, accountId, (each) => suspendOnce(deps, each, input))',
      'await stopPayments(deps, account)',
    ],
    put: 'const { account, suspended } = await changeAny(deps, accountId, (each) => suspendOnce(deps, each, input))',
    foundBy: met('a buy waits for 3-D Secure', 'suspend', 'buy'),
  },
  {
    title: 'the keys of a suspended account go on spending',
    find: "{ update: keys.quota(account.id), set: expr`SET #x = ${'suspended'}` },",
    put: '',
    foundBy: unbroken(flows.suspend, 'jobs'),
  },
  {
    title: 'a suspension that is sent again is told again',
    find: "if (account.status === 'suspended') return { account, suspended: account }",
    put: '',
    foundBy: broken(flows.suspend, 'client', 'error-after'),
  },
  {
    title: 'a renewal that waited for the end of a suspension is forgotten',
    find: "bundle === undefined ? expr`REMOVE #x` : join([expr`SET `, renewalDue(deps, id), expr` REMOVE #x`], '')",
    put: 'expr`REMOVE #x`',
    foundBy: unbroken(flows.resume, 'jobs'),
  },
  {
    title: 'a second click starts a second purchase',
    find: 'Math.abs(deps.clock.nowMs() - last.atMs) < (isHeldBy(last, order) ? REQUEST_KEPT_MS : SAME_CLICK_MS)',
    put: 'Math.abs(deps.clock.nowMs() - last.atMs) < 0',
    foundBy: broken(flows.buy, 'click'),
  },
  {
    title: 'an Idempotency-Key is not stored with its purchase',
    near: beginPurchase,
    find: '...(key ? [remember(deps, purchase.accountId, key, purchase.id)] : [])',
    put: '...[]',
    foundBy: broken(flows.buy, 'client'),
  },
  {
    title: 'two requests with one key both store it',
    find: "if: replaces === undefined ? free : join([free, expr`#beganId = ${replaces}`], ' OR ')",
    put: '...{}',
    more: [
      {
        find: "['emailVerified', 'bundle', 'plan', 'lastPurchase']",
        put: "['emailVerified', 'bundle', 'plan']",
      },
    ],
    foundBy: met(BUNDLE, 'buy with a key', 'buy with a key'),
  },
  {
    title: 'an abandoned request cannot be retried with its key',
    find: "const again = !earlier || earlier.state === 'abandoned'",
    put: 'const again = !earlier',
    foundBy: failed(givenUp),
  },
  {
    title: 'an open purchase does not block a request with another key',
    find: "if (open.state !== 'action_required' && !isPromised && isLeased(deps, open)) throw new DomainError('purchase_open')",
    put: 'if (open) await end(deps, open, undefined)',
    using: { end: endPurchase },
    foundBy: failed(fiftyAtOnce((n) => `key-${n}`)),
  },
  // --- Coupons ---
  {
    title: 'a redemption of a coupon is not counted',
    find: '...(order.coupon ? redeemWrites(order.coupon, purchase) : [])',
    put: '...[]',
    foundBy: unbroken(flows.buyCoupon, 'both'),
  },
  {
    title: 'a coupon is redeemed once more than it may be',
    find: 'expr`#left > ${0} AND attribute_not_exists(#stoppedAtMs) AND #fromMs <= ${createdAtMs} AND #toMs > ${createdAtMs}`',
    put: 'expr`attribute_not_exists(#stoppedAtMs) AND #fromMs <= ${createdAtMs} AND #toMs > ${createdAtMs}`',
    foundBy: met(COUPON, 'buy with the coupon', 'somebody else with the coupon'),
  },
  {
    title: 'a redemption is not given back by a purchase that ends uncharged',
    find: "...(unclear === 'unmatched' ? [] : giveBackWrites(accountId, purchase.coupon))",
    put: '...[]',
    foundBy: unbroken(flows.signUpCouponLeft, 'jobs'),
  },
  {
    title: 'a redemption is given back before it is known that nothing is charged',
    near: settlePurchase,
    find: "...(kind === 'renewal' ? renewalNeedsAuthentication(deps, profile, purchase) : []), ...(kind === 'renewal' ? markDeclined(accountId, card, AUTHENTICATION_REQUIRED) : [])",
    put: "...(kind === 'renewal' ? renewalNeedsAuthentication(deps, profile, purchase) : giveBackWrites(accountId, purchase.coupon)), ...(kind === 'renewal' ? markDeclined(accountId, card, AUTHENTICATION_REQUIRED) : [])",
    namesFrom: ['giveBackWrites(accountId, purchase.coupon)'],
    using: { giveBackWrites },
    more: [
      {
        find: "...(unclear === 'unmatched' ? [] : giveBackWrites(accountId, purchase.coupon))",
        put: '...[]',
      },
    ],
    foundBy: unbroken(flows.signUpCouponLeft, 'jobs'),
  },
  {
    title: 'a coupon takes nothing off the price that is charged',
    find: [
      'amountCents: bundle.priceCents - discountCents,',
      '...(coupon && { coupon: { code: coupon.code, discountCents, bonusUnits } })',
    ],
    put: [
      'amountCents: bundle.priceCents,',
      '...(coupon && { coupon: { code: coupon.code, discountCents, bonusUnits } })',
    ],
    foundBy: unbroken(flows.buyCoupon, 'both'),
  },
  // --- Rate limits and outages ---
  {
    title: 'a call that a rate limit refused is treated as a decline',
    find: "if (waiting === 'customer' && rateLimitOf(error)) await promisePurchase(deps, purchase)",
    put: "if (rateLimitOf(error)) return end(deps, purchase, { reason: 'declined', retry: 'retryable' })",
    using: { end: endPurchase },
    namesFrom: ["end(deps, purchase, { reason: 'card_unusable', retry: 'never' })"],
    foundBy: failed(outage('POST /v1/payment_intents/*/confirm')),
  },
  {
    title: 'a renewal that an outage stopped is abandoned and begun again',
    find: "if (purchase.kind !== 'renewal' || isLeased(deps, purchase)) return false",
    put: 'return false',
    foundBy: failed(longOutage('POST /v1/payment_intents/*/confirm', '429')),
  },
  {
    title: 'a renewal that an outage stopped is resumed although it was switched off',
    find: "if (decision.act !== 'renew' || decision.bundle.name !== bundle) return false",
    put: "if (decision.act !== 'renew') return true",
    foundBy: failed(switchedOffInOutage),
  },
  {
    title: 'a purchase of which its customer was told that it is pending is abandoned',
    find: 'return isKept && (await isActive(deps, purchase.accountId))',
    put: 'return false',
    foundBy: failed(promised('POST /v1/payment_intents/*/confirm')),
  },
  {
    title: 'a purchase whose payment took money expires',
    find: "...(unclear === 'unmatched' ? [] : [expr`#ttl = ${ttl}`])",
    put: 'expr`#ttl = ${ttl}`',
    foundBy: failed(changedPayment({ amount: 50 })),
  },
  // --- Settling ---
  {
    title: 'a decline leaves its payment open',
    near: settlePurchase,
    find: ["case 'cancel':", 'return fence(deps, purchase, payment, marks)'],
    put: [
      "case 'cancel':",
      "return payment.status === 'declined' ? end(deps, purchase, payment.decline, marks) : fence(deps, purchase, payment, marks)",
    ],
    using: { end: endPurchase },
    namesFrom: ["payment.status === 'canceled' ? payment.decline : undefined"],
    more: [
      // The reconciliation would cancel it, too.
      {
        find: [
          'const { status } = await deps.payments.cancelPayment(payment.id)',
          "return status === 'canceled' ? 'agrees' : 'open'",
        ],
        put: "return 'agrees'",
      },
    ],
    foundBy: unbroken(flows.buyDeclined, 'jobs'),
  },
  {
    title: 'a payment that can no longer be canceled is abandoned',
    find: [
      "if (open) throw new DomainError('temporarily_unavailable')",
      'return settlePurchase(deps, purchase, fenced, marks)',
    ],
    put: [
      "if (open) throw new DomainError('temporarily_unavailable')",
      'return end(deps, purchase, undefined, marks)',
    ],
    using: { end: endPurchase },
    foundBy: met(
      'a buy waits for 3-D Secure',
      'the jobs a day later',
      '3-D Secure succeeds, and its event is lost',
    ),
  },
  {
    title: 'an event abandons a payment that its request is about to confirm',
    near: settlePurchase,
    find: [
      '{ payment, matches: isPayment(payment, purchase, deps.paymentScope),',
      'leased: isLeased(deps, purchase),',
    ],
    put: ['{ payment, matches: isPayment(payment, purchase, deps.paymentScope),', 'leased: !deps,'],
    // Of the types that we subscribe to, none comes while a payment waits to be confirmed.
    more: [
      {
        find: 'if (!work || event.objectId === undefined || !subscribed.has(event.type)) return false',
        put: 'if (!work || event.objectId === undefined) return false',
      },
    ],
    foundBy: met(BUNDLE, 'buy', 'every event, including types without a subscription'),
  },
  {
    title: 'a payment that waits for 3-D Secure is treated as declined',
    near: settlePurchase,
    find: ["case 'ask':", 'return ask(deps, purchase, payment, marks)'],
    put: ["case 'ask':", 'return fence(deps, purchase, payment, marks)'],
    using: { fence: cancelPurchase },
    foundBy: unbroken(flows.signUp3ds, 'webhooks'),
  },
  {
    title: 'the amount is not compared',
    find: "payment.amountCents === purchase.amountCents && (payment.status !== 'succeeded' || payment.receivedCents === purchase.amountCents) &&",
    put: '',
    foundBy: failed(changedPayment({ amount: 50 })),
  },
  {
    title: 'the currency is not compared',
    near: purchaseOf,
    find: 'payment.currency === purchase.currency.toLowerCase() &&',
    put: '',
    foundBy: failed(changedPayment({ currency: 'eur' })),
  },
  {
    title: 'a purchase that is already closed can be credited',
    find: '{ put: { ...keys.purchase(accountId, id), ...credited, ...due }, if: stillOpen }',
    put: '{ put: { ...keys.purchase(accountId, id), ...credited, ...due } }',
    foundBy: met(BUNDLE, 'buy', 'events'),
  },
  {
    title: 'ledger numbers are not guarded',
    near: creditPurchase,
    find: "if: join([expr`#ledgerSeq = ${profile.ledgerSeq}`, change.unchanged], ' AND ')",
    put: 'if: change.unchanged',
    more: [{ near: ledgerWrites, find: 'if: expr`attribute_not_exists(pk)`', put: '...{}' }],
    foundBy: met(BUNDLE, 'buy', 'refund'),
  },
  {
    title: 'the job does not finish credited purchases',
    find: ['await finish(deps, outcome.purchase)', "return 'credited'"],
    put: "return 'credited'",
    foundBy: broken(flows.buy, 'jobs'),
  },
  {
    title: 'a credited purchase is no longer due before its units are in the counter',
    find: '{ put: { ...keys.purchase(accountId, id), ...credited, ...due }, if: stillOpen }',
    put: '{ put: { ...keys.purchase(accountId, id), ...credited }, if: stillOpen }',
    foundBy: broken(flows.buy, 'jobs'),
  },
  {
    title: 'the card of a sign-up is not put on file',
    find: "if (kind === 'signup' && !finished",
    put: "if (kind === 'buy' && !finished",
    foundBy: unbroken(flows.signUp, 'jobs'),
  },
  {
    title: 'units are applied twice',
    find: 'expr`#s = ${quota.seq} AND #f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    put: 'expr`#f = ${quota.floor} AND #l >= ${Math.max(0, -delta)}`',
    foundBy: met(leftAfter(8), 'settle-payments', 'events'),
  },
  {
    title: 'a consume between read and write is lost',
    find: [
      'const { floor } = balanceParts(quota.left + to.units, { ...quota, ...to })',
      'const delta = to.units + quota.floor - floor',
      'return { set: setRemove([expr`#l = #l + ${delta}, #f = ${floor}, #q = ${to.size}, #s = ${to.seq}`',
    ],
    put: [
      'const { floor } = balanceParts(quota.left + to.units, { ...quota, ...to })',
      'const delta = to.units + quota.floor - floor',
      'return { set: setRemove([expr`#l = ${quota.left + to.units - floor}, #f = ${floor}, #q = ${to.size}, #s = ${to.seq}`',
    ],
    foundBy: met(BUNDLE, 'buy', 'consume'),
  },
  // --- Webhooks ---
  {
    title: 'a database fault is answered 200',
    find: [
      "if (!event || !isOurs(deps, event)) throw new DomainError('webhook_refused')",
      'await workOff(deps, event)',
    ],
    put: [
      "if (!event || !isOurs(deps, event)) throw new DomainError('webhook_refused')",
      'await workOff(deps, event).catch(() => {})',
    ],
    foundBy: brokenAfter(flows.buy, 'webhooks'),
  },
  {
    title: 'an event is marked as done before its work',
    find: 'await work(deps, event, eventDoneWrites(deps, event))',
    put: ['await writeAll(deps, eventDoneWrites(deps, event))', 'await work(deps, event, [])'],
    using: { writeAll },
    foundBy: brokenAfter(flows.buy, 'webhooks'),
  },
  {
    title: 'an event is marked as done before its units are in the counter',
    find: "if (settled.status === 'credited') await finish(deps, settled.purchase, marks)",
    put: "if (settled.status === 'credited') await finish(deps, settled.purchase, marks).catch(() => writeUnlessDone(deps, marks))",
    using: { writeUnlessDone },
    foundBy: brokenAfter(flows.buy, 'webhooks'),
  },
  // --- Refunds and disputes ---
  {
    title: 'a refund is booked again with the next one',
    find: [
      'const refunded = purchase.refundedCents - target.refundedCents',
      'const disputed = purchase.disputedCents - target.disputedCents',
    ],
    put: [
      'const refunded = 0 - target.refundedCents',
      'const disputed = purchase.disputedCents - target.disputedCents',
    ],
    foundBy: met(BUNDLE, 'partial refund', 'refund'),
  },
  {
    title: 'an older reading of the charge overwrites a newer one',
    near: applyReversal,
    find: ['for (let tries = 0; tries < TRIES; tries++) {', 'await applyLedger(deps, accountId)'],
    put: [
      'const $reading = await deps.payments.readCharge(chargeId)',
      'for (let tries = 0; tries < TRIES; tries++) {',
      'await applyLedger(deps, accountId)',
    ],
    namesFrom: [
      ['const charge = await deps.payments.readCharge(chargeId)', 'if (!charge) throw absentObject()'],
    ],
    more: [
      // The reconciliation would repair it.
      {
        find: ['if (agrees) return false', 'await applyReversal(deps, purchase, charge.chargeId)'],
        put: ['if (agrees || charge) return false', 'await applyReversal(deps, purchase, charge.chargeId)'],
      },
      {
        near: applyReversal,
        find: ['const charge = await deps.payments.readCharge(chargeId)', 'if (!charge)'],
        put: ['const charge = $reading', 'if (!charge)'],
      },
    ],
    foundBy: met(BUNDLE, 'partial refund', 'refund'),
  },
  {
    title: 'units are taken back without a check of the units left',
    find: '...(await taken(deps, accountId, quota, { units, seq }))',
    put: '...[]',
    foundBy: met(BUNDLE, 'refund', 'consume all'),
  },
  {
    title: 'owed units are not taken from the next credit',
    find: [
      "{ kind: 'sale', units, amountCents: -amountCents, currency, purchaseId: id, atMs, ...saleOf(purchase, nowMs) },",
      '...paid.entries',
    ],
    put: "{ kind: 'sale', units, amountCents: -amountCents, currency, purchaseId: id, atMs, ...saleOf(purchase, nowMs) }",
    foundBy: unbroken(flows.buyOwing, 'both'),
  },
  {
    title: 'a pause of renewal ends when a refund fails but a dispute takes its place',
    find: 'return reversedCents < 0 && renewal?.reason === REVERSED ? { renewal: undefined } : {}',
    put: 'return reversedCents <= 0 && renewal?.reason === REVERSED ? { renewal: undefined } : {}',
    foundBy: failed(otherReversal),
  },
  {
    title: 'a dispute that is won gives nothing back',
    find: "status === 'open' || status === 'lost'",
    put: "status === 'open' || status === 'lost' || status === 'won'",
    foundBy: unbroken(flows.disputeWon, 'webhooks'),
  },
  // --- Reconciliation ---
  {
    title: 'a payment is matched by metadata that anybody can edit',
    near: purchaseOf,
    find: [
      'payment.metadata.purchase === purchase.id && payment.metadata.stage === stage',
      ': purchase.paymentId === payment.id)',
    ],
    put: [
      'payment.metadata.purchase === purchase.id && payment.metadata.stage === stage',
      ': payment.metadata.purchase === purchase.id)',
    ],
    foundBy: unreconciled('an edited payment is credited by its stored id'),
  },
  {
    title: 'a refund that no event reports is not noticed',
    find: ['if (agrees) return false', 'await applyReversal(deps, purchase, charge.chargeId)'],
    put: ['if (agrees || charge) return false', 'await applyReversal(deps, purchase, charge.chargeId)'],
    foundBy: unreconciled('refunds and disputes that no event reports reach the ledger'),
  },
  {
    title: 'with the key of another account an absent payment counts as deleted',
    find: 'if ((await deps.payments.readCustomer(customerId)) === undefined) throw absentObject()',
    put: '',
    foundBy: unreconciled('with the key of another account nothing ends'),
  },
  {
    title: 'an event whose object is absent is done',
    find: [
      'if (!payment) throw absentObject()',
      'const owner = await ownerOfPayment(deps, payment)',
      'switch',
    ],
    put: [
      'if (!payment) return writeUnlessDone(deps, [])',
      'const owner = await ownerOfPayment(deps, payment)',
      'switch',
    ],
    using: { writeUnlessDone },
    foundBy: unreconciled('an event whose object is absent is not done'),
  },
  {
    title: 'a payment that is open when it is compared is never compared again',
    find: "if (verdict === 'open') await postponePaymentRecord(deps, id)",
    put: "if (verdict === 'open') await closePaymentRecord(deps, id)",
    using: { closePaymentRecord },
    foundBy: unreconciled('a payment that is open when it is compared is compared again'),
  },
  {
    title: 'a credit whose payment is absent raises no alarm',
    find: "if (purchase?.state !== 'credited') return 'agrees'",
    put: "if (purchase) return 'agrees'",
    foundBy: unreconciled('a credit without its payment raises an alarm'),
  },
  {
    title: 'an absent payment is not read again once its customer is found',
    find: 'const isAbsent = (await deps.payments.readPayment(id)) === undefined',
    put: 'const isAbsent = id !== undefined',
    foundBy: unreconciled('a key that is put right between two calls proves nothing about a payment'),
  },
  {
    title: 'an old event whose object is absent is given up at the first look',
    find: 'return item !== undefined && nowMs - Number(item.sinceMs) >= ABSENT_MS',
    put: 'return item !== undefined',
    foundBy: unreconciled('an event is given up only after a day of looks'),
  },
  {
    title: 'a purchase whose payment is deleted stays open',
    find: ['if (!now || !isOpen(now) || !(await isPaymentDeleted(deps, error, now))) throw error'],
    put: 'throw error',
    foundBy: unreconciled('a deleted payment ends its purchase'),
  },
  {
    title: 'a payment of another stage is canceled',
    find: ["if (stage !== undefined && stage !== deps.paymentScope.stage) return { kind: 'foreign' }"],
    put: '',
    foundBy: unreconciled('payments of another stage are left alone'),
  },
  {
    title: 'a credit is dated by the time at which it is settled',
    find: 'const nowMs = deps.clock.nowMs()\n  const atMs = receipt?.chargedAtMs ?? nowMs\n  let credited = purchase',
    put: 'const nowMs = deps.clock.nowMs()\n  const atMs = nowMs\n  let credited = purchase',
    foundBy: unreconciled('a charge of December that is settled in January is of December'),
  },
  {
    title: 'a comparison that is out of time starts over',
    find: 'const rest = page.nextCursor === undefined ? {} : { windowMs, cursor: page.nextCursor }',
    put: 'const rest = page.nextCursor === undefined ? {} : {}',
    foundBy: unreconciled('a comparison that is out of time goes on where it stopped'),
  },
  // --- Renewals and notices ---
  {
    title: 'a notice waits for the end of the cap',
    find: 'notice ? expr`#dueAtMs = ${dueAtMs}` : expr`#dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`',
    put: 'expr`#dueAtMs = if_not_exists(#dueAtMs, ${dueAtMs})`',
    foundBy: failed(lowAtCap),
  },
  {
    title: 'a renewal does not check its cycle',
    find: '[expr`#ledgerSeq = ${cycle}`, unchanged(account)]',
    put: '[unchanged(account)]',
    foundBy: failed(restoredMeanwhile),
  },
  {
    title: 'a renewal does not check again what its decision read',
    find: '[expr`#ledgerSeq = ${cycle}`, unchanged(account)]',
    put: '[expr`#ledgerSeq = ${cycle}`]',
    foundBy: failed(forbiddenMeanwhile((world) => world.choose({ maxRenewalsPerHour: 1 }))),
  },
  ...Object.entries(forbidden).map(([field, forbid]) => ({
    title: `a renewal does not check again what its decision read: ${field}`,
    find: DECISION_FIELDS,
    put: DECISION_FIELDS.replace(`'${field}',`, ''),
    foundBy: failed(forbiddenMeanwhile(forbid)),
  })),
  {
    title: 'a renewal is charged though its owner forbade it while its payment was created',
    find: "kind === 'renewal' ? [stillWanted(accountId, amountCents)] : []",
    put: '[]',
    foundBy: met('a renewal is due, and its owner wants none', 'check-quotas', 'a cap of 0'),
  },
  {
    title: 'a purchase does not check again which card is the default one',
    find: '...(isSignup ? tries : [stillDefault(purchase)])',
    put: '...(isSignup ? tries : [])',
    foundBy: failed(forbiddenMeanwhile(otherDefaultCard)),
  },
  {
    title: 'a renewal begins while the counter is behind the ledger',
    find: 'if (account?.quota?.seq !== account?.ledgerSeq) {',
    put: 'if (account === undefined) {',
    more: [{ find: '[expr`#ledgerSeq = ${cycle}`, unchanged(account)]', put: '[]' }],
    foundBy: met(LOW, 'buy', 'check-quotas'),
  },
  {
    title: 'a low-quota notice is given twice',
    find: "{ ...newNotice(deps, accountId, 'low_quota', text), ...keys.notice(accountId, id), id }",
    put: "{ ...newNotice(deps, accountId, 'low_quota', text), 'noticeId': id }",
    more: [ANNOUNCED_EACH_TIME],
    foundBy: broken(flows.renewal, 'jobs'),
  },
  {
    title: 'a low-quota mail is sent twice',
    find: '[{ put: notice, if: expr`attribute_not_exists(pk)` }, write]',
    put: '[{ put: notice }, write]',
    more: [ANNOUNCED_EACH_TIME],
    foundBy: failed(crossings),
  },
  {
    title: 'a credit drops the pending low-quota notice',
    find: 'stays ? expr`#r` : expr`#r, #due, #dueAtMs`',
    put: 'expr`#r, #due, #dueAtMs`',
    foundBy: met(LOW, 'buy', 'consume'),
  },
  {
    title: 'the job clears a wake-up for a renewal that arrived while the job worked',
    find: 'renewalCall === 0 ? expr`attribute_not_exists(#r)` : expr`#r = ${renewalCall}`',
    put: 'expr`attribute_exists(pk)`',
    foundBy: met('a renewal is due, and auto-renewal is off', 'check-quotas', 'auto-renewal is switched on'),
  },
  {
    title: 'every decline sends a notice and a mail',
    find: 'if (isSame && !again && (isKnown || before.renewal?.reason === reason)) return undefined',
    put: '',
    foundBy: failed(backoff),
  },
  {
    title: 'a declined renewal is retried without a wait',
    find: "if (untilMs > nowMs) return { act: 'wait', untilMs }",
    put: '',
    foundBy: failed(backoff),
  },
  {
    title: 'a card that was declined for good is tried again',
    find: "decline.retry === 'never' ? undefined : BACKOFF_MS[failures - 1]",
    put: 'BACKOFF_MS[failures - 1]',
    foundBy: failed(neverRetry),
  },
  {
    title: 'a refund makes the bundle renew itself',
    find: 'if (reversedCents > 0 && isLow && !isPaused) return',
    put: 'if (isLow && !isLow) return',
    more: [
      {
        find: "if (account.owed !== undefined) return { act: 'note'",
        put: "if (account === undefined) return { act: 'note'",
      },
    ],
    foundBy: failed(refunded),
  },
  {
    title: 'renewals pay off a large debt bundle by bundle',
    find: "if (account.owed !== undefined) return { act: 'note'",
    put: "if (account === undefined) return { act: 'note'",
    foundBy: failed(indebted),
  },
  {
    title: 'the monthly cap is not checked',
    find: 'if (capCents !== undefined && inMonth(renewed, nowMs).cents + cents > capCents)',
    put: 'if (capCents !== undefined && cents < 0)',
    foundBy: failed(cap),
  },
  {
    title: 'a renewal waits for the level, although a request was refused',
    find: 'isBelowRenewal(quota.left, quota) || quota.refusedSeq === quota.seq',
    put: 'isBelowRenewal(quota.left, quota)',
    foundBy: failed(refusedOnce),
  },
  {
    title: 'a refusal renews again after the renewal that it called for',
    find: 'isBelowRenewal(quota.left, quota) || quota.refusedSeq === quota.seq',
    put: 'isBelowRenewal(quota.left, quota) || quota.refusedSeq !== undefined',
    foundBy: failed(refusedOnce),
  },
  {
    title: 'a request for more units than a bundle holds renews again and again',
    find: 'const calls = units <= servable(counter)',
    put: 'const calls = units <= units + servable(counter)',
    foundBy: failed(refusedLarge),
  },
  {
    title: 'a renewal buys the bundle held, although its owner chose another',
    find: 'const isChosen = renewalBundle !== undefined && renewalBundle !== bundle',
    put: 'const isChosen = false',
    foundBy: failed(chosenBundle),
  },
  {
    title: 'the monthly cap is not compared with the price of the bundle that is bought',
    find: [
      'const limit = limitReached(account, bundle.priceCents, nowMs)',
      "if (!limit) return { act: 'renew', bundle }",
    ],
    put: ['const limit = limitReached(account, 0, nowMs)', "if (!limit) return { act: 'renew', bundle }"],
    foundBy: failed(chosenBundle),
  },
  {
    title: 'a renewal buys what its owner had chosen when the job read the account',
    find: DECISION_FIELDS,
    put: DECISION_FIELDS.replace("'renewalBundle', 'renewalPlan', ", ''),
    foundBy: failed(choseMeanwhile),
  },
  {
    title: 'a renewal is due by 1 % whatever its owner chose',
    find: ['const below = effectiveBelow(levels)', 'if (below < 1) return unitsOf(below, levels.size)'],
    put: [
      'const below = effectiveBelow({ size: levels.size })',
      'if (below < 1) return unitsOf(below, levels.size)',
    ],
    foundBy: failed(chosenBelow),
  },
  {
    title: 'the renewals of an hour are not limited',
    find: [
      'const hourEndsMs = endsMs(recent, perHour(limits), HOUR_MS, nowMs)',
      'const dayEndsMs = endsMs(recent, perDay(limits), DAY_MS, nowMs)',
    ],
    put: [
      'const hourEndsMs = endsMs(recent, perHour(limits), 0, nowMs)',
      'const dayEndsMs = endsMs(recent, perDay(limits), DAY_MS, nowMs)',
    ],
    foundBy: failed(heldBackByHour),
  },
  {
    title: 'the renewals of a day are not limited',
    find: [
      'const hourEndsMs = endsMs(recent, perHour(limits), HOUR_MS, nowMs)',
      'const dayEndsMs = endsMs(recent, perDay(limits), DAY_MS, nowMs)',
    ],
    put: [
      'const hourEndsMs = endsMs(recent, perHour(limits), HOUR_MS, nowMs)',
      'const dayEndsMs = endsMs(recent, perDay(limits), 0, nowMs)',
    ],
    foundBy: failed(heldBackByDay),
  },
  {
    title: 'a change of the state of auto-renewal is silent',
    find: 'messages: [...messagesOf(deps, after, news, lead, atMs), ...events]',
    put: 'messages: [...messagesOf(deps, after, undefined, lead, atMs), ...events]',
    foundBy: failed(cap),
  },
  {
    title: 'a link with a made-up code stops auto-renewal',
    find: 'return linkMacs(deps, purpose, content).some((mac) => timingSafeEqual(mac, sent)) ? content : undefined',
    put: 'return content',
    foundBy: failed(madeUpLink),
  },
  {
    title: 'an expired link stops auto-renewal',
    find: 'if (content.readUIntBE(18, 6) <= deps.clock.nowMs()) return undefined',
    put: '',
    foundBy: failed(expiredLink),
  },
  {
    title: 'the link of an earlier hold allows more renewals again',
    find: "if (renewal?.state !== 'held_back' || renewal.heldAtMs !== heldAtMs) return undefined",
    put: "if (renewal?.state !== 'held_back') return undefined",
    foundBy: failed(allowedOnce),
  },
  {
    title: 'a renewal with an unknown outcome is reported as declined',
    find: "payment.status === 'unknown' ? pending(deps, purchase, payment.cause)",
    put: "payment.status === 'unknown' ? end(deps, purchase, { reason: 'processing_error', retry: 'retryable' })",
    using: { end: endPurchase },
    namesFrom: ["end(deps, purchase, { reason: 'card_unusable', retry: 'never' })"],
    foundBy: failed(outage('POST /v1/payment_intents/*/confirm', '500')),
  },
  {
    title: 'a customer is asked twice to finish a renewal',
    near: settlePurchase,
    find: "if: expr`#state IN (${'created'}, ${'saved'})`",
    put: 'if: stillOpen',
    namesFrom: ["purchase.paymentId === undefined ? expr`#state = ${'created'}` : stillOpen"],
    foundBy: met('a renewal is due by a card that asks for 3-D Secure', 'check-quotas', 'events'),
  },
  // --- The card ---
  {
    title: 'a card that was declined for good is charged again',
    near: beginPurchase,
    find: "join([expr`attribute_exists(#card) AND attribute_not_exists(#removing)`, mayCharge(createdAtMs)], ' AND ')",
    put: 'expr`attribute_exists(#card) AND attribute_not_exists(#removing)`',
    foundBy: failed(closedCard),
  },
  {
    title: 'declines of a card are not counted',
    find: 'reachedBank(decline) ? { ...record, declinesMs: [...recent(record, nowMs), nowMs] } : record',
    put: 'reachedBank(decline) ? record : record',
    foundBy: failed(tiredCard),
  },
  {
    title: 'a disputed card is charged while much is left',
    near: applyFraudReport,
    find: ['return markCard(accountId, each, {', 'declined: true,', 'reason,', 'closed: true,'],
    put: ['return markCard(accountId, each, {', 'declined: true,', 'reason,'],
    // The number is blocked for all accounts as well.
    more: [buysWithBlocked],
    foundBy: failed(reportedCard),
  },
  {
    title: 'a card that another account has misused buys',
    ...buysWithBlocked,
    foundBy: unbroken(flows.buyBlocked, 'jobs'),
  },
  {
    title: 'a payment that is saved is confirmed later, whatever was reported of its card meanwhile',
    find: ['const refused = await refuse(deps, purchase)', 'if (refused) return refused'],
    put: [
      'const refused = isLeased(deps, purchase) ? await refuse(deps, purchase) : undefined',
      'if (refused) return refused',
    ],
    near: advancePurchase,
    using: { isLeased },
    foundBy: met(leftAfter(4), 'buy with a key', DISPUTED_ELSEWHERE),
  },
  {
    title: 'a won dispute does not let the renewal go on',
    find: 'if (isPaused === (reason !== undefined)) return []',
    put: 'if (isPaused || !reason) return []',
    near: applyFraudReport,
    foundBy: failed(reportedCard),
  },
  {
    title: 'a card that the network has replaced stays declined',
    find: 'if (!before || !isReplaced(before, card)) return { last: stored, writes: [] }',
    put: 'if (!before || !isReplaced(before, card) || before) return { last: stored, writes: [] }',
    foundBy: failed(replacedByNetwork),
  },
  {
    title: 'a purchase whose card is gone at Stripe is declined though another card is on file',
    near: advancePurchase,
    find: 'if (next === asked) return endPurchase(',
    put: 'if (next) return endPurchase(',
    foundBy: failed(detachedUnseen),
  },
  {
    title: 'the job clears an alert that was crossed while it worked',
    find: ["unchangedSince({ i: alerts }, ['i']),", 'expr`#s = ${quota.seq}`'],
    put: 'expr`#s = ${quota.seq}`',
    foundBy: failed(alertMeanwhile),
  },
  {
    title: 'an alert that was told is not marked as told',
    find: 'expr`SET #told = ${true}`',
    put: 'expr`SET #left = ${0}`',
    foundBy: unbroken(flows.alert, 'jobs'),
  },
  {
    title: 'an event that the bus has not taken is given up',
    find: ['...{ id, accountId, threshold, left, atMs },', '...(below < 1 && { share: below }),', '})'],
    put: [
      '...{ id, accountId, threshold, left, atMs },',
      '...(below < 1 && { share: below }),',
      '}).catch(() => {})',
    ],
    foundBy: broken(flows.alert, 'jobs', 'error-before'),
  },
  {
    title: 'an alert that is handed over again is told again',
    near: handOverAlerts,
    find: 'await deps.table.put(item, expr`attribute_not_exists(pk)`).catch(ignoreRefusal)',
    put: 'await deps.table.put(item)',
    foundBy: broken(flows.alert, 'jobs', 'error-before'),
  },

  // --- One trial for each card ---
  {
    title: 'a card that backs the trial of another account backs a second one',
    near: trialClaim,
    find: 'if: expr`attribute_not_exists(pk) OR #untilMs <= ${nowMs}`',
    put: 'if: expr`attribute_not_exists(pk) OR #untilMs >= ${nowMs}`',
    foundBy: unbroken(flows.signUpTrialBacked, 'jobs'),
  },
  {
    title: 'units that were paid for are taken with the trial',
    find: "entries.filter(({ kind, units }) => kind !== 'trial' && units > 0)",
    put: "entries.filter(({ kind, units }) => kind === 'trial' && units > 1000)",
    foundBy: unbroken(flows.signUpTrialBacked, 'jobs'),
  },
  {
    title: 'the trial is decided in a write of its own, before the card is on file',
    near: keepCard,
    find: ['await deps.table.transact([', '...(trial ? trialWrites(accountId, trial) : []),'],
    put: ['if (trial) await writeAll(deps, trialWrites(accountId, trial))', 'await deps.table.transact(['],
    using: { writeAll },
    foundBy: broken(flows.signUpTrialBacked, 'jobs'),
  },
  {
    title: 'a trial is decided by every card',
    find: 'const keep = { set: [], remove: [expr`#trialUnits`],',
    put: 'const keep = { set: [], remove: [expr`#owed`],',
    foundBy: unbroken(flows.signUp, 'jobs'),
  },
  {
    title: 'a trial is taken back without the counter',
    near: decideTrial,
    find: '{ update: keys.quota(id), ...moved },',
    put: '',
    foundBy: unbroken(flows.proofTrialBacked, 'jobs'),
  },

  // --- Orders of an operator ---
  {
    title: 'an order that is repeated with its key is carried out again',
    find: '...(key ? [storeRequestKey(deps, accountId, key, String(first))] : [])',
    put: '...(key ? [] : [])',
    foundBy: broken(flows.grant, 'client', 'error-after'),
  },
  {
    title: 'more units are taken than are left',
    find: 'const taken = Math.min(units, quota.left)',
    put: 'const taken = units',
    foundBy: unbroken(flows.takeOwing, 'jobs'),
  },
  {
    title: 'what could not be taken is forgotten by the next credit',
    find: "paid.entries.push({ kind: 'take', units: -taken, amountCents: 0 })",
    put: '',
    foundBy: unbroken(flows.grant, 'jobs'),
  },
  {
    title: 'a debit makes a debt',
    find: 'if (creditCents + signedCents < 0)',
    put: 'if (creditCents < 0)',
    foundBy: met('an operator acts', 'a debit', 'a debit'),
  },
  {
    title: 'a repeated refund is another one at Stripe',
    find: '(isFirst ? undefined : await find()) ??',
    put: '(isFirst || !isFirst ? undefined : await find()) ??',
    more: [
      {
        find: 'const day = Math.max(0, Math.floor((clock.nowMs() - createdAtMs) / KEY_MS))',
        put: 'const day = clock.nowMs() - createdAtMs',
      },
    ],
    foundBy: broken(flows.refundOrdered, 'jobs'),
  },
  {
    title: 'a refund is made again once Stripe has forgotten its key',
    find: '(isFirst ? undefined : await find()) ??',
    put: '(isFirst || !isFirst ? undefined : await find()) ??',
    foundBy: broken(flows.refundOrdered, 'jobs', 'crash-after', 25 * HOUR_MS),
  },
  {
    title: 'a refund whose outcome is unknown is called refused',
    near: advanceRefund,
    find: [
      "if (!(error instanceof DomainError && error.code === 'not_found')) throw error",
      'const purchase = await readPurchase(deps, accountId, purchaseId)',
      'if (!purchase || !(await isPaymentDeleted(deps, error, purchase)))',
      "throw new DomainError('temporarily_unavailable', { cause: error })",
      "return { status: 'refused', reason: 'absent' }",
    ],
    put: [
      'if (!(error instanceof DomainError)) throw error',
      "return { status: 'refused', reason: 'absent' }",
    ],
    foundBy: broken(flows.refundOrdered, 'client', 'error-after'),
  },
  {
    title: 'a refund that Stripe has made stays open',
    find: "expr`#state = ${'made'} AND attribute_exists(#due)`",
    put: "expr`#state = ${'created'} AND attribute_exists(#due)`",
    foundBy: unbroken(flows.refundOrdered, 'client'),
  },
  {
    title: 'a key that was answered declined is answered paid once the card works again',
    find: 'if (!key || !(error instanceof DomainError && error.code',
    put: 'if (key || !(error instanceof DomainError && error.code',
    near: buyBundle,
    foundBy: failed(declinedAtOnce),
  },
]
