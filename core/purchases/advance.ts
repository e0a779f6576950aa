import { isPaymentDeleted } from '../cards/absence.ts'
import { tokenIn } from '../cards/confirmation-token.ts'
import { syncRefusedCustomer } from '../cards/customer.ts'
import { blockRefusal } from '../cards/fingerprint.ts'
import { numberRefusal, readCardNumber } from '../cards/number.ts'
import { numberTry, sharedNumberRefusal } from '../cards/shared-limits.ts'
import { readStoredCustomer } from '../cards/stored-customer.ts'
import { syncCard } from '../cards/sync.ts'
import { isUnusable, unusableCard } from '../cards/unusable-card.ts'
import { uncountCardAttempt } from '../cards/velocity.ts'
import { DomainError, rateLimitOf } from '../errors.ts'
import type { MoneyDeps, NewPayment, OutcomeUnknown, Payment } from '../ports.ts'
import { expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isLeased } from '../table/lease.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { finishPurchase } from './credit.ts'
import { watchPayment } from './payment-record.ts'
import {
  isOpen,
  isPaymentOfPurchase,
  type Purchase,
  parsePurchase,
  paymentFor,
  purchaseOf,
  purposeOf,
  readPurchase,
  stillOpen,
} from './purchase.ts'
import { endPurchase, needsCustomer, type PurchaseOutcome, settlePurchase } from './settle.ts'

/** Who waits for the outcome. Only a customer can authenticate, and is told about a pending purchase. */
type Waiting = 'customer' | 'job'

/**
 * Takes a purchase as far towards its end as the provider's answers allow. A purchase whose outcome is
 * unknown stays open until a webhook or settle-payments settles it, and is never reported as failed while
 * money may have moved. After a call that a rate limit refused, settle-payments goes on with the purchase.
 */
export async function advancePurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  waiting: Waiting = 'customer',
): Promise<PurchaseOutcome> {
  const work = () => endIfDeleted(deps, purchase, () => advanceOrThrow(deps, purchase, waiting))
  const outcome = await unknownIsPending(deps, purchase, waiting, work)
  // The purchase stays credited even if finishing it fails.
  if (outcome.status === 'credited') {
    await finishPurchase(deps, outcome.purchase).catch((error: unknown) => {
      const { accountId, id: purchaseId } = purchase
      const what = 'a credited purchase is not finished yet; settle-payments will finish it'
      deps.log.warn(what, error, { accountId, purchaseId })
    })
  }
  return outcome
}

async function unknownIsPending(
  deps: MoneyDeps,
  purchase: Purchase,
  waiting: Waiting,
  work: () => Promise<PurchaseOutcome>,
): Promise<PurchaseOutcome> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof DomainError)) throw error
    if (error.code !== 'temporarily_unavailable') {
      // What tells a customer why a sign-up has ended is the outcome for a job.
      const now = waiting === 'job' ? await readPurchase(deps, purchase.accountId, purchase.id) : undefined
      if (now?.state !== 'declined' && now?.state !== 'abandoned') throw error
      return { status: now.state }
    }
    if (waiting === 'customer' && rateLimitOf(error)) await promisePurchase(deps, purchase)
    return purchasePending(deps, purchase, error)
  }
}

/** Takes a step of a purchase, and ends the purchase if the provider has deleted its payment. */
async function endIfDeleted(
  deps: MoneyDeps,
  { accountId, id }: Purchase,
  step: () => Promise<PurchaseOutcome>,
): Promise<PurchaseOutcome> {
  try {
    return await step()
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'not_found')) throw error
    // The step may have saved the payment's id, or another request may have settled the purchase.
    const now = await readPurchase(deps, accountId, id)
    if (!now || !isOpen(now) || !(await isPaymentDeleted(deps, error, now))) throw error
    deps.log.warn('the provider has deleted the payment of a purchase; the purchase ends', error, {
      accountId,
      purchaseId: id,
    })
    return endPurchase(deps, now, undefined, [], 'deleted')
  }
}

/** How soon settle-payments goes on with a promised purchase. */
const PROMISE_RETRY_MS = 10_000

