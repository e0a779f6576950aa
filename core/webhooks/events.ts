import { absentObject, isAbsentObject } from '../cards/absence.ts'
import { ownerOf, syncCustomer } from '../cards/customer.ts'
import { type Hold, hasEnded, holdOf, parseHold } from '../cards/hold.ts'
import { applyFraudReport, fraudReportOf, isFraudDispute, warningNews } from '../cards/report-fraud.ts'
import { releaseHold, settleHold } from '../cards/settle.ts'
import { syncCard } from '../cards/sync.ts'
import { DomainError } from '../errors.ts'
import type { Charge, Deps, MoneyDeps, Payment, PaymentEvent } from '../ports.ts'
import { finishPurchase } from '../purchases/credit.ts'
import { ownerOfPayment, recordedPurchase } from '../purchases/payment-owner.ts'
import type { Purchase } from '../purchases/purchase.ts'
import { applyReversal } from '../purchases/reversal.ts'
import { settlePurchase } from '../purchases/settle.ts'
import type { WatchfulRun, Worked } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { keys, STRIPE_EVENT_KEPT_MS, ttlAt } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import type { Write } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { isAbsentForGood, noteAbsence, UNDELIVERED_MS } from './absent-events.ts'
import { type ObjectKind, subscribedEvents } from './event-types.ts'

/** Does an event's work, and writes `eventDone` in the same transaction. */
type EventHandler = (deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]) => Promise<void>

/** The handler of each kind of object that Bursar subscribes to. */
const WORK_BY_KIND: Record<ObjectKind, EventHandler> = {
  payment_intent: paymentChanged,
  payment_method: cardChanged,
  customer: customerChanged,
  charge: chargeChanged,
  refund: refundChanged,
  dispute: disputeChanged,
  'radar.early_fraud_warning': fraudWarned,
}

/** The same handlers, to look up any string. Events of other kinds are answered 200 and change nothing. */
const HANDLERS: ReadonlyMap<string | undefined, EventHandler> = new Map(Object.entries(WORK_BY_KIND))

/** An endpoint may be subscribed to more: another event says the same of the payment, or nothing. */
const subscribed = new Set(subscribedEvents)

/**
 * Receives an event from the provider. Neither its content nor the order of events is trusted: the event
 * names an object, which is read from the provider again. The event is marked as done in the transaction that
 * does its work, so that after an error the provider sends the event again. An object that cannot be read is
 * such an error: the secret key may be that of another account for a while.
 * @throws DomainError `webhook_refused` for an event without a valid signature, of the other mode (live or
 *   test) or of another account; `temporarily_unavailable` if the object cannot be read
 */
export async function receiveWebhook(
  deps: MoneyDeps & Deps<'webhookSecrets'>,
  webhook: { body: Uint8Array; signature: string | undefined },
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const event = await deps.payments.readEvent({ ...webhook, secrets: deps.webhookSecrets, nowMs })
  if (!event || !isOurs(deps, event)) throw new DomainError('webhook_refused')
  await processEvent(deps, event)
}

/** Pages of 100 events, newest first. Older events have to wait until these are delivered. */
const UNDELIVERED_PAGES = 10

/**
 * Does the work of events that no webhook has delivered, oldest first, so that every change at the provider
 * is noticed.
 * @returns how many events had work left, and how many failed.
 */
export async function processMissedEvents(
  deps: MoneyDeps,
  { untilMs, alarm }: Omit<WatchfulRun, 'width'>,
): Promise<Worked> {
  const inTime = () => deps.clock.nowMs() < untilMs
  const nowMs = deps.clock.nowMs()
  // The newest events may still be on their way.
  const created = { sinceMs: nowMs - UNDELIVERED_MS, untilMs: nowMs - LEASE_MS }
  let page = await deps.payments.listUndelivered(created)
  const events = [...page.items]
  for (let pages = 1; pages < UNDELIVERED_PAGES && page.nextCursor !== undefined && inTime(); pages++) {
    page = await deps.payments.listUndelivered(created, page.nextCursor)
    events.push(...page.items)
  }
  const worked = { done: 0, failed: 0 }
  for (const event of events.reverse()) {
    if (!inTime()) break
    try {
      if (isOurs(deps, event) && (await processEvent(deps, event))) worked.done++
    } catch (error) {
      if (isAbsentObject(error) && (await isAbsentForGood(deps, event))) {
        await giveUpEvent(deps, alarm, event)
        continue
      }
      worked.failed++
      deps.log.error('a missed event of the provider failed; the next sweep will retry it', error, {
        event: event.id,
        type: event.type,
      })
    }
  }
  return worked
}

