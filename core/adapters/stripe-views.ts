import type Stripe from 'stripe'
import type {
  BillingAddress,
  Charge,
  Decline,
  DeclineReason,
  Dispute,
  FraudWarning,
  Payment,
  PaymentCard,
  PaymentCustomer,
  PaymentEvent,
  PaymentState,
  Receipt,
  Refund,
  Reversal,
} from '../ports.ts'

/** Stripe's objects as the domain sees them. The functions are pure and do not load the SDK. */

export function paymentOf(intent: Stripe.PaymentIntent): Payment {
  return {
    ...stateOf(intent),
    id: intent.id,
    amountCents: intent.amount,
    receivedCents: intent.amount_received,
    currency: intent.currency,
    customerId: idOrNone(intent.customer),
    // A decline removes the card from the intent.
    paymentMethodId: idOrNone(intent.payment_method) ?? intent.last_payment_error?.payment_method?.id,
    cardFingerprint: fingerprintIn(intent.payment_method ?? intent.last_payment_error?.payment_method),
    livemode: intent.livemode,
    metadata: intent.metadata,
    latestChargeId: idOrNone(intent.latest_charge),
    receipt: intent.status === 'succeeded' ? toReceipt(intent.latest_charge) : undefined,
    createdMs: intent.created * 1000,
  }
}

/** Undefined if the answer has only the card's id. */
const fingerprintIn = (method: string | Stripe.PaymentMethod | null | undefined): string | undefined =>
  typeof method === 'object' ? (method?.card?.fingerprint ?? undefined) : undefined

/** Undefined if the answer has only the charge's id. */
function toReceipt(charge: Stripe.PaymentIntent['latest_charge']): Receipt | undefined {
  if (!charge || typeof charge === 'string') return undefined
  const card = charge.payment_method_details?.card
  return {
    chargedAtMs: charge.created * 1000,
    brand: card?.brand ?? undefined,
    last4: card?.last4 ?? undefined,
    url: charge.receipt_url ?? undefined,
  }
}

function stateOf(intent: Stripe.PaymentIntent): PaymentState {
  switch (intent.status) {
    case 'requires_payment_method':
      return intent.last_payment_error
        ? {
            status: 'declined',
            decline: declineOf(intent.last_payment_error),
            clientSecret: intent.client_secret ?? undefined,
          }
        : { status: 'unconfirmed' }
    case 'requires_confirmation':
      return { status: 'unconfirmed' }
    case 'requires_action':
      return { status: 'action_required', clientSecret: intent.client_secret ?? '' }
    case 'requires_capture':
      return { status: 'held' }
    case 'succeeded':
      return { status: 'succeeded' }
    case 'canceled':
      return {
        status: 'canceled',
        decline: intent.last_payment_error ? declineOf(intent.last_payment_error) : undefined,
      }
    default:
      // `processing`, or a state that Stripe adds later: the payment is still open.
      return { status: 'processing' }
  }
}

/** Declines by Stripe's decline or error code. A missing code is an unexplained refusal of the bank. */
const DECLINES: Readonly<Record<string, [DeclineReason, Decline['retry']]>> = {
  insufficient_funds: ['insufficient_funds', 'retryable'],
  card_velocity_exceeded: ['limit_exceeded', 'retryable'],
  withdrawal_count_limit_exceeded: ['limit_exceeded', 'retryable'],
  processing_error: ['processing_error', 'retryable'],
  issuer_not_available: ['processing_error', 'retryable'],
  reenter_transaction: ['processing_error', 'retryable'],
  try_again_later: ['processing_error', 'retryable'],
  approve_with_id: ['processing_error', 'retryable'],
  expired_card: ['card_expired', 'never'],
  incorrect_cvc: ['wrong_details', 'never'],
  invalid_cvc: ['wrong_details', 'never'],
  incorrect_number: ['wrong_details', 'never'],
  invalid_number: ['wrong_details', 'never'],
  incorrect_zip: ['wrong_details', 'never'],
  incorrect_address: ['wrong_details', 'never'],
  invalid_expiry_month: ['wrong_details', 'never'],
  invalid_expiry_year: ['wrong_details', 'never'],
  lost_card: ['lost_or_stolen', 'never'],
  stolen_card: ['lost_or_stolen', 'never'],
  pickup_card: ['lost_or_stolen', 'never'],
  fraudulent: ['blocked', 'never'],
  merchant_blacklist: ['blocked', 'never'],
  highest_risk_level: ['blocked', 'never'],
  restricted_card: ['blocked', 'never'],
  security_violation: ['blocked', 'never'],
  stop_payment_order: ['blocked', 'never'],
  revocation_of_authorization: ['blocked', 'never'],
  revocation_of_all_authorizations: ['blocked', 'never'],
  transaction_not_allowed: ['blocked', 'never'],
  card_not_supported: ['blocked', 'never'],
  currency_not_supported: ['blocked', 'never'],
  invalid_account: ['blocked', 'never'],
  new_account_information_available: ['blocked', 'never'],
  authentication_required: ['authentication_required', 'never'],
  authentication_not_handled: ['authentication_required', 'never'],
  payment_intent_authentication_failure: ['authentication_failed', 'retryable'],
}