/** Stores that the customer is told that the purchase is pending, so that nobody abandons the purchase. */
async function promisePurchase(deps: MoneyDeps, { accountId, id }: Purchase): Promise<void> {
  const set = expr`SET #promised = ${true}, #dueAtMs = ${deps.clock.nowMs() + PROMISE_RETRY_MS}`
  await deps.table.update(keys.purchase(accountId, id), set, stillOpen).catch(ignoreRefusal)
}

function purchasePending(
  deps: MoneyDeps,
  { accountId, id: purchaseId }: Purchase,
  error: unknown,
): PurchaseOutcome {
  const what = 'the outcome of a purchase is unknown; a webhook or settle-payments will settle it'
  deps.log.warn(what, error, { accountId, purchaseId })
  return { status: 'pending' }
}

async function advanceOrThrow(
  deps: MoneyDeps,
  purchase: Purchase,
  waiting: Waiting,
): Promise<PurchaseOutcome> {
  if (purchase.paymentId === undefined) {
    const created = await createPurchasePayment(deps, purchase)
    if ('status' in created) return created
    return confirmPurchase(deps, created)
  }
  // An earlier request saved this payment: it may be confirmed or declined, or wait for its customer.
  const payment = await readKnownPayment(deps, purchase.paymentId)
  const byCustomer = waiting === 'customer' && needsCustomer(purchase, payment)
  return payment.status === 'unconfirmed' || byCustomer
    ? confirmPurchase(deps, purchase, byCustomer)
    : settlePurchase(deps, purchase, payment)
}

async function confirmPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  byCustomer = false,
): Promise<PurchaseOutcome> {
  const { paymentId = '', kind, asked, cardId } = purchase
  const refused = await refuseBeforeBank(deps, purchase)
  if (refused) return refused
  const payment: Payment | OutcomeUnknown = byCustomer
    ? await deps.payments.confirmPayment(paymentId, 'purchase', cardId)
    : await deps.payments.confirmPayment(paymentId, purposeOf(kind), tokenIn(asked))
  if (kind === 'signup' && payment.status !== 'unknown' && isUnusable(payment))
    return endUnaskedSignup(deps, purchase, paymentId, () => unusableCard(deps, purchase.accountId))
  return payment.status === 'unknown'
    ? purchasePending(deps, purchase, payment.cause)
    : settlePurchase(deps, purchase, payment)
}

/** @throws DomainError `not_found` if the provider does not know the payment */
async function readKnownPayment(deps: MoneyDeps, paymentId: string): Promise<Payment> {
  const payment = await deps.payments.readPayment(paymentId)
  if (!payment) throw new DomainError('not_found')
  return payment
}

/**
 * Creates the payment and saves its id before confirming it, so that we know the payment of every charge.
 * @returns the purchase with its payment; or its outcome, if the provider refuses the card or customer, or a
 *   concurrent request was first.
 */
async function createPurchasePayment(
  deps: MoneyDeps,
  purchase: Purchase,
): Promise<Purchase | PurchaseOutcome> {
  const payment =
    (await lostPayment(deps, purchase)) ?? (await deps.payments.createPayment(paymentOrder(deps, purchase)))
  if (payment.status === 'refused') {
    return payment.reason === 'customer_missing'
      ? endWithoutCustomer(deps, purchase)
      : endRefusedCard(deps, purchase)
  }
  const saved = await savePaymentOfPurchase(deps, purchase, payment)
  if (saved === 'not wanted') {
    await deps.payments.cancelPayment(payment.id)
    return endPurchase(deps, purchase, undefined)
  }
  if ('refusal' in saved) return endUnaskedSignup(deps, purchase, payment.id, () => saved.refusal)
  if (saved.paymentId === payment.id && isOpen(saved)) return saved
  // The purchase was abandoned meanwhile or has another payment, so it will never use this payment.
  if (saved.paymentId !== payment.id) await deps.payments.cancelPayment(payment.id)
  return saved.state === 'credited'
    ? { status: 'credited', purchase: saved }
    : { status: isOpen(saved) ? 'pending' : saved.state === 'declined' ? 'declined' : 'abandoned' }
}

/** Ends a purchase whose customer the provider does not know. */
async function endWithoutCustomer(deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  const { kind } = purchase
  await endPurchase(deps, purchase, undefined)
  if (kind === 'signup') await uncountCardAttempt(deps, purchase)
  await syncRefusedCustomer(deps, purchase)
  return { status: 'abandoned' }
}

