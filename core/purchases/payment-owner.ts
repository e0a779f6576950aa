import { ownerOf } from '../cards/customer.ts'
import { type Hold, holdOf, isPaymentOfHold, parseHold } from '../cards/hold.ts'
import type { MoneyDeps, Payment } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { readPaymentRecord } from './payment-record.ts'
import { isPaymentOfPurchase, type Purchase, purchaseOf, readPurchase } from './purchase.ts'

/** What a payment at the provider belongs to. */
export type PaymentOwner =
  | { kind: 'purchase'; purchase: Purchase }
  | { kind: 'hold'; hold: Hold }
  /** This deployment created the payment, but its purchase or verification is over or uses another one. */
  | { kind: 'stray'; purchase: Purchase | undefined; isHold: boolean }
  /** Nothing shows that this deployment created the payment, but it names an account or customer of ours. */
  | { kind: 'unexplained'; purchase: Purchase | undefined; isHold: boolean }
  /** Of another application or another deployment in the same account at the provider. */
  | { kind: 'foreign' }

/**
 * Finds what a payment belongs to. Metadata can be edited in the Dashboard, so it is only a hint where the
 * stored id says the same; else the record of the payment's id decides.
 */
export async function ownerOfPayment(deps: MoneyDeps, payment: Payment): Promise<PaymentOwner> {
  const named = await namedBy(deps, payment)
  const { purchase, hold } = named
  if (purchase?.paymentId === payment.id) return { kind: 'purchase', purchase }
  if (hold?.paymentId === payment.id) return { kind: 'hold', hold }
  const recorded = await recordedPurchase(deps, payment.id)
  if (recorded) return { kind: 'purchase', purchase: recorded }
  // Neither has an id yet: its request is about to save it, or crashed before.
  if (purchase && isPaymentOfPurchase(payment, purchase, deps.paymentScope))
    return { kind: 'purchase', purchase }
  if (hold && isPaymentOfHold(payment, hold, deps.paymentScope)) return { kind: 'hold', hold }
  const { stage, account } = payment.metadata
  if (stage !== undefined && stage !== deps.paymentScope.stage) return { kind: 'foreign' }
  // Customers belong to one deployment, so the customer proves a payment of before there were stages.
  const customersAccount = stage === undefined ? await ownerOf(deps, payment.customerId) : undefined
  const isOfStage = stage !== undefined || (account !== undefined && account === customersAccount)
  const isNamed = purchaseOf(payment) !== undefined || holdOf(payment) !== undefined
  const isFree = (purchase && purchase.paymentId === undefined) || (hold && hold.paymentId === undefined)
  const unclear = { purchase, isHold: holdOf(payment) !== undefined }
  if (isOfStage && isNamed && !isFree) return { kind: 'stray', ...unclear }
  const isOurs = customersAccount !== undefined || (await namesOurAccount(deps, payment))
  return isOurs ? { kind: 'unexplained', ...unclear } : { kind: 'foreign' }
}

/** The purchase or hold that the payment's metadata names, if we have it. */
async function namedBy(
  deps: MoneyDeps,
  payment: Payment,
): Promise<{ purchase?: Purchase | undefined; hold?: Hold | undefined }> {
  const named = purchaseOf(payment)
  if (named) return { purchase: await readPurchase(deps, named.accountId, named.purchaseId) }
  const held = holdOf(payment)
  const item = held && (await deps.table.get(keys.hold(held.accountId, held.holdId)))
  return { hold: item && parseHold(item) }
}

/** The purchase that has stored this payment's id. */
export async function recordedPurchase(deps: MoneyDeps, paymentId: string): Promise<Purchase | undefined> {
  const { accountId, purchaseId } = (await readPaymentRecord(deps, paymentId)) ?? {}
  if (accountId === undefined || purchaseId === undefined) return undefined
  const purchase = await readPurchase(deps, accountId, purchaseId)
  return purchase?.paymentId === paymentId ? purchase : undefined
}

async function namesOurAccount(deps: MoneyDeps, { customerId, metadata }: Payment): Promise<boolean> {
  const { account = '', stage } = metadata
  if (stage !== undefined && (await ownerOf(deps, customerId)) !== undefined) return true
  if (!/^[0-9a-f]{24}$/.test(account)) return false
  return (await deps.table.get(keys.profile(account))) !== undefined
}
