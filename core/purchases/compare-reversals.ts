import { compareFraudReport } from '../cards/report-fraud.ts'
import { DomainError } from '../errors.ts'
import type { MoneyDeps, Page, Reversal, ReversalKind } from '../ports.ts'
import type { Run, Worked } from '../table/due.ts'
import { keys } from '../table/keys.ts'
import { DAY_MS } from '../time.ts'
import { recordedPurchase } from './payment-owner.ts'
import { type Purchase, purchaseOf, readPurchase } from './purchase.ts'
import { applyReversal } from './reversal.ts'

/** How far back each pass looks. A bank may take months to decide a dispute. */
const KINDS = { refund: 30 * DAY_MS, dispute: 120 * DAY_MS, warning: 30 * DAY_MS } as const satisfies Record<
  ReversalKind,
  number
>

/**
 * Makes the ledger follow every refund and dispute of the last months, and the cards every report of fraud,
 * whether or not an event reported it: the endpoint may have been deleted or disabled meanwhile. Each run lists
 * all of them, newest first; a run that is out of time is resumed by the next one.
 * @returns how many charges were behind and now agree, and how many failed.
 */
export async function compareReversals(deps: MoneyDeps, run: Run): Promise<Worked> {
  const worked = { done: 0, failed: 0 }
  for (const kind of ['refund', 'dispute', 'warning'] as const) {
    const key = keys.job(`compare-${kind}s`)
    let stored = (await deps.table.get(key))?.cursor
    let cursor = stored === undefined ? undefined : String(stored)
    do {
      if (deps.clock.nowMs() >= run.untilMs) return worked
      const page = await listFrom(deps, kind, cursor)
      await compareCharges(deps, kind, page.items, run.width, worked)
      cursor = page.nextCursor
      // The next run begins anew once this one has read the last page.
      if (cursor !== stored) await deps.table.put({ ...key, cursor })
      stored = cursor
    } while (cursor !== undefined)
  }
  return worked
}

/** The page after the cursor; the first one again if the object of the cursor no longer exists. */
function listFrom(deps: MoneyDeps, kind: ReversalKind, cursor: string | undefined): Promise<Page<Reversal>> {
  const sinceMs = deps.clock.nowMs() - KINDS[kind]
  return deps.payments.listReversals(kind, sinceMs, cursor).catch((error: unknown) => {
    if (!(error instanceof DomainError && error.code === 'not_found')) throw error
    return deps.payments.listReversals(kind, sinceMs)
  })
}

async function compareCharges(
  deps: MoneyDeps,
  kind: ReversalKind,
  reversals: Reversal[],
  width: number,
  worked: Worked,
): Promise<void> {
  const charges = [...Map.groupBy(reversals, ({ chargeId }) => chargeId).values()]
  const worker = async () => {
    for (let listed = charges.shift(); listed; listed = charges.shift()) {
      const [first] = listed
      try {
        if (!first) continue
        // The money first: a sign-up puts its card on file only once it is credited.
        const wasBehind = kind !== 'warning' && (await compareCharge(deps, kind, first, listed))
        const wasUntold = await compareFraudReport(deps, first, listed)
        if (wasBehind || wasUntold) worked.done++
      } catch (error) {
        worked.failed++
        const about = { item: first?.chargeId ?? '' }
        deps.log.error(
          'a refund, dispute or fraud warning could not be applied; the next sweep retries it',
          error,
          about,
        )
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, charges.length) }, worker))
}

/** @returns whether the ledger was behind. */
async function compareCharge(
  deps: MoneyDeps,
  kind: 'refund' | 'dispute',
  charge: Reversal,
  listed: Reversal[],
): Promise<boolean> {
  // The release of a hold looks like a refund but returns no money.
  const purchase = charge.captured ? await purchaseOfCharge(deps, charge) : undefined
  // A purchase that is not credited yet is credited by its job first.
  if (purchase?.state !== 'credited') return false
  const refundedCents = Math.min(charge.refundedCents, charge.chargedCents)
  const sum = listed.reduce((cents, { disputedCents }) => cents + disputedCents, 0)
  const disputedCents = Math.min(sum, charge.chargedCents - refundedCents)
  const lost = listed.filter(({ dispute }) => dispute?.status === 'lost')
  const agrees =
    purchase.refundedCents === refundedCents &&
    (kind === 'refund' || purchase.disputedCents === disputedCents) &&
    lost.every(({ id }) => purchase.lostDisputes?.includes(id))
  if (agrees) return false
  // `applyReversal` reads the charge itself, so it decides by all refunds and disputes of the charge.
  await applyReversal(deps, purchase, charge.chargeId)
  return true
}

/** The charge has its own copy of the payment's metadata, which is only a hint: the stored id decides. */
async function purchaseOfCharge(deps: MoneyDeps, charge: Reversal): Promise<Purchase | undefined> {
  const { paymentId } = charge
  if (paymentId === undefined) return undefined
  const named = purchaseOf(charge)
  const purchase = named && (await readPurchase(deps, named.accountId, named.purchaseId))
  return purchase?.paymentId === paymentId ? purchase : recordedPurchase(deps, paymentId)
}