/**
 * Ends a purchase whose card the provider does not accept; no bank was asked. A card on file that is gone at
 * the provider makes room for the next default card.
 * @throws DomainError `invalid_payment_method` for the card of a sign-up
 */
async function endRefusedCard(deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  const { accountId, customerId, asked, kind } = purchase
  if (kind === 'signup') {
    await endPurchase(deps, purchase, undefined)
    await uncountCardAttempt(deps, purchase)
    throw unusableCard(deps, accountId)
  }
  await syncCard(deps, { accountId, customerId }, asked)
  const next = (await readStoredCustomer(deps, accountId))?.defaultCardId
  if (next === asked) return endPurchase(deps, purchase, { reason: 'card_unusable', retry: 'never' })
  await endPurchase(deps, purchase, undefined)
  return { status: 'abandoned', isCardGone: true }
}

/**
 * Ends a purchase before its confirmation if the bank must not be asked: the card is blocked, or that of a sign-up was
 * declined before.
 * @returns the outcome; undefined if the bank may be asked.
 * @throws DomainError `card_declined`, `too_many_cards_tried` for a sign-up
 */
async function refuseBeforeBank(deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome | undefined> {
  const { accountId, kind, cardFingerprint, cardId, paymentId = '' } = purchase
  const record =
    kind === 'signup' ? await readCardNumber(deps, accountId, cardFingerprint ?? cardId) : undefined
  const refusal =
    (record && numberRefusal(record, deps.clock.nowMs())) ??
    (await blockRefusal(deps, cardFingerprint, accountId))
  if (!refusal) return undefined
  if (kind === 'signup') return endUnaskedSignup(deps, purchase, paymentId, () => refusal)
  return endBlocked(deps, purchase)
}

/** Ends a purchase with a card that is blocked, unless its bank was asked before. */
async function endBlocked(deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  const payment = await deps.payments.cancelPayment(purchase.paymentId ?? '')
  return payment.status === 'canceled' && !payment.decline
    ? endPurchase(deps, purchase, { reason: 'card_blocked', retry: 'never' })
    : settlePurchase(deps, purchase, payment)
}

/**
 * Ends a sign-up about which no bank was asked; it counts as no try.
 * @returns the outcome, if the bank was asked by another request.
 * @throws the refusal
 */
async function endUnaskedSignup(
  deps: MoneyDeps,
  purchase: Purchase,
  paymentId: string,
  refusal: () => DomainError,
): Promise<PurchaseOutcome> {
  const outcome = await settlePurchase(deps, purchase, await deps.payments.cancelPayment(paymentId))
  if (outcome.status !== 'abandoned') return outcome
  await uncountCardAttempt(deps, purchase)
  throw refusal()
}

/**
 * The payment that an earlier try has created but not saved, because the provider remembers an idempotency key
 * for a day only. None in the first minute, when nobody can have lost it but the request that works on it.
 */
async function lostPayment(deps: MoneyDeps, purchase: Purchase): Promise<Payment | undefined> {
  if (isLeased(deps, purchase)) return undefined
  return (await paymentsOfPurchase(deps, purchase)).find(
    (payment) => payment.status !== 'canceled' && isPaymentOfPurchase(payment, purchase, deps.paymentScope),
  )
}

/**
 * The payment to create. The provider repeats an internal failure under its key for a day, so each later try
 * has a key of its own.
 */
function paymentOrder(deps: MoneyDeps, purchase: Purchase): NewPayment {
  const order = paymentFor(purchase, deps.paymentScope)
  if (isLeased(deps, purchase)) return order
  const minutes = Math.floor((deps.clock.nowMs() - purchase.createdAtMs) / MINUTE_MS)
  return { ...order, idempotencyKey: `${order.idempotencyKey}_${minutes}` }
}

/** The purchase's payments among the customer's newest 100 at the provider, whatever their idempotency keys. */
async function paymentsOfPurchase(deps: MoneyDeps, { id, customerId }: Purchase): Promise<Payment[]> {
  const { items } = await deps.payments.listPayments({ customerId })
  return items.filter((payment) => purchaseOf(payment)?.purchaseId === id)
}

/**
 * Saves the payment's id, and with it the record that leads from the payment to the purchase. Only a saved
 * payment is confirmed.
 * @returns the stored purchase, which a concurrent request may have changed first; `not wanted` if a renewal's
 *   owner has forbidden it since it began; a refusal if the card of a sign-up was tried too often.
 */
async function savePaymentOfPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  payment: Payment,
): Promise<Purchase | 'not wanted' | { refusal: DomainError }> {
  const { accountId, id, kind, asked, amountCents } = purchase
  // A payment that is found in a list does not show it.
  const cardFingerprint = payment.cardFingerprint ?? (await deps.payments.cardFingerprintOf(asked))
  const saved = {
    paymentId: payment.id,
    cardId: payment.paymentMethodId ?? asked,
    state: 'saved',
    ...(cardFingerprint !== undefined && { cardFingerprint }),
  } as const
  const set = [
    expr`SET #paymentId = ${saved.paymentId}, #cardId = ${saved.cardId}, #state = ${saved.state}`,
    ...(cardFingerprint === undefined ? [] : [expr`#cardFingerprint = ${cardFingerprint}`]),
  ]
  const save: Write = {
    update: keys.purchase(accountId, id),
    set: join(set, ', '),
    if: expr`#state = ${'created'}`,
  }
  const wanted = kind === 'renewal' ? [stillWanted(accountId, amountCents)] : []
  const record = watchPayment(deps, payment.id, { accountId, purchaseId: id })
  const { createdAtMs } = purchase
  const counts = kind === 'signup' && cardFingerprint !== undefined
  const tried = counts ? [numberTry(cardFingerprint, createdAtMs)] : []
  const writes = [save, record, ...wanted, ...tried]
  try {
    await deps.table.transact(writes)
    return { ...purchase, ...saved }
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const item = error.failed.get(0)
    if (item) return parsePurchase(item)
    if (kind === 'renewal' && error.failed.has(CONDITION)) return 'not wanted'
    if (counts && error.failed.has(CONDITION))
      return { refusal: sharedNumberRefusal(error.failed.get(CONDITION), createdAtMs) }
    throw error
  }
}