/** An event whose object stays absent raises an alarm, once. Money is compared with the ledger all the same. */
async function giveUpEvent(deps: MoneyDeps, alarm: WatchfulRun['alarm'], event: PaymentEvent): Promise<void> {
  alarm(
    `event ${event.id}: ${event.type} of ${event.objectId}, which Stripe does not show; check that StripeSecretKey is of the right account`,
  )
  await writeUnlessDone(deps, eventDoneWrites(deps, event))
}

const eventDoneWrites = (deps: MoneyDeps, event: PaymentEvent): Write[] => {
  const expiry = ttlAt(deps.clock.nowMs() + STRIPE_EVENT_KEPT_MS)
  return [{ put: { ...doneKey(event), ...expiry }, if: expr`attribute_not_exists(pk)` }]
}

const doneKey = (event: PaymentEvent) => keys.event(`stripe:${event.id}`)

const isOurs = (deps: MoneyDeps, event: PaymentEvent): boolean =>
  event.livemode === deps.paymentScope.livemode && event.account === undefined

/** Does an event's work, unless it is done already. @returns whether there was work to do. */
async function processEvent(deps: MoneyDeps, event: PaymentEvent): Promise<boolean> {
  const work = HANDLERS.get(event.objectKind)
  if (!work || event.objectId === undefined || !subscribed.has(event.type)) return false
  if (await deps.table.get(doneKey(event))) return false
  try {
    await work(deps, event, eventDoneWrites(deps, event))
  } catch (error) {
    if (isAbsentObject(error)) await noteAbsence(deps, event)
    throw error
  }
  return true
}

/** What the request that ends a purchase or a verification causes itself. Neither holds nor takes money. */
const BY_OURSELVES: readonly string[] = ['payment_intent.payment_failed', 'payment_intent.canceled']

/**
 * Whether the event is about a payment whose purchase or verification has ended without money: it ends only after the
 * provider has confirmed that its payment is canceled, so nothing needs to be read or done.
 */
async function isOver(deps: MoneyDeps, { type, objectId = '', metadata }: PaymentEvent): Promise<boolean> {
  if (!BY_OURSELVES.includes(type)) return false
  const purchase = await recordedPurchase(deps, objectId)
  if (purchase) return purchase.state === 'declined' || purchase.state === 'abandoned'
  const named = metadata.stage === deps.paymentScope.stage ? holdOf({ metadata }) : undefined
  if (!named) return false
  const item = await deps.table.get(keys.hold(named.accountId, named.holdId))
  return item === undefined || hasEnded(parseHold(item))
}

async function paymentChanged(deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]): Promise<void> {
  if (await isOver(deps, event)) return writeUnlessDone(deps, eventDone)
  const payment = await deps.payments.readPayment(event.objectId ?? '')
  if (!payment) throw absentObject()
  const owner = await ownerOfPayment(deps, payment)
  switch (owner.kind) {
    case 'hold':
      return holdChanged(deps, owner.hold, payment, eventDone)
    case 'purchase':
      return purchaseChanged(deps, owner.purchase, payment, eventDone)
    case 'stray':
      return cancelStray(deps, payment, eventDone)
    default:
      return writeUnlessDone(deps, eventDone)
  }
}

async function holdChanged(deps: MoneyDeps, hold: Hold, payment: Payment, eventDone: Write[]): Promise<void> {
  const settled = await settleHold(deps, hold, payment, eventDone)
  // The event is done only once the hold is released; until then the provider retries the event.
  if (settled.status === 'proved') await releaseHold(deps, settled.hold, eventDone)
}

async function purchaseChanged(
  deps: MoneyDeps,
  purchase: Purchase,
  payment: Payment,
  eventDone: Write[],
): Promise<void> {
  const settled = await settlePurchase(deps, purchase, payment, eventDone)
  // The event is done only once the units are in the counter; until then the provider retries the event.
  if (settled.status === 'credited') await finishPurchase(deps, settled.purchase, eventDone)
}

