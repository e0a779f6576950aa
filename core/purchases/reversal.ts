import { type Profile, parseProfile } from '../account/account.ts'
import { readStoredCustomer } from '../cards/stored-customer.ts'
import { DomainError } from '../errors.ts'
import { type LedgerEntry, ledgerWrites, type NewEntry } from '../ledger/entry.ts'
import { unitsText } from '../notifications/amounts.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Charge, MoneyDeps } from '../ports.ts'
import { applyLedger, moveBalance, readQuota } from '../quota/apply-ledger.ts'
import type { Quota } from '../quota/quota.ts'
import { needsRenewal } from '../quota/thresholds.ts'
import { wakeRenewal } from '../quota/wake-renewal.ts'
import { expr, setRemove } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { finishPurchase } from './credit.ts'
import { centsForReturnedUnits, unitsForReversal } from './owed-units.ts'
import { type Purchase, readPurchase } from './purchase.ts'
import { afterReversal } from './renewal.ts'

const REVERSAL_ATTEMPTS = 20

/** Money that refunds and disputes have taken from us, in cents, as the charge now shows. */
export function reversedAmounts(charge: Charge): Pick<Purchase, 'refundedCents' | 'disputedCents'> {
  // The provider reports the release of a hold as a refund.
  if (!charge.captured) return { refundedCents: 0, disputedCents: 0 }
  const refundedCents = Math.min(charge.refundedCents, charge.amountCents)
  const disputed = charge.disputes
    .filter(({ status }) => status === 'open' || status === 'lost')
    .reduce((sum, { amountCents }) => sum + amountCents, 0)
  return { refundedCents, disputedCents: Math.min(disputed, charge.amountCents - refundedCents) }
}

/**
 * Makes the ledger follow refunds and disputes. The ledger follows the charge's current state and not the
 * events, so duplicate, late or reordered events change nothing. At most the units left are taken back; the
 * rest is owed and paid by the next credit.
 * @param eventDone writes that mark the webhook event as done; they go into the last write.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function applyReversal(
  deps: MoneyDeps,
  { accountId, id }: Purchase,
  chargeId: string,
  eventDone: readonly Write[] = [],
): Promise<void> {
  for (let tries = 0; tries < REVERSAL_ATTEMPTS; tries++) {
    // Units can be taken back only from a counter that has caught up with the ledger.
    await applyLedger(deps, accountId)
    const purchase = await readPurchase(deps, accountId, id)
    if (purchase?.state !== 'credited') throw new Error('only a credited purchase can be reversed')
    const item = await deps.table.get(keys.profile(accountId))
    if (!item) throw new Error('a purchase has no account')
    // Read the charge after the profile: the write requires the same `ledgerSeq`, so no stale charge wins.
    const charge = await deps.payments.readCharge(chargeId)
    if (!charge) throw new Error('the provider does not know the charge of a purchase')
    const target = reversedAmounts(charge)
    const isUpToDate =
      purchase.refundedCents === target.refundedCents && purchase.disputedCents === target.disputedCents
    if (isUpToDate) return finishPurchase(deps, purchase, eventDone)
    try {
      const writes = await reversalWrites(deps, purchase, parseProfile(item), target)
      // A concurrent credit is not in the counter yet: retry.
      if (!writes) continue
      await deps.table.transact(writes)
      // Restored units still have to reach the counter.
      return finishPurchase(deps, purchase, eventDone)
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}

async function reversalWrites(
  deps: MoneyDeps,
  purchase: Purchase,
  profile: Profile,
  target: Pick<Purchase, 'refundedCents' | 'disputedCents'>,
): Promise<Write[] | undefined> {
  const { accountId, id } = purchase
  const quota = await readQuota(deps, accountId)
  if (quota.seq !== profile.ledgerSeq) return undefined
  const nowMs = deps.clock.nowMs()
  const { entries, returnedUnits, returnedCents, owedUnits } = entriesOf(purchase, target, quota.left)
  const amountCents = entries.reduce((sum, entry) => sum + entry.amountCents, 0)
  const units = entries.reduce((sum, entry) => sum + entry.units, 0)
  const seq = profile.ledgerSeq + entries.length
  const { [id]: _, ...others } = profile.owed ?? {}
  const owed = owedUnits > 0 ? { ...others, [id]: owedUnits } : others
  const isOwed = Object.keys(owed).length > 0
  const reversedMore =
    target.refundedCents + target.disputedCents > purchase.refundedCents + purchase.disputedCents
  const isLow = needsRenewal(quota.left + units, quota.size)
  const cardId = (await readStoredCustomer(deps, accountId))?.defaultCardId
  const renewal = afterReversal(profile, cardId, reversedMore, isLow)
  const set = [
    expr`#ledgerSeq = ${seq}, #balanceCents = ${profile.balanceCents + amountCents}, #updatedAtMs = ${nowMs}`,
    ...(isOwed ? [expr`#owed = ${owed}`] : []),
    ...renewal.set,
  ]
  const { due, dueAtMs } = dueAt('PURCHASE', accountId, nowMs + LEASE_MS)
  return [
    {
      update: keys.purchase(accountId, id),
      // Restored units reach the counter later; the purchase stays due until then.
      set: expr`SET #refundedCents = ${target.refundedCents}, #disputedCents = ${target.disputedCents}, #returnedUnits = ${returnedUnits}, #returnedCents = ${returnedCents}, #due = ${due}, #dueAtMs = ${dueAtMs}`,
      if: expr`#refundedCents = ${purchase.refundedCents} AND #disputedCents = ${purchase.disputedCents} AND #returnedUnits = ${purchase.returnedUnits}`,
    },
    {
      update: keys.invoice(accountId, id),
      set: expr`SET #refundedCents = ${target.refundedCents}, #disputedCents = ${target.disputedCents}`,
    },
    {
      update: keys.profile(accountId),
      set: setRemove(set, [...(isOwed ? [] : [expr`#owed`]), ...renewal.remove]),
      if: expr`#ledgerSeq = ${profile.ledgerSeq}`,
    },
    ...ledgerWrites(accountId, profile.ledgerSeq, nowMs, entries),
    ...takeBackUnits(deps, accountId, quota, { units, seq }),
    // A renewal may have waited until no units are owed.
    ...(profile.owed && !isOwed && units >= 0 ? [wakeRenewal(deps, accountId)] : []),
    { put: newNotice(deps, accountId, 'payment_reversed', noticeText(purchase, reversedMore, owedUnits)) },
  ]
}

/**
 * Units that are taken back leave the counter in the same transaction, because the units left may be spent at
 * any moment. Reversals are rare, and a consume that conflicts with one is retried.
 */