/** Position of what a renewal's owner wants, or of the count of a sign-up's number, among the writes. */
const CONDITION = 2

/** The owner may switch auto-renewal off, or forbid its cost, while the payment is being created. */
const stillWanted = (accountId: string, amountCents: number): Write => ({
  check: keys.profile(accountId),
  if: expr`#status = ${'active'} AND #flags.#bundleAutoRenewal = ${true} AND (attribute_not_exists(#monthlyCapCents) OR #monthlyCapCents >= ${amountCents})`,
})

/**
 * Settles a purchase that its request abandoned, according to the status of its payment.
 * @param hasLapsed whether to stop waiting for the customer to authenticate.
 */
export async function settleAbandonedPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  hasLapsed: boolean,
): Promise<PurchaseOutcome> {
  const { paymentId } = purchase
  if (paymentId === undefined) {
    return isLeased(deps, purchase) ? { status: 'pending' } : abandonPurchaseWithoutPayment(deps, purchase)
  }
  return endIfDeleted(deps, purchase, async () =>
    settlePurchase(deps, purchase, await readKnownPayment(deps, paymentId), [], hasLapsed),
  )
}

/**
 * Abandons a purchase without a payment id. It may have no payment, or several; none of them was confirmed,
 * because a payment is confirmed only after its id is saved.
 */
async function abandonPurchaseWithoutPayment(deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  for (const { id } of await paymentsOfPurchase(deps, purchase)) {
    const fenced = await deps.payments.cancelPayment(id)
    // A concurrent request has saved and confirmed the payment since we listed it.
    if (fenced.status !== 'canceled') return settlePurchase(deps, purchase, fenced)
  }
  const ended = await endPurchase(deps, purchase, undefined)
  // If the purchase is still open, a concurrent request has just saved its payment.
  const now =
    ended.status === 'pending' ? await readPurchase(deps, purchase.accountId, purchase.id) : undefined
  return now?.paymentId === undefined
    ? ended
    : settlePurchase(deps, now, await readKnownPayment(deps, now.paymentId))
}