async function chargeChanged(deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]): Promise<void> {
  const charge = await deps.payments.readCharge(event.objectId ?? '')
  if (!charge) throw absentObject()
  // Stripe reports the release of a hold as a refund; only a captured charge has taken money.
  await settleReversal(deps, charge.captured ? charge.paymentId : undefined, eventDone)
}

async function refundChanged(deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]): Promise<void> {
  const refund = await deps.payments.readRefund(event.objectId ?? '')
  if (!refund) throw absentObject()
  await settleReversal(deps, refund.paymentId, eventDone)
}

async function disputeChanged(deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]): Promise<void> {
  const dispute = await deps.payments.readDispute(event.objectId ?? '')
  if (!dispute) throw absentObject()
  if (!isFraudDispute(dispute)) return settleReversal(deps, dispute.paymentId, eventDone)
  // The money first: a sign-up puts its card on file only once it is credited.
  await settleReversal(deps, dispute.paymentId, [])
  const charge = await deps.payments.readCharge(dispute.chargeId)
  if (!charge) throw absentObject()
  const accountId = await ownerOf(deps, charge.customerId)
  if (accountId === undefined) return writeUnlessDone(deps, eventDone)
  await applyFraudReport(deps, accountId, charge, fraudReportOf(charge, false), eventDone)
}

/** Applies a refund or a dispute, whose event may arrive before the event of the payment's success. */
async function settleReversal(
  deps: MoneyDeps,
  paymentId: string | undefined,
  eventDone: Write[],
): Promise<void> {
  if (paymentId === undefined) return writeUnlessDone(deps, eventDone)
  const payment = await deps.payments.readPayment(paymentId)
  if (!payment) throw absentObject()
  const owner = await ownerOfPayment(deps, payment)
  if (owner.kind !== 'purchase' || payment.latestChargeId === undefined)
    return writeUnlessDone(deps, eventDone)
  const settled = await settlePurchase(deps, owner.purchase, payment)
  const isPaid = settled.status === 'credited' && settled.purchase.paymentId === payment.id
  if (!isPaid) return writeUnlessDone(deps, eventDone)
  await applyReversal(deps, settled.purchase, payment.latestChargeId, eventDone)
}

/** Cancels a payment that nothing needs: its verification or purchase has ended or uses another payment. */
async function cancelStray(deps: MoneyDeps, payment: Payment, eventDone: Write[]): Promise<void> {
  if (payment.status !== 'canceled' && payment.status !== 'succeeded') {
    await deps.payments.cancelPayment(payment.id)
  }
  await writeUnlessDone(deps, eventDone)
}

async function cardChanged(deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]): Promise<void> {
  const cardId = event.objectId ?? ''
  // A detached card no longer names its customer, but the event still does.
  const customerId =
    event.previousCustomerId ?? event.customerId ?? (await deps.payments.readCard(cardId))?.customerId
  const accountId = await ownerOf(deps, customerId)
  if (accountId === undefined || customerId === undefined) return writeUnlessDone(deps, eventDone)
  await syncCard(deps, { accountId, customerId }, cardId, eventDone)
}

async function customerChanged(deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]): Promise<void> {
  const accountId = await ownerOf(deps, event.objectId)
  if (accountId === undefined) return writeUnlessDone(deps, eventDone)
  await syncCustomer(deps, accountId, event.objectId ?? '', eventDone)
}

async function fraudWarned(deps: MoneyDeps, event: PaymentEvent, eventDone: Write[]): Promise<void> {
  const warning = await deps.payments.readFraudWarning(event.objectId ?? '')
  const charge = warning && (await deps.payments.readCharge(warning.chargeId))
  if (!charge) throw absentObject()
  const accountId = await ownerOf(deps, charge.customerId)
  if (accountId === undefined) return writeUnlessDone(deps, eventDone)
  // A sign-up puts its card on file only once it is credited.
  await settleReversal(deps, charge.captured ? charge.paymentId : undefined, [])
  const news = event.type.endsWith('.created') ? { news: warningNews(charge) } : {}
  const report = fraudReportOf(charge, warning.actionable || hasGoneBack(charge))
  await applyFraudReport(deps, accountId, charge, { ...report, ...news }, eventDone)
}

/** A warning stops being actionable when its charge goes back, which says nothing good about the card. */
const hasGoneBack = ({ refundedCents, disputes }: Charge): boolean => refundedCents > 0 || disputes.length > 0
