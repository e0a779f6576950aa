import { type Profile, parseProfile } from '../account/account.ts'
import { listChange } from '../account/listed.ts'
import { markPaid } from '../cards/declined.ts'
import { keepCard } from '../cards/keep-card.ts'
import { provedNumber } from '../cards/shared-limits.ts'
import { announce } from '../events/outbox.ts'
import { expiryAfterDays, ledgerWrites, type NewEntry } from '../ledger/entry.ts'
import { priceText, unitsText } from '../notifications/amounts.ts'
import { grantMonth } from '../plans/grant-monthly.ts'
import { monthlyDue } from '../plans/monthly.ts'
import type { MoneyDeps, Payment, Receipt } from '../ports.ts'
import { applyLedger } from '../quota/apply-ledger.ts'
import { expr, join, setRemove } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import type { Write } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { invoiceItem } from './invoices.ts'
import { type Paid, payOwedUnits } from './owed-units.ts'
import { type Purchase, planOf, stillOpen } from './purchase.ts'
import { withRenewal } from './renewal-limits.ts'
import { changeRenewal, type LeadMessage } from './renewal-state.ts'
import { slotToFree, transactPurchase } from './transaction.ts'

/**
 * Turns the charge into units, once. What happened is dated by the charge's own time, since the outcome may
 * have become known much later. One transaction changes the purchase, the ledger, the bundle and the
 * slot. `finishPurchase` updates the hot counter separately, so that the transaction never conflicts with
 * consumes; the purchase stays due until that is done.
 * @returns the purchase as stored, also if a concurrent writer was first.
 */
export async function creditPurchase(
  deps: MoneyDeps,
  purchase: Purchase,
  payment: Payment,
): Promise<Purchase> {
  const { accountId, amountCents, currency, units, id } = purchase
  const receipt = payment.receipt ?? (await readReceipt(deps, payment))
  const nowMs = deps.clock.nowMs()
  const atMs = receipt?.chargedAtMs ?? nowMs
  let credited = purchase
  const other = await transactPurchase(deps, purchase, async (profile, card) => {
    const paid = await payOwedUnits(deps, profile, units)
    const entries: NewEntry[] = [
      { kind: 'payment', units: 0, amountCents, currency, purchaseId: id, atMs },
      {
        kind: 'sale',
        units,
        amountCents: -amountCents,
        currency,
        purchaseId: id,
        atMs,
        ...saleOf(purchase, nowMs),
      },
      ...paid.entries,
    ]
    credited = {
      ...purchase,
      state: 'credited',
      paymentId: payment.id,
      cardId: payment.paymentMethodId ?? purchase.cardId,
      paidAtMs: atMs,
      ledgerSeq: profile.ledgerSeq + entries.length,
      brand: receipt?.brand ?? card?.card?.brand,
      last4: receipt?.last4 ?? card?.card?.last4,
      receiptUrl: receipt?.url,
    }
    const due = dueAt('PURCHASE', accountId, nowMs + LEASE_MS)
    return [
      { put: { ...keys.purchase(accountId, id), ...credited, ...due }, if: stillOpen },
      ...creditOnProfile(deps, credited, profile, paid, nowMs),
      { put: invoiceItem(credited) },
      ...ledgerWrites(accountId, profile.ledgerSeq, nowMs, entries),
      ...paid.writes,
      ...monthlyDue(accountId, planOf(purchase), nowMs),
      ...markPaid(accountId, card),
      ...(purchase.kind === 'signup' ? provedNumber(purchase) : []),
      announce(deps, accountId, 'purchase.credited', { ...soldOf(purchase), keptUnits: unitsKept(paid) }),
    ]
  })
  return other ?? credited
}

/** What a sale's entry has of its own: from what the counter derives its thresholds, and the coupon. */
function saleOf(
  purchase: Purchase,
  nowMs: number,
): Pick<NewEntry, 'size' | 'lowPercent' | 'renewalPercent' | 'coupon' | 'discountCents' | 'expiresAtMs'> {
  const { units: size, lowPercent, renewalPercent, expiresAfterDays } = planOf(purchase)
  const expiresAtMs = expiryAfterDays(nowMs, expiresAfterDays)
  const { coupon } = purchase
  return {
    size,
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    ...(coupon && { coupon: coupon.code, discountCents: coupon.discountCents }),
    ...(lowPercent !== undefined && { lowPercent }),
    ...(renewalPercent !== undefined && { renewalPercent }),
  }
}

async function readReceipt(deps: MoneyDeps, { latestChargeId }: Payment): Promise<Receipt | undefined> {
  const charge = latestChargeId === undefined ? undefined : await deps.payments.readCharge(latestChargeId)
  if (!charge) return undefined
  const { createdMs: chargedAtMs, card, receiptUrl: url } = charge
  return { chargedAtMs, brand: card?.brand, last4: card?.last4, url }
}

