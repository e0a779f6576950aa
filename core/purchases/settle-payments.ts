import { isActive } from '../account/account.ts'
import { AUTHENTICATION_MS, AUTHENTICATION_POLL_MS } from '../cards/authentication.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import type { Key } from '../table/keys.ts'
import { LEASE_MS, leaseDue } from '../table/lease.ts'
import { settleAbandonedPurchase } from './advance.ts'
import { finishPurchase } from './credit.ts'
import { isOpen, type Purchase, parsePurchase } from './purchase.ts'

/** What a run did with the purchases that were due. */
export interface SettledLeft {
  credited: number
  /** Declined or abandoned: no money moved. */
  ended: number
  /** Waiting for a customer or for the provider. */
  waiting: number
  /** Purchases on which the run failed; they stay due. */
  failed: number
}

/** Settles purchases that their requests left open, and finishes credited ones. */
export async function settlePayments(deps: MoneyDeps, run: Run): Promise<SettledLeft> {
  const settled = { credited: 0, ended: 0, waiting: 0 }
  const { failed } = await eachDue(deps, 'PURCHASE', run, async (key) => {
    const purchase = await leasePurchase(deps, key)
    if (!purchase) return false
    settled[await settleOne(deps, purchase)]++
    return true
  })
  return { ...settled, failed }
}

async function settleOne(deps: MoneyDeps, purchase: Purchase): Promise<'credited' | 'ended' | 'waiting'> {
  const { accountId, state, createdAtMs } = purchase
  const lapsed =
    deps.clock.nowMs() >= createdAtMs + AUTHENTICATION_MS ||
    // A deactivated account must not be charged, so nobody waits for its customer.
    (state === 'action_required' && !(await isActive(deps, accountId)))
  const outcome = isOpen(purchase)
    ? await settleAbandonedPurchase(deps, purchase, lapsed)
    : ({ status: 'credited', purchase } as const)
  if (outcome.status === 'credited') {
    await finishPurchase(deps, outcome.purchase)
    return 'credited'
  }
  return outcome.status === 'pending' || outcome.status === 'action required' ? 'waiting' : 'ended'
}

/** Leases a due purchase, for longer if the purchase waits for 3-D Secure. */
async function leasePurchase(deps: Deps<'table'>, key: Key): Promise<Purchase | undefined> {
  const item = await deps.table.get(key)
  if (!item) return undefined
  const { state } = parsePurchase(item)
  const leased = await leaseDue(deps, key, state === 'action_required' ? AUTHENTICATION_POLL_MS : LEASE_MS)
  return leased && parsePurchase(leased)
}
