import { isActive } from '../account/account.ts'
import { AUTHENTICATION_MS, AUTHENTICATION_POLL_MS } from '../cards/authentication.ts'
import { blockRefusal } from '../cards/fingerprint.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import type { Key } from '../table/keys.ts'
import { LEASE_MS, leaseDue } from '../table/lease.ts'
import { advancePurchase, settleAbandonedPurchase } from './advance.ts'
import { finishPurchase } from './credit.ts'
import { isOpen, type Purchase, parsePurchase } from './purchase.ts'
import { mayResume, retryWaitMs } from './resume.ts'
import type { PurchaseOutcome } from './settle.ts'

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
    if (run.ready && !(await run.ready())) return false
    const purchase = await leasePurchase(deps, key)
    if (!purchase) return false
    settled[await settleOne(deps, purchase)]++
    return true
  })
  return { ...settled, failed }
}

async function settleOne(deps: MoneyDeps, purchase: Purchase): Promise<'credited' | 'ended' | 'waiting'> {
  const outcome = isOpen(purchase)
    ? await settleOpen(deps, purchase)
    : ({ status: 'credited', purchase } as const)
  if (outcome.status === 'credited') {
    await finishPurchase(deps, outcome.purchase)
    return 'credited'
  }
  return outcome.status === 'pending' || outcome.status === 'action required' ? 'waiting' : 'ended'
}

async function settleOpen(deps: MoneyDeps, purchase: Purchase): Promise<PurchaseOutcome> {
  if (await mayResume(deps, purchase)) return advancePurchase(deps, purchase, 'job')
  const hasLapsed =
    deps.clock.nowMs() >= purchase.createdAtMs + AUTHENTICATION_MS ||
    (purchase.state === 'action_required' && !(await mayStillPay(deps, purchase)))
  return settleAbandonedPurchase(deps, purchase, hasLapsed)
}

/** A deactivated account must not be charged, nor a card that is blocked, so nobody waits for the customer. */
const mayStillPay = async (deps: MoneyDeps, { accountId, cardFingerprint }: Purchase): Promise<boolean> =>
  (await isActive(deps, accountId)) && !(await blockRefusal(deps, cardFingerprint, accountId))

/**
 * Leases a due purchase. The longer a purchase has been open, the later it is tried again, so that an outage
 * does not make every purchase call the provider every minute.
 */
async function leasePurchase(deps: Deps<'table'>, key: Key): Promise<Purchase | undefined> {
  const item = await deps.table.get(key)
  if (!item) return undefined
  const leased = await leaseDue(deps, key, leaseMs(parsePurchase(item), deps.clock.nowMs()))
  return leased && parsePurchase(leased)
}

function leaseMs(purchase: Purchase, nowMs: number): number {
  if (purchase.state === 'action_required') return AUTHENTICATION_POLL_MS
  return isOpen(purchase) ? retryWaitMs(purchase, nowMs) : LEASE_MS
}
