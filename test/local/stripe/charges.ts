import type Stripe from 'stripe'
import { DECLINES, type DeclineCode } from './cards.ts'
import { openDispute } from './disputes.ts'
import { missing } from './errors.ts'
import { listPage } from './lists.ts'
import { charge } from './lookup.ts'
import { newId, own, ref, testCardOf } from './state.ts'
import { keep, seconds, type Turn } from './turn.ts'
import type { Requests } from './wire.ts'

export function chargeFor(
  turn: Turn,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  result: { captured: boolean } | { failure: DeclineCode },
): Stripe.Charge {
  const failure = 'failure' in result ? result.failure : undefined
  const captured = 'captured' in result && result.captured
  const id = newId('ch')
  const { blocked } = testCardOf(turn.state, method.id)
  return keep(turn.state.charges, {
    id,
    object: 'charge',
    amount: intent.amount,
    amount_captured: captured ? intent.amount : 0,
    amount_refunded: 0,
    application: null,
    application_fee: null,
    application_fee_amount: null,
    balance_transaction: null,
    billing_details: structuredClone(method.billing_details),
    calculated_statement_descriptor: 'BURSAR',
    captured,
    created: seconds(turn),
    currency: intent.currency,
    customer: ref(intent.customer),
    description: intent.description,
    disputed: false,
    failure_balance_transaction: null,
    failure_code: failure ? DECLINES[failure].code : null,
    failure_message: failure ? DECLINES[failure].message : null,
    fraud_details: {},
    livemode: false,
    metadata: { ...intent.metadata },
    on_behalf_of: null,
    outcome: failure ? refusedOutcome(failure, blocked === true) : APPROVED,
    paid: failure === undefined,
    payment_intent: intent.id,
    payment_method: method.id,
    payment_method_details: {
      card: cardDetails(turn, intent, method, captured || failure !== undefined),
      type: 'card',
    },
    radar_options: {},
    receipt_email: intent.receipt_email,
    receipt_number: null,
    receipt_url: failure ? null : `https://pay.stripe.com/receipts/payment/${id}`,
    refunded: false,
    review: null,
    shipping: null,
    source: null,
    source_transfer: null,
    statement_descriptor: null,
    statement_descriptor_suffix: intent.statement_descriptor_suffix,
    status: failure ? 'failed' : 'succeeded',
    transfer_data: null,
    transfer_group: null,
  })
}

const APPROVED: Stripe.Charge.Outcome = {
  advice_code: null,
  network_advice_code: null,
  network_decline_code: null,
  network_status: 'approved_by_network',
  reason: null,
  risk_level: 'normal',
  risk_score: 12,
  seller_message: 'Payment complete.',
  type: 'authorized',
}

function refusedOutcome(code: DeclineCode, blocked: boolean): Stripe.Charge.Outcome {
  return {
    advice_code: DECLINES[code].advice ?? null,
    network_advice_code: null,
    network_decline_code: null,
    network_status: blocked ? 'not_sent_to_network' : 'declined_by_network',
    reason: blocked ? 'highest_risk_level' : code,
    risk_level: blocked ? 'highest' : 'normal',
    risk_score: blocked ? 95 : 12,
    seller_message: blocked ? 'Stripe blocked this payment.' : 'The bank declined this payment.',
    type: blocked ? 'blocked' : 'issuer_declined',
  }
}

function cardDetails(
  turn: Turn,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  final: boolean,
): Stripe.Charge.PaymentMethodDetails.Card {
  const card = method.card!
  const { setup_credential_usage: setUp, stored_credential_usage: stored } =
    intent.payment_method_options?.card ?? {}
  return {
    amount_authorized: intent.amount,
    authorization_code: null,
    brand: card.brand,
    ...(!final && { capture_before: seconds(turn) + 7 * 86_400 }),
    checks: card.checks,
    country: card.country,
    electronic_commerce_indicator: null,
    exp_month: card.exp_month,
    exp_year: card.exp_year,
    fingerprint: card.fingerprint ?? null,
    funding: card.funding,
    installments: null,
    last4: card.last4,
    mandate: null,
    network: card.brand,
    network_transaction_id: null,
    regulated_status: card.regulated_status,
    ...(setUp && { setup_credential_usage: setUp }),
    ...(stored && { stored_credential_usage: stored }),
    three_d_secure: null,
    transaction_link_id: null,
    wallet: null,
  }
}

/** Releases an uncaptured authorisation. Stripe shows the release as a refund of the charge. */
export function releaseCharge(
  turn: Turn,
  held: Stripe.Charge,
  event: 'charge.refunded' | 'charge.expired',
): void {
  const previous = { amount_refunded: held.amount_refunded, refunded: held.refunded }
  held.amount_refunded = held.amount
  held.refunded = true
  turn.emit(event, held, previous)
}

/** Opens the dispute or the fraud warning that some test cards cause after a successful charge. */
export function disputeOrWarn(turn: Turn, taken: Stripe.Charge): void {
  const { dispute, fraudWarning } = testCardOf(turn.state, taken.payment_method!)
  if (dispute) openDispute(turn, taken, dispute)
  if (fraudWarning) warnAbout(turn, taken)
}

export function warnAbout(turn: Turn, taken: Stripe.Charge): void {
  const warning = keep<Stripe.Radar.EarlyFraudWarning>(turn.state.fraudWarnings, {
    id: newId('issfr'),
    object: 'radar.early_fraud_warning',
    actionable: true,
    charge: taken.id,
    created: seconds(turn),
    fraud_type: 'made_with_stolen_card',
    livemode: false,
    payment_intent: ref(taken.payment_intent)!,
  })
  turn.emit('radar.early_fraud_warning.created', warning)
}

export function retrieveCharge(turn: Turn, _params: object, id: string): Stripe.Charge {
  return charge(turn, id)
}

export function listCharges(turn: Turn, params: Requests['GET /v1/charges']): Stripe.ApiList<Stripe.Charge> {
  const wanted = Object.values(turn.state.charges).filter(
    (each) =>
      (params.customer === undefined || each.customer === params.customer) &&
      (params.payment_intent === undefined || each.payment_intent === params.payment_intent),
  )
  return listPage(wanted, params, '/v1/charges')
}

export function retrieveFraudWarning(
  turn: Turn,
  _params: object,
  id: string,
): Stripe.Radar.EarlyFraudWarning {
  const found = own(turn.state.fraudWarnings, id)
  if (!found) throw missing('early_fraud_warning', id, 'early_fraud_warning', 404)
  return found
}

export function listFraudWarnings(
  turn: Turn,
  params: Requests['GET /v1/radar/early_fraud_warnings'],
): Stripe.ApiList<Stripe.Radar.EarlyFraudWarning> {
  const wanted = Object.values(turn.state.fraudWarnings).filter(
    (each) =>
      (params.charge === undefined || each.charge === params.charge) &&
      (params.payment_intent === undefined || each.payment_intent === params.payment_intent),
  )
  return listPage(wanted, params, '/v1/radar/early_fraud_warnings')
}
