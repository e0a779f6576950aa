import type Stripe from 'stripe'
import { invalid, missing } from './errors.ts'
import { change, mergedMetadata } from './fields.ts'
import { listPage } from './lists.ts'
import { charge } from './lookup.ts'
import { newId, own, ref } from './state.ts'
import { keep, later, seconds, type Turn } from './turn.ts'
import { settleWarnings } from './warnings.ts'
import type { Requests } from './wire.ts'

/** How long the bank takes to decide on the evidence. */
const VERDICT_MS = 5000

/** Disputes a charge as the card holder. A chargeback takes the money at once; an inquiry does not. */
export function openDispute(
  turn: Turn,
  taken: Stripe.Charge,
  track: 'chargeback' | 'inquiry',
  reason = 'fraudulent',
): Stripe.Dispute {
  const inquiry = track === 'inquiry'
  const opened = keep<Stripe.Dispute>(turn.state.disputes, {
    id: newId('du'),
    object: 'dispute',
    amount: taken.amount_captured,
    balance_transactions: [],
    charge: taken.id,
    created: seconds(turn),
    currency: taken.currency,
    enhanced_eligibility_types: [],
    evidence: structuredClone(NO_EVIDENCE),
    evidence_details: {
      due_by: seconds(turn) + 8 * 86_400,
      enhanced_eligibility: {},
      has_evidence: false,
      past_due: false,
      submission_count: 0,
      submission_method: 'not_submitted',
    },
    intended_submission_method: null,
    is_charge_refundable: inquiry,
    livemode: false,
    metadata: {},
    payment_intent: ref(taken.payment_intent),
    payment_method_details: {
      card: {
        brand: 'visa',
        case_type: track,
        network: 'visa',
        network_reason_code: inquiry ? '10' : '10.4',
      },
      type: 'card',
    },
    reason,
    status: inquiry ? 'warning_needs_response' : 'needs_response',
  })
  taken.disputed = true
  turn.emit('charge.dispute.created', opened)
  if (!inquiry) turn.emit('charge.dispute.funds_withdrawn', opened)
  settleWarnings(turn, taken)
  return opened
}

const NO_EVIDENCE: Stripe.Dispute.Evidence = {
  access_activity_log: null,
  billing_address: null,
  cancellation_policy: null,
  cancellation_policy_disclosure: null,
  cancellation_rebuttal: null,
  customer_communication: null,
  customer_email_address: null,
  customer_name: null,
  customer_purchase_ip: null,
  customer_signature: null,
  duplicate_charge_documentation: null,
  duplicate_charge_explanation: null,
  duplicate_charge_id: null,
  enhanced_evidence: {},
  product_description: null,
  receipt: null,
  refund_policy: null,
  refund_policy_disclosure: null,
  refund_refusal_explanation: null,
  service_date: null,
  service_documentation: null,
  shipping_address: null,
  shipping_carrier: null,
  shipping_date: null,
  shipping_documentation: null,
  shipping_tracking_number: null,
  uncategorized_file: null,
  uncategorized_text: null,
}

function dispute(turn: Turn, id: string): Stripe.Dispute {
  const found = own(turn.state.disputes, id)
  if (!found) throw missing('dispute', id, 'dispute', 404)
  return found
}

export function retrieveDispute(turn: Turn, _params: object, id: string): Stripe.Dispute {
  return dispute(turn, id)
}

export function listDisputes(
  turn: Turn,
  params: Requests['GET /v1/disputes'],
): Stripe.ApiList<Stripe.Dispute> {
  const wanted = Object.values(turn.state.disputes).filter(
    (each) =>
      (params.charge === undefined || each.charge === params.charge) &&
      (params.payment_intent === undefined || each.payment_intent === params.payment_intent),
  )
  return listPage(wanted, params, '/v1/disputes')
}

const CLOSED: readonly string[] = ['won', 'lost', 'warning_closed']

/** Submits evidence unless `submit` is false. The text "winning_evidence" wins, "losing_evidence" loses. */
export function updateDispute(
  turn: Turn,
  params: Requests['POST /v1/disputes/*'],
  id: string,
): Stripe.Dispute {
  const found = dispute(turn, id)
  refuseClosed(found)
  const text = params.evidence?.uncategorized_text
  const submitted = params.evidence !== undefined && params.submit !== false
  const inquiry = found.status.startsWith('warning_')
  const previous = change(found, {
    metadata: mergedMetadata(found.metadata, params.metadata),
    ...(text !== undefined && { evidence: { ...found.evidence, uncategorized_text: text || null } }),
    ...(submitted && {
      status: inquiry ? 'warning_under_review' : 'under_review',
      evidence_details: {
        ...found.evidence_details,
        has_evidence: true,
        submission_count: found.evidence_details.submission_count + 1,
        submission_method: 'manual',
      },
    }),
  } satisfies Partial<Stripe.Dispute>)
  turn.emit('charge.dispute.updated', found, previous)
  if (submitted && text === 'winning_evidence') later(turn, VERDICT_MS, 'win-dispute', id)
  if (submitted && text === 'losing_evidence') later(turn, VERDICT_MS, 'lose-dispute', id)
  return found
}

/** Accepts the dispute: a chargeback is lost, and an inquiry is closed without loss. */
export function closeDispute(turn: Turn, _params: object, id: string): Stripe.Dispute {
  const found = dispute(turn, id)
  refuseClosed(found)
  close(turn, found, 'lost')
  return found
}

function refuseClosed(found: Stripe.Dispute): void {
  if (CLOSED.includes(found.status)) throw invalid('This dispute is already closed')
}

/** Applies the bank's verdict. */
export function decideDispute(turn: Turn, id: string, verdict: 'won' | 'lost'): void {
  const found = turn.state.disputes[id]
  if (found && !CLOSED.includes(found.status)) close(turn, found, verdict)
}

function close(turn: Turn, found: Stripe.Dispute, verdict: 'won' | 'lost'): void {
  const inquiry = found.status.startsWith('warning_')
  found.status = inquiry ? 'warning_closed' : verdict
  found.is_charge_refundable = inquiry || verdict === 'won'
  turn.emit('charge.dispute.closed', found)
  if (!inquiry && verdict === 'won') turn.emit('charge.dispute.funds_reinstated', found)
}

/** @throws StripeProblem if the charge has a dispute that forbids refunds. */
export function refuseDisputed(turn: Turn, chargeId: string): void {
  const found = Object.values(turn.state.disputes).find((each) => each.charge === charge(turn, chargeId).id)
  if (found && !found.is_charge_refundable) {
    throw invalid(`Charge ${chargeId} has been charged back; cannot issue a refund.`, {
      code: 'charge_disputed',
    })
  }
}
