import { syncCustomer } from '../cards/customer.ts'
import { DomainError } from '../errors.ts'
import type { OutcomeUnknown, Payment } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { isLeased } from '../table/lease.ts'
import { ConditionFailed } from '../table/table.ts'
import { finishPurchase } from './credit.ts'
import {
  isOpen,
  type Purchase,
  parsePurchase,
  paymentFor,
  purchaseOf,
  purposeOf,
  readPurchase,
} from './purchase.ts'
import { cancelPurchase, endPurchase, needsCustomer, type PurchaseOutcome, settlePurchase } from './settle.ts'
import type { PurchaseDeps } from './transaction.ts'

/**
 * Takes a purchase from where it is to its end, or as far as the provider answers: what is not known stays open and
 * settles by itself. Nothing of it is ever called failed while money may have moved.
 */
export async function advancePurchase(deps: PurchaseDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  const outcome = await unknownIsPending(deps, purchase, () => advanceOrThrow(deps, purchase))
  // The purchase is paid for whatever becomes of the rest.
  if (outcome.status === 'credited') {
    await finishPurchase(deps, outcome.purchase).catch((error: unknown) => {
      const { accountId, id: purchaseId } = purchase
      const what = 'a credited purchase is not finished; settle-payments finishes it'
      deps.log.warn(what, error, { accountId, purchaseId })
    })
  }
  return outcome
}

async function unknownIsPending(
  deps: PurchaseDeps,
  purchase: Purchase,
  work: () => Promise<PurchaseOutcome>,
): Promise<PurchaseOutcome> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'temporarily_unavailable')) throw error
    return purchasePending(deps, purchase, error)
  }
}

function purchasePending(
  deps: PurchaseDeps,
  { accountId, id: purchaseId }: Purchase,
  error: unknown,
): PurchaseOutcome {
  const what = 'the outcome of a purchase is unknown; a webhook or settle-payments settles it'
  deps.log.warn(what, error, { accountId, purchaseId })
  return { status: 'pending' }
}

async function advanceOrThrow(deps: PurchaseDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  if (purchase.paymentId === undefined) {
    const known = await createPurchasePayment(deps, purchase)
    if ('status' in known) return known
    return confirmPurchase(deps, known)
  }
  // Somebody was here before: it may have been confirmed, declined, or wait for its customer.
  const payment = await readKnownPayment(deps, purchase.paymentId)
  const byCustomer = needsCustomer(purchase, payment)
  return payment.status === 'unconfirmed' || byCustomer
    ? confirmPurchase(deps, purchase, byCustomer)
    : settlePurchase(deps, purchase, payment)
}

async function confirmPurchase(
  deps: PurchaseDeps,
  purchase: Purchase,
  byCustomer = false,
): Promise<PurchaseOutcome> {
  const { paymentId = '', kind, cardId } = purchase
  const payment: Payment | OutcomeUnknown = byCustomer
    ? await deps.payments.confirmPayment(paymentId, 'purchase', cardId)
    : await deps.payments.confirmPayment(paymentId, purposeOf(kind))
  return payment.status === 'unknown'
    ? purchasePending(deps, purchase, payment.cause)
    : settlePurchase(deps, purchase, payment)
}

async function readKnownPayment(deps: PurchaseDeps, paymentId: string): Promise<Payment> {
  const payment = await deps.payments.readPayment(paymentId)
  if (!payment) throw new Error('the provider does not know a payment of ours')
  return payment
}

/**
 * Makes the payment and saves its id before it is confirmed, so that no charge can exist that we do not know of.
 * @returns what became of the purchase if the provider refuses the card, or another request was first.
 */
async function createPurchasePayment(
  deps: PurchaseDeps,
  purchase: Purchase,
): Promise<Purchase | PurchaseOutcome> {
  const payment = await deps.payments.createPayment(paymentFor(purchase))
  if (payment.status === 'refused') {
    if (payment.reason === 'card_unusable') {
      return endPurchase(deps, purchase, { reason: 'card_unusable', retry: 'never' })
    }
    await endPurchase(deps, purchase, undefined)
    // Deleted by the operator: the next try makes another one.
    await syncCustomer(deps, purchase.accountId, purchase.customerId)
    return { status: 'abandoned' }
  }
  const saved = await savePaymentOfPurchase(deps, purchase, payment)
  if (saved.paymentId === payment.id && isOpen(saved)) return saved
  // Given up meanwhile, or known by another payment: then this one is nobody's.
  if (saved.paymentId !== payment.id) await deps.payments.cancelPayment(payment.id)
  return saved.state === 'credited'
    ? { status: 'credited', purchase: saved }
    : { status: isOpen(saved) ? 'pending' : saved.state === 'declined' ? 'declined' : 'abandoned' }
}

/** @returns the purchase as it is then: another request may have been first. */
async function savePaymentOfPurchase(
  deps: PurchaseDeps,
  { accountId, id, asked }: Purchase,
  payment: Payment,
): Promise<Purchase> {
  const set = expr`SET #paymentId = ${payment.id}, #cardId = ${payment.paymentMethodId ?? asked}, #state = ${'saved'}`
  try {
    const item = await deps.table.update(keys.purchase(accountId, id), set, expr`#state = ${'created'}`)
    return parsePurchase(item)
  } catch (error) {
    const item = error instanceof ConditionFailed ? error.failed.get(0) : undefined
    if (!item) throw error
    return parsePurchase(item)
  }
}

/**
 * Settles a purchase that was left behind by what its payment says.
 * @param lapsed whether to wait no longer for its customer to authenticate.
 */
export async function settleAbandonedPurchase(
  deps: PurchaseDeps,
  purchase: Purchase,
  lapsed: boolean,
): Promise<PurchaseOutcome> {
  const { paymentId } = purchase
  if (paymentId === undefined) {
    return isLeased(deps, purchase) ? { status: 'pending' } : abandonPurchaseWithoutPayment(deps, purchase)
  }
  const payment = await readKnownPayment(deps, paymentId)
  const waits = payment.status === 'action_required' || needsCustomer(purchase, payment)
  return lapsed && waits ? cancelPurchase(deps, purchase, payment) : settlePurchase(deps, purchase, payment)
}

/** Its payment was never confirmed, for that takes its id; and may never have been made, or more than once. */
async function abandonPurchaseWithoutPayment(
  deps: PurchaseDeps,
  purchase: Purchase,
): Promise<PurchaseOutcome> {
  const { items } = await deps.payments.listPayments({ customerId: purchase.customerId })
  const made = items.filter((payment) => purchaseOf(payment)?.purchaseId === purchase.id)
  for (const { id } of made) {
    const fenced = await deps.payments.cancelPayment(id)
    // Saved and confirmed since it was listed.
    if (fenced.status !== 'canceled') return settlePurchase(deps, purchase, fenced)
  }
  const ended = await endPurchase(deps, purchase, undefined)
  // Saved after all, in this very moment.
  const now =
    ended.status === 'pending' ? await readPurchase(deps, purchase.accountId, purchase.id) : undefined
  return now?.paymentId === undefined
    ? ended
    : settlePurchase(deps, now, await readKnownPayment(deps, now.paymentId))
}