/**
 * The profile's update, with a notice for each purchase, and also a mail for a renewal, because the customer
 * did not start it. A credit ends whatever kept the bundle from renewing.
 */
function creditOnProfile(
  deps: MoneyDeps,
  purchase: Purchase,
  before: Profile,
  paid: Paid,
  nowMs: number,
): Write[] {
  const { id, fingerprint, address, kind, amountCents, bundle, ledgerSeq, paidAtMs = nowMs } = purchase
  const isRenewal = kind === 'renewal'
  const renewed = isRenewal ? withRenewal(before, paidAtMs, amountCents) : before.renewed
  const profile = { ...before, renewed }
  const change = changeRenewal(
    deps,
    profile,
    { bundle, renewal: undefined },
    {
      ...(before.bundle === undefined && { by: 'first_bundle' }),
      lead: { ...creditMessage(purchase, paid), amountCents, currency: purchase.currency },
      atMs: paidAtMs,
    },
  )
  const last = { id, fingerprint, outcome: 'credited', atMs: nowMs }
  const set = [
    expr`#ledgerSeq = ${ledgerSeq}, #balanceCents = ${profile.balanceCents + paid.amountCents}`,
    expr`#plan = ${planOf(purchase)}, #paid = ${true}, #lastPurchase = ${last}, #updatedAtMs = ${nowMs}`,
    ...change.set,
    ...(address ? [expr`#address = ${address}`] : []),
    ...(paid.owed ? [expr`#owed = ${paid.owed}`] : []),
    ...(isRenewal ? [expr`#renewed = ${renewed}`] : []),
  ]
  const remove = [...change.remove, ...slotToFree(profile, id), ...(paid.owed ? [] : [expr`#owed`])]
  return [
    {
      update: keys.profile(profile.id),
      set: setRemove(set, remove),
      if: join([expr`#ledgerSeq = ${profile.ledgerSeq}`, change.unchanged], ' AND '),
    },
    ...change.messages,
    ...listChange(before, {
      ...{ bundle, paid: true, owed: paid.owed },
      balanceCents: before.balanceCents + paid.amountCents,
    }),
  ]
}

/** What events say of a purchase. */
export const soldOf = ({ id, kind, bundle, units, amountCents, currency }: Purchase) => ({
  ...{ purchaseId: id, kind, bundle, units, amountCents, currency },
})

/** Units of a credit that pay for owed ones. */
const unitsKept = ({ entries }: Paid): number => entries.reduce((sum, entry) => sum - entry.units, 0)

function creditMessage(
  { kind, bundle, units, amountCents, currency, coupon }: Purchase,
  paid: Paid,
): LeadMessage {
  const sold = unitsText(units)
  const price = priceText(amountCents, currency)
  const owed = unitsKept(paid)
  const isTaken = paid.entries.some((entry) => entry.kind === 'take')
  const why = isTaken ? 'that you owed' : 'that you had spent before a refund or dispute'
  const debt = owed > 0 ? ` We kept ${unitsText(owed)} of them ${why}.` : ''
  return kind === 'renewal'
    ? {
        messageType: 'renewed',
        text: `We renewed your ${bundle} bundle: ${sold} for ${price}.${debt}`,
        template: 'renewed',
      }
    : {
        messageType: 'purchased',
        text: `Payment received: ${sold} (${bundle}) for ${price}${coupon ? ` with the coupon ${coupon.code}` : ''}.${debt}`,
      }
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
  if (planOf(purchase).monthlyUnits !== undefined) await grantMonthNow(deps, accountId)
  if (kind === 'signup' && !finished) {
    const profile = await deps.table.get(keys.profile(accountId))
    if (profile && !hasOtherCard(purchase, parseProfile(profile))) {
      const isFirst = profile.trialUnits !== undefined
      await keepCard(deps, { accountId, customerId, cardId, address, decidesTrial: isFirst })
    }
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

/** The units of a plan that has monthly ones come with its sale, if they can. */
async function grantMonthNow(deps: MoneyDeps, accountId: string): Promise<void> {
  await grantMonth(deps, accountId).catch((error: unknown) => {
    const what = 'the units of the month were not granted at once; the job grant-monthly grants them'
    deps.log.warn(what, error, { accountId })
  })
}

/** Whether the customer has changed the card since the payment. The newer choice stands. */
const hasOtherCard = ({ paidAtMs = 0 }: Purchase, { cardChangedAtMs = 0 }: Profile): boolean =>
  cardChangedAtMs > paidAtMs
