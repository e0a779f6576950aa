import { holdOf } from '../cards/hold.ts'
import type { Payment } from '../ports.ts'
import type { Run } from '../table/due.ts'
import { keys } from '../table/keys.ts'
import { HOUR_MS, MINUTE_MS } from '../time.ts'
import { isOpen, isPaymentOfPurchase, purchaseOf, readPurchase } from './purchase.ts'
import type { PurchaseDeps } from './transaction.ts'

/** The newest payments may still be at work. */
const YOUNG_MS = 10 * MINUTE_MS

/** How far back the first comparison goes. */
const FIRST_MS = 6 * HOUR_MS
const WINDOW_MS = 6 * HOUR_MS

/**
 * Compares the provider's payments since the last run with what the table has of them.
 * Out of time, the next run goes on with the hours that were not finished.
 * @returns how many were compared, and a sentence for each that does not agree: somebody has to look at it.
 */
export async function comparePayments(
  deps: PurchaseDeps,
  { untilMs: stopMs }: Pick<Run, 'untilMs'>,
): Promise<{ compared: number; alarms: string[] }> {
  const nowMs = deps.clock.nowMs()
  const key = keys.job('compare-payments')
  const alarms: string[] = []
  let compared = 0
  let sinceMs = Number((await deps.table.get(key))?.untilMs ?? nowMs - FIRST_MS)
  // The oldest first, a few hours at a time: what is done need not be done again.
  while (sinceMs < nowMs - YOUNG_MS) {
    const untilMs = Math.min(sinceMs + WINDOW_MS, nowMs - YOUNG_MS)
    let cursor: string | undefined
    do {
      if (deps.clock.nowMs() >= stopMs) return { compared, alarms }
      const filter = { createdSinceMs: sinceMs, createdUntilMs: untilMs }
      const page = await deps.payments.listPayments(filter, cursor)
      // The provider's times are whole seconds: those of the last window's last moment were compared then.
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

async function disagreement(deps: PurchaseDeps, payment: Payment): Promise<string | undefined> {
  const found = purchaseOf(payment)
  if (!found) {
    const took = payment.status === 'succeeded' && holdOf(payment)
    return took ? 'a hold took money' : undefined
  }
  const purchase = await readPurchase(deps, found.accountId, found.purchaseId)
  const paid = payment.status === 'succeeded'
  if (!purchase) return paid ? 'it took money and has no purchase' : undefined
  if (isOpen(purchase)) return undefined
  if (payment.status === 'unconfirmed') {
    // Made twice, a day apart: nobody knows this one.
    await deps.payments.cancelPayment(payment.id)
    return undefined
  }
  const credited = purchase.state === 'credited' && purchase.paymentId === payment.id
  if (paid !== credited)
    return paid ? 'it took money that was not credited' : 'it was credited and took no money'
  return paid && !isPaymentOfPurchase(payment, purchase, deps.webhooks.livemode)
    ? 'it is not what its purchase asked for'
    : undefined
}