function takeBackUnits(
  deps: MoneyDeps,
  accountId: string,
  quota: Quota,
  now: { units: number; seq: number },
): Write[] {
  if (now.units >= 0) return []
  const change = moveBalance(deps, accountId, quota, { units: now.units, size: quota.size, seq: now.seq })
  return [{ update: keys.quota(accountId), ...change }]
}

/** Ledger entries and totals that bring a purchase to `target`; at most `left` units are taken back. */
export function entriesOf(
  purchase: Purchase,
  target: Pick<Purchase, 'refundedCents' | 'disputedCents'>,
  left: number,
) {
  const purchaseId = purchase.id
  const reversedCents = target.refundedCents + target.disputedCents
  const targetUnits = unitsForReversal(purchase, reversedCents)
  const returnedUnits =
    targetUnits <= purchase.returnedUnits
      ? targetUnits
      : purchase.returnedUnits + Math.min(targetUnits - purchase.returnedUnits, left)
  const returnedCents = centsForReturnedUnits(purchase, reversedCents, returnedUnits)
  const entry = (kind: LedgerEntry['kind'], amountCents: number, units = 0): NewEntry[] =>
    amountCents === 0 && units === 0 ? [] : [{ kind, units, amountCents, purchaseId }]
  const refunded = purchase.refundedCents - target.refundedCents
  const disputed = purchase.disputedCents - target.disputedCents
  const units = purchase.returnedUnits - returnedUnits
  const worth = returnedCents - purchase.returnedCents
  return {
    entries: [
      ...entry(refunded < 0 ? 'refund' : 'refund_failed', refunded),
      ...entry(disputed < 0 ? 'dispute' : 'dispute_won', disputed),
      ...entry(units > 0 ? 'restore' : 'return', worth, units),
    ],
    returnedUnits,
    returnedCents,
    owedUnits: targetUnits - returnedUnits,
  }
}

function noticeText({ bundle }: Purchase, reversedMore: boolean, owedUnits: number): string {
  if (!reversedMore) return `A refund or dispute of your ${bundle} payment was reversed; its units are back.`
  const spent =
    owedUnits > 0
      ? ` You had already spent ${unitsText(owedUnits)}; we will take them from your next purchase.`
      : ''
  return `Your ${bundle} payment was refunded or disputed, so we took back its units.${spent}`
}
