import { parseProfile } from '../account/account.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Charge, Deps, Dispute, Reversal } from '../ports.ts'
import { changeRenewal } from '../purchases/renewal-state.ts'
import { wakeRenewal } from '../quota/renewal-call.ts'
import { setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import type { Write } from '../table/table.ts'
import { writeUnlessDone, writeWithEvent } from '../table/write-all.ts'
import { absentObject } from './absence.ts'
import { ownerOf } from './customer.ts'
import { markCard } from './declined.ts'
import { fingerprintDigest, fingerprintWrite, readFingerprint, withFraud } from './fingerprint.ts'
import {
  type CardNumber,
  cardNumberItem,
  isSignal,
  readCardNumber,
  type SignalReason,
  unchangedNumber,
} from './number.ts'
import { listLiveCards } from './on-file.ts'
import { readStoredCustomer } from './stored-customer.ts'
import { readStoredCard, syncCard } from './sync.ts'

/** A report that a charge was not made by the card's holder. */
export interface FraudReport {
  chargeId: string
  /** Why the card must not be charged; undefined once the report is withdrawn. */
  reason: SignalReason | undefined
  /** A notice for the owner, who is told once. */
  news?: { messageType: string; text: string }
}

/** Reasons of a dispute by which the card's holder denies having made the payment. */
const FRAUD_REASONS: readonly string[] = ['fraudulent', 'unrecognized']

export const isFraudDispute = ({ reason, status }: Pick<Dispute, 'reason' | 'status'>): boolean =>
  FRAUD_REASONS.includes(reason) && status !== 'inquiry'

/**
 * What a charge's disputes say about its card. A dispute that is won withdraws the bank's warning as well.
 * @param isWarned whether the bank has warned of the charge, should there be no such dispute.
 */
export function fraudReportOf({ id, disputes }: Charge, isWarned: boolean): FraudReport {
  const denied = disputes.filter(isFraudDispute)
  if (denied.some(({ status }) => status !== 'won')) return { chargeId: id, reason: 'card_disputed' }
  return { chargeId: id, reason: isWarned && denied.length === 0 ? 'fraud_warning' : undefined }
}

/** What the owner of a card is told about a bank's warning of a charge. */
export const warningNews = ({ card }: Charge): NonNullable<FraudReport['news']> => ({
  messageType: 'card_warning',
  text: `Your bank reports that a payment with the card ending in ${card?.last4 ?? '????'} may not have been yours. If you do not recognise it, please contact us.`,
})

/**
 * Makes the card of a charge follow the disputes or warnings of the charge that a list shows, whether or not an
 * event reported them. Costs two reads of the table if the card agrees, and none if nothing speaks of fraud.
 * @param listed all of the charge's disputes in the list, or its warning.
 * @returns whether the card was behind.
 */
export async function compareFraudReport(
  deps: Deps<'table' | 'payments'>,
  { chargeId, customerId, cardNumber }: Reversal,
  listed: readonly Reversal[],
): Promise<boolean> {
  const denied = listed.flatMap(({ dispute }) => (dispute && isFraudDispute(dispute) ? [dispute] : []))
  const isWarned = listed.some(({ warns }) => warns)
  if (cardNumber === undefined || (denied.length === 0 && !isWarned)) return false
  const accountId = await ownerOf(deps, customerId)
  if (accountId === undefined) return false
  const { signals } = await readCardNumber(deps, accountId, cardNumber)
  const known = signals?.[chargeId]
  const reason = denied.some(({ status }) => status !== 'won') ? 'card_disputed' : undefined
  // A dispute says more than a warning, and so does the win of one.
  if (isWarned ? known !== undefined : known === reason) return false
  const charge = await deps.payments.readCharge(chargeId)
  if (!charge) throw absentObject()
  const report = fraudReportOf(charge, isWarned)
  if (report.reason === known) return false
  const news = isWarned ? { news: warningNews(charge) } : {}
  await applyFraudReport(deps, accountId, charge, { ...report, ...news }, [])
  return true
}

/**
 * Makes the card of a charge follow a report of fraud: no bank is asked about the card any more and renewal
 * pauses, whatever is left of the bundle, until another card is proved or the report is withdrawn. Safe to
 * repeat.
 * @param eventDone writes that mark the webhook event as done; they go into the same transaction.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function applyFraudReport(
  deps: Deps<'table' | 'payments'>,
  accountId: string,
  charge: Charge,
  report: FraudReport,
  eventDone: readonly Write[],
): Promise<void> {
  await bringOnFile(deps, accountId, charge)
  return writeReport(deps, accountId, charge, report, eventDone)
}

/** As `applyFraudReport`, for a charge whose card need not be on file. */
export async function writeReport(
  deps: Deps<'table'>,
  accountId: string,
  charge: Charge,
  reported: FraudReport,
  eventDone: readonly Write[] = [],
): Promise<void> {
  const number = charge.card?.fingerprint ?? charge.paymentMethodId
  if (number === undefined) return writeUnlessDone(deps, eventDone)
  const apply = async () => {
    const shared = await sharedReport(deps, accountId, charge, reported)
    const report = shared.isWithdrawn ? { ...reported, reason: undefined } : reported
    const before = await readCardNumber(deps, accountId, number)
    const after = withReport(before, report)
    const { writes, isTold } = after
      ? await reportWrites(deps, accountId, charge, number, before, after, report.news)
      : { writes: [], isTold: false }
    const { news } = report
    const notice = news && !isTold ? [{ put: newNotice(deps, accountId, news.messageType, news.text) }] : []
    await writeWithEvent(deps, [...writes, ...shared.writes, ...notice], eventDone)
  }
  return retryRaces(deps, apply, 'temporarily_unavailable')
}

/** Blocks the number of the card for every account, or lets it go on, unless an operator has withdrawn the report. */
async function sharedReport(
  deps: Deps<'table'>,
  accountId: string,
  { id, card }: Charge,
  { reason }: FraudReport,
): Promise<{ writes: Write[]; isWithdrawn: boolean }> {
  if (card?.fingerprint === undefined) return { writes: [], isWithdrawn: false }
  const before = await readFingerprint(deps, fingerprintDigest(card.fingerprint))
  if (before.withdrawn?.includes(id)) return { writes: [], isWithdrawn: true }
  const nowMs = deps.clock.nowMs()
  const after = withFraud(before, { id, accountId, reason }, nowMs)
  return { writes: after ? [fingerprintWrite(before, after, nowMs)] : [], isWithdrawn: false }
}

/** The event of the charge may come before that of its card. */
async function bringOnFile(
  deps: Deps<'table' | 'payments'>,
  accountId: string,
  { customerId, paymentMethodId }: Charge,
): Promise<void> {
  if (customerId === undefined || paymentMethodId === undefined) return
  if (await readStoredCard(deps, accountId, paymentMethodId)) return
  await syncCard(deps, { accountId, customerId }, paymentMethodId)
}

/** The record with the report added or withdrawn; undefined if that changes nothing. */
function withReport(before: CardNumber, { chargeId: id, reason }: FraudReport): CardNumber | undefined {
  const { [id]: known, ...others } = before.signals ?? {}
  if (known === reason) return undefined
  return { ...before, signals: reason ? { ...others, [id]: reason } : others }
}

async function reportWrites(
  deps: Deps<'table'>,
  accountId: string,
  { paymentMethodId, card }: Charge,
  number: string,
  before: CardNumber,
  after: CardNumber,
  news: FraudReport['news'],
): Promise<{ writes: Write[]; isTold: boolean }> {
  const nowMs = deps.clock.nowMs()
  const [reason] = Object.values(after.signals ?? {})
  const cards = (await listLiveCards(deps, accountId)).filter(
    (each) => each.cardId === paymentMethodId || each.card.fingerprint === number,
  )
  const marks = cards.flatMap((each) => {
    if (reason) {
      return markCard(accountId, each, {
        declined: true,
        reason,
        closed: true,
        ...(each.restsUntilMs !== undefined && { restsUntilMs: each.restsUntilMs }),
      })
    }
    return isSignal(each.reason) ? markCard(accountId, each, {}) : []
  })
  const cardIds = cards.map(({ cardId }) => cardId)
  const lead = news ?? { messageType: 'card_blocked', text: blockedText(card?.last4) }
  const renewal = await renewalWrites(deps, accountId, cardIds, reason, lead)
  const record = {
    put: cardNumberItem(accountId, number, after, nowMs),
    if: unchangedNumber(before),
  }
  return { writes: [record, ...marks, ...renewal], isTold: renewal.length > 0 }
}

/** Pauses the renewal that would charge the card next, or lets it go on. Its owner is told once. */
async function renewalWrites(
  deps: Deps<'table'>,
  accountId: string,
  cardIds: readonly string[],
  reason: SignalReason | undefined,
  lead: { messageType: string; text: string },
): Promise<Write[]> {
  const item = await deps.table.get(keys.profile(accountId))
  const cardId = (await readStoredCustomer(deps, accountId))?.defaultCardId
  if (!item || cardId === undefined || !cardIds.includes(cardId)) return []
  const profile = parseProfile(item)
  const { renewal } = profile
  const isPaused = renewal?.cardId === cardId && isSignal(renewal.reason)
  if (isPaused === (reason !== undefined)) return []
  const failures = renewal?.failures ?? 0
  const change = reason
    ? changeRenewal(deps, profile, { renewal: { state: 'paused', reason, cardId, failures } }, { lead })
    : changeRenewal(deps, profile, { renewal: undefined })
  return [
    {
      update: keys.profile(accountId),
      set: setRemove(change.set, change.remove),
      if: change.unchanged,
    },
    ...change.messages,
    ...(reason ? [] : [wakeRenewal(deps, accountId)]),
  ]
}

const blockedText = (last4 = '????'): string =>
  `A payment with your card ending in ${last4} was disputed as fraud, so we no longer charge this card. Please add another card.`
