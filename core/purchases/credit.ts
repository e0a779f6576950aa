import type { Profile } from '../account/account.ts'
import { markDeclined } from '../cards/declined.ts'
import { keepCard } from '../cards/keep-card.ts'
import { ledgerWrites, type NewEntry } from '../ledger/entry.ts'
import { priceText, unitsText } from '../notifications/amounts.ts'
import { newNotice } from '../notifications/notices.ts'
import { queueMail } from '../notifications/outbox.ts'
import type { MoneyDeps, Payment, Receipt } from '../ports.ts'
import { applyLedger } from '../quota/apply-ledger.ts'
import { expr, setRemove } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import type { Write } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { invoiceItem } from './invoices.ts'
import { type Paid, payOwedUnits } from './owed-units.ts'
import { type Purchase, stillOpen } from './purchase.ts'
import { renewedThisMonth } from './renewal.ts'
import { slotToFree, transactPurchase } from './transaction.ts'

/**
 * Turns the charge into units, once: one transaction changes the purchase, the ledger, the bundle and the
 * slot. `finishPurchase` updates the hot counter separately, so that the transaction never conflicts with
 * consumes; the purchase stays due until that is done.
 * @returns the purchase as stored, also if a concurrent writer was first.
 */
export async function creditPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  payment: Payment,
): Promise<Purchase> {
  const { accountId, amountCents, units, id } = purchase
  const receipt = payment.receipt ?? (await readReceipt(deps, payment))
  const nowMs = deps.clock.nowMs()
  let credited = purchase
  const other = await transactPurchase(deps, purchase, async (profile, card) => {
    const paid = await payOwedUnits(deps, profile, units)
    const entries: NewEntry[] = [
      { kind: 'payment', units: 0, amountCents, purchaseId: id },
      { kind: 'sale', units, amountCents: -amountCents, purchaseId: id, size: units },
      ...paid.entries,
    ]
    credited = {
      ...purchase,
      state: 'credited',
      paymentId: payment.id,
      cardId: payment.paymentMethodId ?? purchase.cardId,
      paidAtMs: nowMs,
      ledgerSeq: profile.ledgerSeq + entries.length,
      brand: receipt?.brand ?? card?.card?.brand,
      last4: receipt?.last4 ?? card?.card?.last4,
      receiptUrl: receipt?.url,
      receiptAtMs: receipt && nowMs,
    }
    const due = dueAt('PURCHASE', accountId, nowMs + LEASE_MS)
    return [
      { put: { ...keys.purchase(accountId, id), ...credited, ...due }, if: stillOpen },
      creditOnProfile(credited, profile, paid, nowMs),
      { put: invoiceItem(credited) },
      ...ledgerWrites(accountId, profile.ledgerSeq, nowMs, entries),
      ...paid.writes,
      ...markDeclined(accountId, card, false),
      ...creditMessages(deps, profile, credited),
    ]
  })
  return other ?? credited
}

async function readReceipt(deps: MoneyDeps, { latestChargeId }: Payment): Promise<Receipt | undefined> {
  const charge = latestChargeId === undefined ? undefined : await deps.payments.readCharge(latestChargeId)
  return charge && { brand: charge.card?.brand, last4: charge.card?.last4, url: charge.receiptUrl }
}

function creditOnProfile(purchase: Purchase, profile: Profile, paid: Paid, nowMs: number): Write {
  const { id, fingerprint, address, kind, amountCents, bundle, ledgerSeq } = purchase
  const last = { id, fingerprint, outcome: 'credited', atMs: nowMs }
  const set = [
    expr`#ledgerSeq = ${ledgerSeq}, #balanceCents = ${profile.balanceCents + paid.amountCents}`,
    expr`#bundle = ${bundle}, #paid = ${true}, #lastPurchase = ${last}, #updatedAtMs = ${nowMs}`,
    ...(address ? [expr`#address = ${address}`] : []),
    ...(paid.owed ? [expr`#owed = ${paid.owed}`] : []),
    ...(kind === 'renewal' ? [expr`#renewed = ${renewedThisMonth(profile, nowMs, amountCents)}`] : []),
  ]
  return {
    update: keys.profile(profile.id),
    set: setRemove(set, [expr`#renewal`, ...slotToFree(profile, id), ...(paid.owed ? [] : [expr`#owed`])]),
    if: expr`#ledgerSeq = ${profile.ledgerSeq}`,
  }
}

/** A notice for each purchase, and also a mail for a renewal, because the customer did not start it. */
function creditMessages(deps: MoneyDeps, profile: Profile, purchase: Purchase): Write[] {
  const { accountId, bundle, amountCents, units, kind } = purchase
  const sold = unitsText(units)
  const text =
    kind === 'renewal'
      ? `We renewed your ${bundle} bundle: ${sold} for ${priceText(amountCents)}.`
      : `Payment received: ${sold} (${bundle}) for ${priceText(amountCents)}.`
  const notice: Write = {
    put: newNotice(deps, accountId, kind === 'renewal' ? 'renewed' : 'purchased', text),
  }
  if (kind !== 'renewal') return [notice]
  const { write } = queueMail(
    deps,
    {
      accountId,
      to: profile.email,
      template: 'renewed',
      values: { username: profile.username, bundle, amountCents },
    },
    0,
  )
  return [notice, write]
}

/**
 * Finishes a credited purchase: adds its units to the hot counter and keeps the card of a sign-up. Afterwards
 * the purchase is no longer due. Safe to repeat.
 * @param eventDone writes that mark the webhook event as done; they go into the last write.
 */
export async function finishPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  eventDone: readonly Write[] = [],
): Promise<void> {
  const { accountId, id, kind, customerId, cardId, address, finished } = purchase
  // The units come first, because they do not depend on the provider.
  await applyLedger(deps, accountId)
  if (kind === 'signup' && !finished && !(await hasOtherCard(deps, purchase))) {
    await keepCard(deps, { accountId, customerId, cardId, address })
  }
  await writeUnlessDone(deps, [
    {
      update: keys.purchase(accountId, id),
      set: expr`SET #finished = ${true} REMOVE #due, #dueAtMs`,
      if: expr`#state = ${'credited'}`,
    },
    ...eventDone,
  ])
}

/** Whether the customer has changed the card since the payment. The newer choice stands. */
async function hasOtherCard(deps: MoneyDeps, { accountId, paidAtMs = 0 }: Purchase): Promise<boolean> {
  const profile = await deps.table.get(keys.profile(accountId))
  return Number(profile?.cardChangedAtMs ?? 0) > paidAtMs
}
