import { DomainError } from '../errors.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Payment, PaymentEvent } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { ownerOf, syncCustomer } from './customer.ts'
import { holdOf, parseHold } from './hold.ts'
import { syncCard } from './sync.ts'
import { type CardDeps, mark, settleHold } from './verify.ts'

/** How long an event is remembered; the provider sends one again for three days. */
const REMEMBERED_SEC = 30 * 24 * 3600

/** Does an event's work; `marks` go into its transaction. */
type Work = (deps: CardDeps, event: PaymentEvent, marks: Write[]) => Promise<void>

/** What is done about events of each kind of object; all others are answered and left alone. */
const WORK: ReadonlyMap<string | undefined, Work> = new Map([
  ['payment_intent', paymentChanged],
  ['payment_method', cardChanged],
  ['customer', customerChanged],
  ['radar.early_fraud_warning', fraudWarned],
])

/**
 * Takes an event of the provider. Neither its content nor its order is trusted: it names an object, which is read
 * again. The event is marked as done in the transaction that does its work, so an error leaves it to be sent again.
 * @throws DomainError `webhook_refused` for one that is not signed for us, of the other mode or of another account
 */
export async function receiveEvent(
  deps: CardDeps,
  webhook: { body: Uint8Array; signature: string | undefined },
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const event = await deps.payments.readEvent({ ...webhook, secrets: deps.webhooks.secrets, nowMs })
  if (!event || event.livemode !== deps.webhooks.livemode || event.account !== undefined) {
    throw new DomainError('webhook_refused')
  }
  const work = WORK.get(event.objectKind)
  if (!work || event.objectId === undefined) return
  const done = keys.event(`stripe:${event.id}`)
  if (await deps.table.get(done)) return
  const ttl = Math.ceil(nowMs / 1000) + REMEMBERED_SEC
  await work(deps, event, [{ put: { ...done, ttl }, if: expr`attribute_not_exists(pk)` }])
}

async function paymentChanged(deps: CardDeps, event: PaymentEvent, marks: Write[]): Promise<void> {
  const payment = await deps.payments.readPayment(event.objectId ?? '')
  const found = payment && holdOf(payment)
  // One that is not confirmed is just being made: its request, or the sweep after it, goes on with it.
  if (!payment || !found || payment.status === 'unconfirmed') return mark(deps, marks)
  const item = await deps.table.get(keys.hold(found.accountId, found.holdId))
  if (item) await settleHold(deps, parseHold(item), payment, marks)
  else await releaseStray(deps, payment, marks)
}

/** A hold that nobody waits for: its verification was given up or finished, so the dollar goes back. */
async function releaseStray(deps: CardDeps, payment: Payment, marks: Write[]): Promise<void> {
  if (payment.status === 'held') await deps.payments.cancelPayment(payment.id)
  await mark(deps, marks)
}

async function cardChanged(deps: CardDeps, event: PaymentEvent, marks: Write[]): Promise<void> {
  const cardId = event.objectId ?? ''
  // A card that is detached no longer tells whose it was; the event does.
  const customerId = event.previousCustomerId ?? (await deps.payments.readCard(cardId))?.customerId
  const accountId = await ownerOf(deps, customerId)
  if (accountId === undefined || customerId === undefined) return mark(deps, marks)
  await syncCard(deps, { accountId, customerId }, cardId, marks)
}

async function customerChanged(deps: CardDeps, event: PaymentEvent, marks: Write[]): Promise<void> {
  const accountId = await ownerOf(deps, event.objectId)
  if (accountId === undefined) return mark(deps, marks)
  await syncCustomer(deps, accountId, event.objectId ?? '', marks)
}

async function fraudWarned(deps: CardDeps, event: PaymentEvent, marks: Write[]): Promise<void> {
  const warning = await deps.payments.readFraudWarning(event.objectId ?? '')
  const charge = warning && (await deps.payments.readCharge(warning.chargeId))
  const accountId = await ownerOf(deps, charge?.customerId)
  if (accountId === undefined) return mark(deps, marks)
  const text = `Your bank reports that a payment with the card ending in ${charge?.card?.last4 ?? '????'} may not have been yours.`
  await mark(deps, [...marks, { put: newNotice(deps, accountId, 'card_warning', text) }])
}
