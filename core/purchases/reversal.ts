import { type Profile, parseProfile } from '../account/account.ts'
import { listChange, owes } from '../account/listed.ts'
import { absentObject } from '../cards/absence.ts'
import { debtWrites } from '../cards/fingerprint.ts'
import { readStoredCustomer } from '../cards/stored-customer.ts'
import { DomainError } from '../errors.ts'
import type { EventTypeName } from '../events/catalogue.ts'
import { announce } from '../events/outbox.ts'
import { expiryAfterDays, type LedgerEntry, ledgerWrites, type NewEntry } from '../ledger/entry.ts'
import type { Charge, Deps, Dispute, MoneyDeps } from '../ports.ts'
import { applyLedger, moveBalance, readQuota } from '../quota/apply-ledger.ts'
import type { Quota } from '../quota/quota.ts'
import { wakeRenewal } from '../quota/renewal-call.ts'
import { owingAlarm } from '../quota/reservation.ts'
import { isBelowRenewal } from '../quota/thresholds.ts'
import { expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { finishPurchase } from './credit.ts'
import { centsForReturnedUnits, unitsForReversal } from './owed-units.ts'
import { type Purchase, planOf, readPurchase } from './purchase.ts'
import { afterReversal } from './renewal.ts'
import { changeRenewal } from './renewal-state.ts'
import { reversalText } from './reversal-text.ts'

const REVERSAL_ATTEMPTS = 20

const hasTakenMoney = ({ status }: Dispute): boolean => status === 'open' || status === 'lost'

/** What refunds and disputes have taken from us, in the charge's currency, as the charge now shows. */
export function reversedAmounts(charge: Charge): Pick<Purchase, 'refundedCents' | 'disputedCents'> {
  // The provider reports the release of a hold as a refund.
  if (!charge.captured) return { refundedCents: 0, disputedCents: 0 }
  const refundedCents = Math.min(charge.refundedCents, charge.amountCents)
  const disputed = charge.disputes
    .filter(hasTakenMoney)
    // A dispute in another currency cannot be compared, so all of the charge counts as disputed.
    .reduce(
      (sum, { amountCents, currency }) =>
        sum + (currency === charge.currency ? amountCents : charge.amountCents),
      0,
    )
  return { refundedCents, disputedCents: Math.min(disputed, charge.amountCents - refundedCents) }
}

/** When the provider says that money moved, by the kind of ledger entry. */
type ReversalTimes = Partial<Record<LedgerEntry['kind'], number>>

/**
 * The times of the newest refund and dispute. The provider does not say when a refund failed or a dispute was
 * won; those entries, and the units, get the time at which they are written.
 */
function reversalTimes({ refunds, disputes }: Charge): ReversalTimes {
  const made = refunds.filter(({ status }) => status !== 'failed' && status !== 'canceled')
  const taken = disputes.filter(hasTakenMoney)
  const newest = (times: number[]) => (times.length > 0 ? Math.max(...times) : undefined)
  const refund = newest(made.map(({ createdMs }) => createdMs))
  const dispute = newest(taken.map(({ createdMs }) => createdMs))
  return { ...(refund !== undefined && { refund }), ...(dispute !== undefined && { dispute }) }
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
    if (!charge) throw absentObject()
    const target = reversedAmounts(charge)
    const isUpToDate =
      purchase.refundedCents === target.refundedCents && purchase.disputedCents === target.disputedCents
    const lost = newlyLost(purchase, charge)
    if (isUpToDate && lost.length === 0) return finishPurchase(deps, purchase, eventDone)
    try {
      const about = {
        times: reversalTimes(charge),
        isDisputeWon: isDisputeWon(charge),
        lost,
        fingerprint: charge.card?.fingerprint,
      }
      const writes = isUpToDate
        ? [lossWrite(purchase, lost), ...lossEvents(deps, purchase, lost)]
        : await reversalWrites(deps, purchase, parseProfile(item), target, about)
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

/** How much more money went back by refunds and by disputes; negative if some of it has returned. */
const reversalChange = (
  before: Purchase,
  target: Pick<Purchase, 'refundedCents' | 'disputedCents'>,
): Pick<Purchase, 'refundedCents' | 'disputedCents'> => ({
  refundedCents: target.refundedCents - before.refundedCents,
  disputedCents: target.disputedCents - before.disputedCents,
})

const isDisputeWon = ({ disputes }: Charge): boolean => disputes.some(({ status }) => status === 'won')

/** Disputes that the bank has decided against us since the purchase was last compared. */
const newlyLost = ({ lostDisputes = [] }: Purchase, { disputes }: Charge): Dispute[] =>
  disputes.filter(({ id, status }) => status === 'lost' && !lostDisputes.includes(id))

/** Notes lost disputes, which move no more money. */
const lossWrite = (purchase: Purchase, lost: readonly Dispute[]): Write => ({
  update: keys.purchase(purchase.accountId, purchase.id),
  set: expr`SET #lostDisputes = ${lostOf(purchase, lost)}`,
  if: unchangedSince(purchase, ['lostDisputes']),
})

const lostOf = ({ lostDisputes = [] }: Purchase, lost: readonly Dispute[]): string[] => [
  ...lostDisputes,
  ...lost.map(({ id }) => id),
]

const lossEvents = (deps: Deps, { accountId, id }: Purchase, lost: readonly Dispute[]): Write[] =>
  lost.map(({ id: disputeId, amountCents, currency }) =>
    announce(deps, accountId, 'dispute.lost', { purchaseId: id, disputeId, amountCents, currency }),
  )

/** The event of each entry about money; those about units have none of their own. */
const EVENT_OF_KIND: Partial<Record<LedgerEntry['kind'], ReversalEvent>> = {
  refund: 'refund.applied',
  refund_failed: 'refund.failed',
  dispute: 'dispute.opened',
  dispute_won: 'dispute.won',
}
type ReversalEvent = Extract<
  EventTypeName,
  'refund.applied' | 'refund.failed' | 'dispute.opened' | 'dispute.won'
>

/** The first event of a transaction has the units of all of it. */
function reversalEvents(
  deps: Deps,
  { accountId, id: purchaseId, currency }: Purchase,
  { entries, owedUnits }: ReturnType<typeof entriesOf>,
): Write[] {
  const units = entries.reduce((sum, entry) => sum + entry.units, 0)
  const told = entries.flatMap(({ kind, amountCents }) => {
    const type = EVENT_OF_KIND[kind]
    return type ? [{ type, amountCents: Math.abs(amountCents) }] : []
  })
  return told.map(({ type, amountCents }, at) =>
    announce(deps, accountId, type, {
      ...{ purchaseId, amountCents, currency },
      ...{ units: at === 0 ? units : 0, owedUnits },
    }),
  )
}

async function reversalWrites(
  deps: MoneyDeps,
  purchase: Purchase,
  profile: Profile,
  target: Pick<Purchase, 'refundedCents' | 'disputedCents'>,
  {
    times,
    isDisputeWon,
    lost,
    fingerprint,
  }: {
    times: ReversalTimes
    isDisputeWon: boolean
    lost: readonly Dispute[]
    fingerprint: string | undefined
  },
): Promise<Write[] | undefined> {
  const { accountId, id } = purchase
  const quota = await readQuota(deps, accountId)
  if (quota.seq !== profile.ledgerSeq) return undefined
  const nowMs = deps.clock.nowMs()
  const moved = entriesOf(purchase, target, quota.left, times, haveUnitsExpired(purchase, nowMs))
  const { entries, returnedUnits, returnedCents, owedUnits } = moved
  const amountCents = entries.reduce((sum, entry) => sum + entry.amountCents, 0)
  const units = entries.reduce((sum, entry) => sum + entry.units, 0)
  const seq = profile.ledgerSeq + entries.length
  const { [id]: owedBefore, ...others } = profile.owed ?? {}
  const owed = owedUnits > 0 ? { ...others, [id]: owedUnits } : others
  const isOwed = Object.keys(owed).length > 0
  const { refundedCents, disputedCents } = reversalChange(purchase, target)
  const isLow = isBelowRenewal(quota.left + units, quota)
  const cardId = (await readStoredCustomer(deps, accountId))?.defaultCardId
  const text = reversalText(purchase, {
    refundedCents,
    disputedCents,
    isDisputeWon,
    units,
    owedBefore: owedBefore ?? 0,
    owedAfter: owedUnits,
  })
  const renewalChange = afterReversal(profile, cardId, refundedCents + disputedCents, isLow)
  const renewal = changeRenewal(deps, profile, renewalChange, {
    lead: { messageType: 'payment_reversed', text },
  })
  const after = { owed: isOwed ? owed : undefined, balanceCents: profile.balanceCents + amountCents }
  const set = [
    expr`#ledgerSeq = ${seq}, #balanceCents = ${after.balanceCents}, #updatedAtMs = ${nowMs}`,
    ...(isOwed ? [expr`#owed = ${owed}`] : []),
    ...renewal.set,
  ]
  const { due, dueAtMs } = dueAt('PURCHASE', accountId, nowMs + LEASE_MS)
  return [
    {
      update: keys.purchase(accountId, id),
      // Restored units reach the counter later; the purchase stays due until then.
      set: setRemove(
        [
          expr`#refundedCents = ${target.refundedCents}, #disputedCents = ${target.disputedCents}, #returnedUnits = ${returnedUnits}, #returnedCents = ${returnedCents}, #due = ${due}, #dueAtMs = ${dueAtMs}`,
          ...(lost.length > 0 ? [expr`#lostDisputes = ${lostOf(purchase, lost)}`] : []),
        ],
        [],
      ),
      if: expr`#refundedCents = ${purchase.refundedCents} AND #disputedCents = ${purchase.disputedCents} AND #returnedUnits = ${purchase.returnedUnits}`,
    },
    {
      update: keys.invoice(accountId, id),
      set: expr`SET #refundedCents = ${target.refundedCents}, #disputedCents = ${target.disputedCents}`,
    },
    {
      update: keys.profile(accountId),
      set: setRemove(set, [...(isOwed ? [] : [expr`#owed`]), ...renewal.remove]),
      if: join([expr`#ledgerSeq = ${profile.ledgerSeq}`, renewal.unchanged], ' AND '),
    },
    ...ledgerWrites(accountId, profile.ledgerSeq, nowMs, entries),
    ...(await takeBackUnits(deps, accountId, quota, { units, seq })),
    // Reserved units are not left. What they could have paid is taken once they return.
    ...(isOwed && quota.held > 0 ? [owingAlarm(deps, accountId)] : []),
    // A renewal may have waited until no units are owed.
    ...(profile.owed && !isOwed && units >= 0 ? [wakeRenewal(deps, accountId)] : []),
    ...renewal.messages,
    ...listChange(profile, after),
    ...(await debtWrites(deps, fingerprint, accountId, owes(after))),
    ...reversalEvents(deps, purchase, moved),
    ...lossEvents(deps, purchase, lost),
  ]
}

/**
 * Units that are taken back leave the counter in the same transaction, because the units left may be spent at
 * any moment. Reversals are rare, and a consume that conflicts with one is retried.
 */
async function takeBackUnits(
  deps: MoneyDeps,
  accountId: string,
  quota: Quota,
  now: { units: number; seq: number },
): Promise<Write[]> {
  if (now.units >= 0) return []
  const change = await moveBalance(deps, accountId, quota, {
    units: now.units,
    size: quota.size,
    seq: now.seq,
  })
  return [{ update: keys.quota(accountId), ...change }]
}

/** Whether what was left of the units of a purchase has expired, so that none of them can be taken back any more. */
function haveUnitsExpired(purchase: Purchase, nowMs: number): boolean {
  const expiresAtMs = expiryAfterDays(
    purchase.paidAtMs ?? purchase.createdAtMs,
    planOf(purchase).expiresAfterDays,
  )
  return expiresAtMs !== undefined && nowMs >= expiresAtMs
}

/**
 * Ledger entries and totals that bring a purchase to `target`; at most `left` units are taken back.
 * @param hasExpired whether the units of the purchase have expired: none is taken back or owed then
 */
export function entriesOf(
  purchase: Purchase,
  target: Pick<Purchase, 'refundedCents' | 'disputedCents'>,
  left: number,
  times: ReversalTimes = {},
  hasExpired = false,
) {
  const { id: purchaseId, currency } = purchase
  const reversedCents = target.refundedCents + target.disputedCents
  const targetUnits = unitsForReversal(purchase, reversedCents)
  const returnedUnits =
    targetUnits <= purchase.returnedUnits
      ? targetUnits
      : purchase.returnedUnits + Math.min(targetUnits - purchase.returnedUnits, hasExpired ? 0 : left)
  const returnedCents = hasExpired
    ? reversedCents
    : centsForReturnedUnits(purchase, reversedCents, returnedUnits)
  const entry = (kind: LedgerEntry['kind'], amountCents: number, units = 0): NewEntry[] =>
    amountCents === 0 && units === 0
      ? []
      : [{ kind, units, amountCents, currency, purchaseId, atMs: times[kind] }]
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
    owedUnits: hasExpired ? 0 : targetUnits - returnedUnits,
  }
}
