import { holdOf } from '../cards/hold.ts'
import type { MoneyDeps, Payment } from '../ports.ts'
import type { Run } from '../table/due.ts'
import { keys } from '../table/keys.ts'
import { HOUR_MS, MINUTE_MS } from '../time.ts'
import { isOpen, isPaymentOfPurchase, purchaseOf, readPurchase } from './purchase.ts'

/** Payments younger than this may still be in progress, so they are compared later. */
const YOUNG_MS = 10 * MINUTE_MS

/** How far back the first run compares payments. */
const FIRST_MS = 6 * HOUR_MS
const WINDOW_MS = 6 * HOUR_MS

/**
 * Compares the provider's payments since the last run with the purchases in the table. A run that is out of
 * time stops, and the next run resumes with the first unfinished window.
 * @returns how many payments were compared, and one alarm for the operator for each payment that disagrees.
 */
export async function comparePayments(
  deps: MoneyDeps,
  { untilMs: stopMs }: Pick<Run, 'untilMs'>,
): Promise<{ compared: number; alarms: string[] }> {
  const nowMs = deps.clock.nowMs()
  const key = keys.job('compare-payments')
  const alarms: string[] = []
  let compared = 0
  let sinceMs = Number((await deps.table.get(key))?.untilMs ?? nowMs - FIRST_MS)
  // The oldest payments come first, one window at a time, so that the next run can skip finished windows.
  while (sinceMs < nowMs - YOUNG_MS) {
    const untilMs = Math.min(sinceMs + WINDOW_MS, nowMs - YOUNG_MS)
    let cursor: string | undefined
    do {
      if (deps.clock.nowMs() >= stopMs) return { compared, alarms }
      const filter = { createdSinceMs: sinceMs, createdUntilMs: untilMs }
      const page = await deps.payments.listPayments(filter, cursor)
      // The provider's times are whole seconds: payments at `sinceMs` were compared in the previous window.
      for (const payment of page.items.filter(({ createdMs }) => createdMs > sinceMs)) {
        const alarm = await disagreement(deps, payment)
        if (alarm !== undefined) alarms.push(`payment ${payment.id}: ${alarm}`)
        compared++
      }
      cursor = page.nextCursor
    } while (cursor !== undefined)
    sinceMs = untilMs
    await deps.table.put({ ...key, untilMs })
  }
  return { compared, alarms }
}

async function disagreement(deps: MoneyDeps, payment: Payment): Promise<string | undefined> {
  const found = purchaseOf(payment)
  if (!found) {
    const chargedHold = payment.status === 'succeeded' && holdOf(payment)
    return chargedHold ? 'a card verification took money; refund it in Stripe' : undefined
  }
  const purchase = await readPurchase(deps, found.accountId, found.purchaseId)
  const paid = payment.status === 'succeeded'
  if (!purchase) return paid ? 'charged, but no purchase is recorded; refund it in Stripe' : undefined
  if (isOpen(purchase)) return undefined
  if (payment.status === 'unconfirmed') {
    // The provider forgets an idempotency key after a day, so a late retry created this second payment.
    await deps.payments.cancelPayment(payment.id)
    return undefined
  }
  const credited = purchase.state === 'credited' && purchase.paymentId === payment.id
  if (paid !== credited)
    return paid
      ? 'charged, but not credited; refund it in Stripe'
      : 'credited, but not charged; check the ledger of the account'
  return paid && !isPaymentOfPurchase(payment, purchase, deps.webhooks.livemode)
    ? 'differs from its purchase; compare amount, currency, customer and metadata'
    : undefined
}