/** Stripe's advice codes, which take precedence over `DECLINES`. */
const ADVICE: Readonly<Record<string, Decline['retry']>> = {
  do_not_try_again: 'never',
  confirm_card_data: 'never',
  try_again_later: 'retryable',
}

interface DeclineCodes {
  code?: string
  decline_code?: string
  advice_code?: string
}

export function declineOf(error: DeclineCodes): Decline {
  const [reason, retry] = DECLINES[error.decline_code ?? ''] ??
    DECLINES[error.code ?? ''] ?? ['declined', 'retryable']
  return { reason, retry: ADVICE[error.advice_code ?? ''] ?? retry }
}

export function toPaymentCustomer(customer: Stripe.Customer): PaymentCustomer {
  return {
    id: customer.id,
    accountId: customer.metadata.account,
    email: customer.email ?? undefined,
    name: customer.name ?? undefined,
    phone: customer.phone ?? undefined,
    description: customer.description ?? undefined,
    address: customer.address ? addressView(customer.address) : undefined,
    defaultPaymentMethodId: idOrNone(customer.invoice_settings.default_payment_method),
    balanceCents: customer.balance,
    currency: customer.currency ?? undefined,
    delinquent: customer.delinquent ?? false,
    invoicePrefix: customer.invoice_prefix ?? undefined,
    livemode: customer.livemode,
    metadata: customer.metadata,
    createdMs: customer.created * 1000,
  }
}

export function cardOf(method: Stripe.PaymentMethod): PaymentCard | undefined {
  const { card, billing_details: billing } = method
  if (!card) return undefined
  return {
    id: method.id,
    customerId: idOrNone(method.customer),
    brand: card.brand,
    last4: card.last4,
    expMonth: card.exp_month,
    expYear: card.exp_year,
    country: card.country ?? undefined,
    funding: card.funding,
    fingerprint: card.fingerprint ?? undefined,
    networks: card.networks
      ? { available: card.networks.available, preferred: card.networks.preferred ?? undefined }
      : undefined,
    checks: {
      line1: card.checks?.address_line1_check ?? undefined,
      postalCode: card.checks?.address_postal_code_check ?? undefined,
      cvc: card.checks?.cvc_check ?? undefined,
    },
    threeDSecureSupported: card.three_d_secure_usage?.supported ?? false,
    billing: {
      address: addressView(billing.address),
      email: billing.email ?? undefined,
      name: billing.name ?? undefined,
      phone: billing.phone ?? undefined,
    },
    livemode: method.livemode,
    metadata: method.metadata ?? {},
    createdMs: method.created * 1000,
  }
}

function addressView(address: Stripe.Address | null): BillingAddress {
  return {
    line1: address?.line1 || undefined,
    line2: address?.line2 || undefined,
    city: address?.city || undefined,
    state: address?.state || undefined,
    postalCode: address?.postal_code || undefined,
    country: address?.country || undefined,
  }
}

/** Sends every field, since a field left out would keep its old value. An empty string clears the field. */
export function addressParams(address: BillingAddress): Stripe.AddressParam {
  return {
    line1: address.line1 ?? '',
    line2: address.line2 ?? '',
    city: address.city ?? '',
    state: address.state ?? '',
    postal_code: address.postalCode ?? '',
    country: address.country ?? '',
  }
}

const CHARGE_STATUS: Readonly<Record<string, Charge['status']>> = {
  succeeded: 'succeeded',
  failed: 'failed',
}

export function chargeOf(charge: Stripe.Charge, disputes: Dispute[]): Charge {
  const card = charge.payment_method_details?.card
  return {
    id: charge.id,
    paymentId: idOrNone(charge.payment_intent),
    customerId: idOrNone(charge.customer),
    status: CHARGE_STATUS[charge.status] ?? 'pending',
    captured: charge.captured,
    amountCents: charge.amount,
    currency: charge.currency,
    refundedCents: charge.amount_refunded,
    refunds: (charge.refunds?.data ?? []).map(refundOf),
    disputed: charge.disputed,
    disputes,
    card: card && {
      brand: card.brand ?? undefined,
      last4: card.last4 ?? undefined,
      fingerprint: card.fingerprint ?? undefined,
    },
    paymentMethodId: charge.payment_method ?? undefined,
    receiptUrl: charge.receipt_url ?? undefined,
    livemode: charge.livemode,
    createdMs: charge.created * 1000,
  }
}

