import { AUTHENTICATION_MS, AUTHENTICATION_POLL_MS } from '../cards/authentication.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import type { Key } from '../table/keys.ts'
import { LEASE_MS, leaseDue } from '../table/lease.ts'
import { settleAbandonedPurchase } from './advance.ts'
import { finishPurchase } from './credit.ts'
import { isOpen, type Purchase, parsePurchase } from './purchase.ts'
import type { PurchaseDeps } from './transaction.ts'

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
    const purchase = await leasePurchase(deps, key)
    if (!purchase) return false
    settled[await settleOne(deps, purchase)]++
    return true
  })
  return { ...settled, failed }
}

async function settleOne(deps: PurchaseDeps, purchase: Purchase): Promise<'credited' | 'ended' | 'waiting'> {
  const lapsed = deps.clock.nowMs() >= purchase.createdAtMs + AUTHENTICATION_MS
  const outcome = isOpen(purchase)
    ? await settleAbandonedPurchase(deps, purchase, lapsed)
    : ({ status: 'credited', purchase } as const)
  if (outcome.status === 'credited') {
    await finishPurchase(deps, outcome.purchase)
    return 'credited'
  }
  return outcome.status === 'pending' || outcome.status === 'action required' ? 'waiting' : 'ended'
}

/** Leases a purchase that is due; one that waits for 3-D Secure for longer. */
async function leasePurchase(deps: Deps<'table'>, key: Key): Promise<Purchase | undefined> {
  const item = await deps.table.get(key)
  if (!item) return undefined
  const { state } = parsePurchase(item)
  const leased = await leaseDue(deps, key, state === 'action_required' ? AUTHENTICATION_POLL_MS : LEASE_MS)
  return leased && parsePurchase(leased)
}
