import type Stripe from 'stripe'
import { priceText } from '../../../core/notifications/amounts.ts'
import { refuseDisputed } from './disputes.ts'
import { invalid, missing } from './errors.ts'
import { change, mergedMetadata } from './fields.ts'
import { listPage } from './lists.ts'
import { charge, paymentIntent } from './lookup.ts'
import { newId, own, ref, testCardOf } from './state.ts'
import { keep, later, seconds, type Turn } from './turn.ts'
import { settleWarnings } from './warnings.ts'
import type { Requests } from './wire.ts'

/** How long a refund to a test card with asynchronous refunds takes. */
const BANK_MS = 5000

export function createRefund(turn: Turn, params: Requests['POST /v1/refunds']): Stripe.Refund {
  const taken = chargeToRefund(turn, params)
  if (!taken.captured) {
    throw invalid('This charge has not been captured: cancel its PaymentIntent instead.', { param: 'charge' })
  }
  refuseDisputed(turn, taken.id)
  const left = taken.amount - taken.amount_refunded
  const price = (cents: number) => priceText(cents, taken.currency.toUpperCase())
  if (left === 0) {
    throw invalid(`Charge ${taken.id} has already been refunded.`, { code: 'charge_already_refunded' })
  }
  const amount = params.amount ?? left
  if (amount < 1)
    throw invalid('Invalid positive integer', { param: 'amount', code: 'parameter_invalid_integer' })
  if (amount > left) {
    throw invalid(
      `Refund amount (${price(amount)}) is greater than unrefunded amount on charge (${price(left)})`,
      { param: 'amount' },
    )
  }
  const { refunds: behaviour } = testCardOf(turn.state, taken.payment_method!)
  const created = keep<Stripe.Refund>(turn.state.refunds, {
    id: newId('re'),
    object: 'refund',
    amount,
    balance_transaction: null,
    charge: taken.id,
    created: seconds(turn),
    currency: taken.currency,
    customer: ref(taken.customer),
    customer_account: null,
    metadata: mergedMetadata({}, params.metadata),
    payment_intent: ref(taken.payment_intent),
    payment_method: taken.payment_method,
    reason: params.reason ?? null,
    receipt_number: null,
    source_transfer_reversal: null,
    status: behaviour === 'pending' ? 'pending' : 'succeeded',
    transfer_reversal: null,
    ...(behaviour === 'pending' && { pending_reason: 'processing' as const }),
  })
  turn.emit('refund.created', created)
  turn.emit('charge.refunded', taken, give(taken, amount))
  if (behaviour === 'pending') later(turn, BANK_MS, 'settle-refund', created.id)
  if (behaviour === 'failing') later(turn, BANK_MS, 'fail-refund', created.id)
  settleWarnings(turn, taken)
  return created
}

function chargeToRefund(turn: Turn, params: Requests['POST /v1/refunds']): Stripe.Charge {
  if (params.charge !== undefined) return charge(turn, params.charge, 400)
  if (params.payment_intent === undefined) {
    throw invalid(
      'One of the following params should be provided for this request: payment_intent or charge.',
    )
  }
  const intent = paymentIntent(turn, params.payment_intent, 400)
  const last = intent.latest_charge === null ? undefined : charge(turn, ref(intent.latest_charge))
  if (last?.status === 'succeeded') return last
  throw invalid('This PaymentIntent does not have a successful charge to refund.', {
    param: 'payment_intent',
  })
}

/** Adds to the refunded amount of the charge; negative for a failed refund. Returns the previous values. */
function give(taken: Stripe.Charge, amount: number): Partial<Stripe.Charge> {
  const refunded = taken.amount_refunded + amount
  return change(taken, { amount_refunded: refunded, refunded: refunded === taken.amount })
}

/** Makes a pending refund succeed. */
export function settleRefund(turn: Turn, id: string): void {
  const pending = turn.state.refunds[id]
  if (pending?.status !== 'pending') return
  pending.status = 'succeeded'
  delete pending.pending_reason
  tellOwner(turn, pending, { status: 'pending' })
}

/** Makes a refund fail: the bank returns the money, and the charge counts as paid again. */
export function failRefund(turn: Turn, id: string): void {
  const made = turn.state.refunds[id]
  if (!made || made.status === 'failed') return
  made.status = 'failed'
  made.failure_reason = 'expired_or_canceled_card'
  give(charge(turn, ref(made.charge!)!), -made.amount)
  turn.emit('refund.failed', made)
  tellOwner(turn, made, { status: 'succeeded' })
}

/** Emits two events for a change of a refund, one with the old name and one with the new name. */
function tellOwner(turn: Turn, changed: Stripe.Refund, previous: object): void {
  turn.emit('refund.updated', changed, previous)
  turn.emit('charge.refund.updated', changed, previous)
}

function refund(turn: Turn, id: string): Stripe.Refund {
  const found = own(turn.state.refunds, id)
  if (!found) throw missing('refund', id, 'refund', 404)
  return found
}

export function retrieveRefund(turn: Turn, _params: object, id: string): Stripe.Refund {
  return refund(turn, id)
}

export function updateRefund(turn: Turn, params: Requests['POST /v1/refunds/*'], id: string): Stripe.Refund {
  const found = refund(turn, id)
  const previous = change(found, { metadata: mergedMetadata(found.metadata ?? {}, params.metadata) })
  tellOwner(turn, found, previous)
  return found
}

export function listRefunds(turn: Turn, params: Requests['GET /v1/refunds']): Stripe.ApiList<Stripe.Refund> {
  const wanted = Object.values(turn.state.refunds).filter(
    (each) =>
      (params.charge === undefined || each.charge === params.charge) &&
      (params.payment_intent === undefined || each.payment_intent === params.payment_intent),
  )
  return listPage(wanted, params, '/v1/refunds')
}
