import { holdOf } from '../cards/hold.ts'
import type { Deps, Payment } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { type Key, keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import type { PurchaseDeps } from './attempt.ts'
import { finish } from './credit.ts'
import { settleLeft } from './drive.ts'
import {
  AUTHENTICATION_MS,
  isOpen,
  isPaymentOf,
  LEASE_MS,
  type Purchase,
  parsePurchase,
  purchaseOf,
  readPurchase,
} from './purchase.ts'

/** How often a purchase is looked at whose customer has to authenticate, had the webhook been lost. */
const ASKED_AGAIN_MS = 5 * 60_000

/** What a run did with the purchases that were left behind. `waiting`: for a customer or for the provider. */
export interface SettledLeft {
  credited: number
  /** Declined or given up: no money moved. */
  ended: number
  waiting: number
  failed: number
}

/** Settles every purchase that its request left open or unknown, or credited and not finished. */
export async function settlePayments(deps: PurchaseDeps, run: Run): Promise<SettledLeft> {
  const settled = { credited: 0, ended: 0, waiting: 0 }
  const { failed } = await eachDue(deps, 'PURCHASE', run, async (key) => {
    const purchase = await take(deps, key)
    if (!purchase) return false
    settled[await settleOne(deps, purchase)]++
    return true
  })
  return { ...settled, failed }
}

async function settleOne(deps: PurchaseDeps, purchase: Purchase): Promise<'credited' | 'ended' | 'waiting'> {
  const lapsed = deps.clock.nowMs() >= purchase.createdAtMs + AUTHENTICATION_MS
  const outcome = isOpen(purchase)
    ? await settleLeft(deps, purchase, lapsed)
    : ({ status: 'credited', purchase } as const)
  if (outcome.status === 'credited') {
    await finish(deps, outcome.purchase)
    return 'credited'
  }
  return outcome.status === 'pending' || outcome.status === 'action required' ? 'waiting' : 'ended'
}

/** Taken for a while: two runs at once do not work on one purchase, and one that fails comes back. */
async function take(deps: Deps<'table'>, key: Key): Promise<Purchase | undefined> {
  const nowMs = deps.clock.nowMs()
  const item = await deps.table.get(key)
  if (!item) return undefined
  const { state } = parsePurchase(item)
  const leaseMs = state === 'action_required' ? ASKED_AGAIN_MS : LEASE_MS
  try {
    const lease = expr`SET #dueAtMs = ${nowMs + leaseMs}`
    return parsePurchase(await deps.table.update(key, lease, expr`#dueAtMs <= ${nowMs}`))
  } catch (error) {
    if (error instanceof ConditionFailed) return undefined
    throw error
  }
}

/** The newest payments may still be at work. */
const YOUNG_MS = 10 * 60_000

/** How far back the first comparison goes. */
const FIRST_MS = 6 * 3_600_000
const WINDOW_MS = 6 * 3_600_000

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
  return paid && !isPaymentOf(payment, purchase, deps.webhooks.livemode)
    ? 'it is not what its purchase asked for'
    : undefined
}
