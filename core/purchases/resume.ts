import { isActive, readAccount } from '../account/account.ts'
import type { MoneyDeps } from '../ports.ts'
import { applyLedger } from '../quota/apply-ledger.ts'
import { isLeased } from '../table/lease.ts'
import { DAY_MS, MINUTE_MS } from '../time.ts'
import type { Purchase } from './purchase.ts'
import { decideRenewal } from './renewal.ts'

/** How long the job goes on with a purchase of which its customer was told that it is pending. */
const PROMISE_MS = DAY_MS

/** Longest wait between two tries to settle or resume a purchase. */
const LONGEST_RETRY_MS = 15 * MINUTE_MS

/**
 * The wait until an open purchase is tried again: a quarter of its age, so that the waits grow through an
 * outage and a purchase is tried about a hundred times a day.
 */
export const retryWaitMs = ({ createdAtMs }: Pick<Purchase, 'createdAtMs'>, nowMs: number): number =>
  Math.min(Math.max((nowMs - createdAtMs) / 4, MINUTE_MS), LONGEST_RETRY_MS)

/**
 * Whether to go on with a purchase that its request left open, instead of abandoning it if nothing was charged
 * yet. A renewal is resumed as long as it would be begun now, so that an outage makes one purchase and no
 * second one. A customer's purchase is resumed only if its customer was told that it is pending: after a crash
 * the customer may have ordered something else.
 */
export async function mayResume(deps: MoneyDeps, purchase: Purchase): Promise<boolean> {
  if (purchase.state === 'action_required') return false
  if (purchase.promised) {
    const isKept = deps.clock.nowMs() < purchase.createdAtMs + PROMISE_MS
    return isKept && (await isActive(deps, purchase.accountId))
  }
  if (purchase.kind !== 'renewal' || isLeased(deps, purchase)) return false
  return isRenewalStillDue(deps, purchase)
}

/** Whether the account, as it is now, would begin the same renewal. */
async function isRenewalStillDue(deps: MoneyDeps, purchase: Purchase): Promise<boolean> {
  const { accountId, bundle, asked, amountCents, units } = purchase
  // The counter may be behind the ledger, whose units may make the renewal needless.
  await applyLedger(deps, accountId)
  const account = await readAccount(deps, accountId)
  if (!account?.quota || account.openPurchase !== purchase.id) return false
  // Without the slot that this renewal has.
  const decision = decideRenewal({ ...account, openPurchase: undefined }, account.quota, deps.clock.nowMs())
  if (decision.act !== 'renew' || decision.bundle.name !== bundle) return false
  const today = decision.bundle
  return (
    account.customer?.defaultCardId === asked && today.priceCents === amountCents && today.units === units
  )
}
