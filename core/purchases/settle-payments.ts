import type { Deps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import type { Key } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { settleLeft } from './advance.ts'
import { finish } from './credit.ts'
import { AUTHENTICATION_MS, isOpen, LEASE_MS, type Purchase, parsePurchase } from './purchase.ts'
import type { PurchaseDeps } from './transaction.ts'

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