const REFUND_STATUS: Readonly<Record<string, Refund['status']>> = {
  requires_action: 'action_required',
  succeeded: 'succeeded',
  failed: 'failed',
  canceled: 'canceled',
}

export function refundOf(refund: Stripe.Refund): Refund {
  return {
    id: refund.id,
    amountCents: refund.amount,
    status: REFUND_STATUS[refund.status ?? ''] ?? 'pending',
    createdMs: refund.created * 1000,
  }
}

/** A refund or dispute of a list whose `charge` is expanded; undefined for one without a charge. */
export type ListedReversal = Stripe.Refund | Stripe.Dispute | Stripe.Radar.EarlyFraudWarning

export function reversalOf(listed: ListedReversal): Reversal | undefined {
  const { charge } = listed
  if (!charge || typeof charge === 'string') return undefined
  const took = listed.object === 'dispute' && ['open', 'lost'].includes(disputeStatusOf(listed.status))
  return {
    id: listed.id,
    chargeId: charge.id,
    paymentId: idOrNone(charge.payment_intent),
    metadata: charge.metadata,
    captured: charge.captured,
    chargedCents: charge.amount,
    refundedCents: charge.amount_refunded,
    // A dispute in another currency cannot be compared, so all of the charge counts as disputed.
    disputedCents: took ? (listed.currency === charge.currency ? listed.amount : charge.amount) : 0,
    customerId: idOrNone(charge.customer),
    cardNumber: charge.payment_method_details?.card?.fingerprint ?? charge.payment_method ?? undefined,
    ...(listed.object === 'dispute' && {
      dispute: { reason: listed.reason, status: disputeStatusOf(listed.status) },
    }),
    // A warning stops being actionable when its charge goes back, which says nothing good about the card.
    ...(listed.object === 'radar.early_fraud_warning' && {
      warns: listed.actionable || charge.amount_refunded > 0 || charge.disputed,
    }),
  }
}

export const refundedPaymentOf = (refund: Stripe.Refund): string | undefined =>
  idOrNone(refund.payment_intent)

export function disputeOf(dispute: Stripe.Dispute): Dispute {
  return {
    id: dispute.id,
    chargeId: idOf(dispute.charge),
    paymentId: idOrNone(dispute.payment_intent),
    amountCents: dispute.amount,
    currency: dispute.currency,
    status: disputeStatusOf(dispute.status),
    reason: dispute.reason,
    createdMs: dispute.created * 1000,
  }
}

/** Inquiries ("warnings") and prevented disputes move no money. A dispute under appeal counts as open. */
function disputeStatusOf(status: string): Dispute['status'] {
  if (status === 'won' || status === 'lost') return status
  return status.startsWith('warning_') || status === 'prevented' ? 'inquiry' : 'open'
}

const idOf = (reference: string | { id: string }): string =>
  typeof reference === 'string' ? reference : reference.id

const idOrNone = (reference: string | { id: string } | null | undefined): string | undefined =>
  reference ? idOf(reference) : undefined

const textOrNone = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** The members of an object that are texts. */
const textsIn = (value: unknown): Record<string, string> =>
  Object.fromEntries(
    Object.entries(Object(value)).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  )

/** The event without the state of its object at that time, on purpose: the domain reads the object again. */
export function eventOf(event: Stripe.Event): PaymentEvent {
  const { object, previous_attributes: previous } = event.data as unknown as {
    object: { object?: unknown; id?: unknown; customer?: unknown; metadata?: unknown }
    previous_attributes?: { customer?: unknown }
  }
  return {
    id: event.id,
    type: event.type,
    createdMs: event.created * 1000,
    livemode: event.livemode,
    account: event.account,
    objectKind: textOrNone(object.object),
    objectId: textOrNone(object.id),
    customerId: textOrNone(object.customer),
    metadata: textsIn(object.metadata),
    previousCustomerId: textOrNone(previous?.customer),
  }
}

export function fraudWarningOf(warning: Stripe.Radar.EarlyFraudWarning): FraudWarning {
  return {
    id: warning.id,
    chargeId: idOf(warning.charge),
    paymentId: idOrNone(warning.payment_intent),
    actionable: warning.actionable,
    livemode: warning.livemode,
    createdMs: warning.created * 1000,
  }
}
