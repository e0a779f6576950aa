import type Stripe from 'stripe'
import { priceText } from '../../../core/notifications/amounts.ts'
import { currencyCodes, currencyRules, MAX_CHARGE } from '../../../core/purchases/currencies.ts'
import type { DeclineCode } from './cards.ts'
import { chargeFor, disputeOrWarn, releaseCharge } from './charges.ts'
import { useToken } from './confirmation-tokens.ts'
import { invalid } from './errors.ts'
import { mergedMetadata } from './fields.ts'
import { listPage } from './lists.ts'
import { charge, customer, paymentIntent, paymentMethod } from './lookup.ts'
import { attach, bankRefusal, declineBody, materialise, verify } from './payment-methods.ts'
import { letters, newId, own, ref, testCardOf } from './state.ts'
import { keep, later, seconds, type Turn } from './turn.ts'
import type { Requests } from './wire.ts'

/** An authorisation expires after seven days. */
const HOLD_MS = 7 * 86_400_000

type Intent = Stripe.PaymentIntent

export function createPaymentIntent(turn: Turn, params: Requests['POST /v1/payment_intents']): Intent {
  const currency = params.currency.toLowerCase()
  checkAmount(params.amount, currency)
  if (params.off_session && !params.confirm) {
    throw invalid(
      'The parameter `off_session` cannot be passed when creating a PaymentIntent unless `confirm` is set to true.',
      { param: 'off_session' },
    )
  }
  const customerId = params.customer === undefined ? null : customer(turn, params.customer).id
  const method = params.payment_method === undefined ? null : materialise(turn, params.payment_method)
  if (method) checkUsable(turn, method, customerId)
  const id = newId('pi')
  const created: Intent = {
    id,
    object: 'payment_intent',
    allowed_payment_method_types: null,
    amount: params.amount,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: null,
    application_fee_amount: null,
    automatic_payment_methods: automaticMethods(turn, params.automatic_payment_methods),
    canceled_at: null,
    cancellation_reason: null,
    capture_method: params.capture_method ?? 'automatic_async',
    client_secret: `${id}_secret_${letters(25)}`,
    confirmation_method: params.confirmation_method ?? 'automatic',
    created: seconds(turn),
    currency,
    customer: customerId,
    customer_account: null,
    description: params.description ?? null,
    excluded_payment_method_types: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: mergedMetadata({}, params.metadata),
    next_action: null,
    on_behalf_of: null,
    payment_method: method?.id ?? null,
    payment_method_configuration_details: null,
    payment_method_options: { card: cardOptions(undefined, params.payment_method_options) },
    payment_method_types: ['card'],
    payment_record: null,
    processing: null,
    receipt_email: receiptOf(params.receipt_email),
    review: null,
    setup_future_usage: params.setup_future_usage ?? null,
    shipping: shippingOf(params.shipping),
    source: null,
    statement_descriptor: null,
    statement_descriptor_suffix: suffixOf(params.statement_descriptor_suffix),
    status: method ? 'requires_confirmation' : 'requires_payment_method',
    transfer_data: null,
    transfer_group: null,
  }
  checkOptions(created)
  turn.emit('payment_intent.created', keep(turn.state.paymentIntents, created))
  return params.confirm ? confirm(turn, created, params) : created
}

/** What follows the account's own name on a card statement; together they have at most 22 characters. */
function suffixOf(suffix: string | undefined): string | null {
  if (suffix === undefined || suffix === '') return null
  const refuse = (message: string) => {
    throw invalid(message, { param: 'statement_descriptor_suffix' })
  }
  if (`${PREFIX}* ${suffix}`.length > 22)
    refuse('The statement descriptor prefix and suffix must be at most 22 characters together.')
  if (/[<>\\'"*]/.test(suffix)) refuse('The statement descriptor may not contain any of <>\\\'"*.')
  if (!/^[\x20-\x7e]+$/.test(suffix) || !/[a-z]/i.test(suffix))
    refuse('The statement descriptor must contain at least one alphabetic character, in Latin letters only.')
  return suffix
}

/** The longest name that an account may set for its statements. */
const PREFIX = 'BURSARTEST'

function receiptOf(email: string | undefined): string | null {
  if (email === undefined || email === '') return null
  if (/^[!-?A-~]+@[!-?A-~]+$/.test(email)) return email
  throw invalid(`Invalid email address: ${email}`, { code: 'email_invalid', param: 'receipt_email' })
}

function checkAmount(amount: number, currency: string): void {
  const code = currency.toUpperCase()
  if (!currencyCodes.includes(code)) throw invalid(`Invalid currency: ${currency}.`, { param: 'currency' })
  const { minimum, step } = currencyRules(code)
  if (amount < minimum) {
    throw invalid(`Amount must be at least ${priceText(minimum, code)} ${currency}`, {
      code: 'amount_too_small',
      param: 'amount',
    })
  }
  if (amount > MAX_CHARGE) {
    throw invalid(`Amount must be no more than ${priceText(MAX_CHARGE, code)}`, {
      code: 'amount_too_large',
      param: 'amount',
    })
  }
  if (amount % step !== 0) {
    throw invalid(`Amounts in ${currency} must be divisible by ${step}.`, { param: 'amount' })
  }
}

function automaticMethods(
  turn: Turn,
  asked: Stripe.PaymentIntentCreateParams.AutomaticPaymentMethods | undefined,
): Intent['automatic_payment_methods'] {
  if (asked) return { enabled: asked.enabled, allow_redirects: asked.allow_redirects ?? 'always' }
  return turn.unversioned ? null : { enabled: true, allow_redirects: 'always' }
}

type CardOptions = Stripe.PaymentIntent.PaymentMethodOptions.Card

function cardOptions(
  before: CardOptions | undefined,
  params: Stripe.PaymentIntentCreateParams.PaymentMethodOptions | undefined,
): CardOptions {
  const asked = params?.card || {}
  const unmodelled = Object.keys(asked).find((name) => !MODELLED_OPTIONS.has(name))
  if (unmodelled !== undefined) {
    const param = `payment_method_options[card][${unmodelled}]`
    throw invalid(`The local double does not model ${param}.`, { param })
  }
  return {
    installments: null,
    mandate_options: null,
    network: null,
    request_three_d_secure: 'automatic',
    ...before,
    ...(asked.request_three_d_secure && { request_three_d_secure: asked.request_three_d_secure }),
    ...(asked.setup_credential_usage && { setup_credential_usage: asked.setup_credential_usage }),
    ...(asked.stored_credential_usage && { stored_credential_usage: asked.stored_credential_usage }),
  }
}

const MODELLED_OPTIONS = new Set([
  'request_three_d_secure',
  'setup_credential_usage',
  'stored_credential_usage',
])

function checkOptions(intent: Intent): void {
  const { setup_credential_usage: setUp, stored_credential_usage: stored } =
    intent.payment_method_options?.card ?? {}
  if (stored && intent.setup_future_usage) {
    throw invalid('`stored_credential_usage` cannot be used together with `setup_future_usage`.', {
      param: 'payment_method_options[card][stored_credential_usage]',
    })
  }
  if (setUp && !intent.setup_future_usage) {
    throw invalid('`setup_credential_usage` can only be used with `setup_future_usage`.', {
      param: 'payment_method_options[card][setup_credential_usage]',
    })
  }
}

function shippingOf(params: Stripe.PaymentIntentCreateParams.Shipping | undefined): Intent['shipping'] {
  if (!params) return null
  const blank = { city: null, country: null, line1: null, line2: null, postal_code: null, state: null }
  return { name: params.name, address: { ...blank, ...params.address } }
}

/** Refuses a payment method that is used up or belongs to another customer. */
function checkUsable(
  turn: Turn,
  method: Stripe.PaymentMethod,
  customerId: string | null,
  intent?: Intent,
): void {
  const details = intent ? { payment_intent: structuredClone(intent) } : {}
  if (turn.state.cards[method.id]!.spent) {
    throw invalid(
      'The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.',
      details,
    )
  }
  if (method.customer === null || method.customer === customerId) return
  if (customerId === null) {
    throw invalid(
      `The \`payment_method\` parameter supplied ${method.id} belongs to the Customer ${ref(method.customer)}. Please include the Customer in the \`customer\` parameter on the PaymentIntent.`,
      { code: 'parameter_missing', param: 'source', ...details },
    )
  }
  throw invalid(
    `The PaymentMethod ${method.id} does not belong to the Customer you supplied ${customerId}. Please use this PaymentMethod with the Customer that it belongs to instead.`,
    { param: 'payment_method', ...details },
  )
}

export function retrievePaymentIntent(turn: Turn, _params: object, id: string): Intent {
  return paymentIntent(turn, id)
}

export function listPaymentIntents(
  turn: Turn,
  params: Requests['GET /v1/payment_intents'],
): Stripe.ApiList<Intent> {
  if (params.customer !== undefined) customer(turn, params.customer)
  const wanted = Object.values(turn.state.paymentIntents).filter(
    (intent) => params.customer === undefined || intent.customer === params.customer,
  )
  return listPage(wanted, params, '/v1/payment_intents')
}

const OPEN: readonly string[] = ['requires_payment_method', 'requires_confirmation', 'requires_action']

export function updatePaymentIntent(
  turn: Turn,
  params: Requests['POST /v1/payment_intents/*'],
  id: string,
): Intent {
  const intent = paymentIntent(turn, id)
  const { amount, payment_method: methodId } = params
  if ((amount !== undefined || methodId !== undefined) && !OPEN.includes(intent.status)) {
    const what = amount === undefined ? 'payment_method' : 'amount'
    throw unexpectedState(
      intent,
      `This PaymentIntent's ${what} could not be updated because it has a status of ${intent.status}. You may only update the ${what} of a PaymentIntent with one of the following statuses: ${OPEN.join(', ')}.`,
    )
  }
  if (amount !== undefined) checkAmount(amount, intent.currency)
  const method = methodId === undefined ? undefined : materialise(turn, methodId)
  if (method) checkUsable(turn, method, ref(intent.customer), intent)
  if (amount !== undefined) intent.amount = amount
  if (params.description !== undefined) intent.description = params.description || null
  intent.metadata = mergedMetadata(intent.metadata, params.metadata)
  if (method)
    Object.assign(intent, { payment_method: method.id, status: 'requires_confirmation', next_action: null })
  return intent
}

export function confirmPaymentIntent(
  turn: Turn,
  params: Requests['POST /v1/payment_intents/*/confirm'],
  id: string,
): Intent {
  return confirm(turn, paymentIntent(turn, id), params)
}

type ConfirmParams = Pick<
  Requests['POST /v1/payment_intents/*/confirm'],
  'confirmation_token' | 'payment_method' | 'off_session' | 'payment_method_options' | 'return_url'
>

function confirm(turn: Turn, intent: Intent, params: ConfirmParams): Intent {
  if (!OPEN.includes(intent.status)) {
    throw unexpectedState(
      intent,
      intent.status === 'succeeded'
        ? 'You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.'
        : `This PaymentIntent could not be confirmed because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be confirmed: ${OPEN.join(', ')}.`,
    )
  }
  const offSession = Boolean(params.off_session)
  if (offSession && intent.setup_future_usage) {
    throw invalid(
      'You cannot confirm with `off_session=true` when `setup_future_usage` is also set on the PaymentIntent.',
      { param: 'off_session', payment_intent: structuredClone(intent) },
    )
  }
  const redirects = intent.automatic_payment_methods?.allow_redirects === 'always'
  if (redirects && params.return_url === undefined) {
    throw invalid(
      "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never`.",
      { payment_intent: structuredClone(intent) },
    )
  }
  const { confirmation_token: token } = params
  const method =
    token === undefined ? methodFor(turn, intent, params.payment_method) : useToken(turn, token, intent)
  checkUsable(turn, method, ref(intent.customer), intent)
  const options = cardOptions(intent.payment_method_options?.card, params.payment_method_options)
  Object.assign(intent, { payment_method_options: { card: options }, payment_method: method.id })
  const { authentication } = testCardOf(turn.state, method.id)
  if (offSession) {
    const agreed = authentication !== 'always' && turn.state.cards[method.id]!.setUp
    if (authentication && !agreed) return decline(turn, intent, method, 'authentication_required')
  } else if (authentication) {
    return requireAction(turn, intent)
  }
  return authorise(turn, intent, method)
}

/** The payment method: the parameter, else the intent's, else the customer's default. */
function methodFor(turn: Turn, intent: Intent, asked: string | undefined): Stripe.PaymentMethod {
  if (asked !== undefined) return materialise(turn, asked)
  const owner = own(turn.state.customers, ref(intent.customer) ?? '')
  const fallback = owner && !owner.deleted ? owner.invoice_settings.default_payment_method : null
  const id = ref(intent.payment_method ?? fallback)
  if (id !== null) return paymentMethod(turn, id)
  throw unexpectedState(
    intent,
    "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
  )
}

function requireAction(turn: Turn, intent: Intent): Intent {
  intent.status = 'requires_action'
  intent.next_action = { type: 'use_stripe_sdk', use_stripe_sdk: {} }
  turn.emit('payment_intent.requires_action', intent)
  return intent
}

/** Asks the bank and applies the bank's answer to the intent. */
function authorise(turn: Turn, intent: Intent, method: Stripe.PaymentMethod): Intent {
  const card = testCardOf(turn.state, method.id)
  const refusal = turn.declineOrdered() ?? (card.blocked ? 'fraudulent' : card.declines?.code)
  if (refusal) return decline(turn, intent, method, refusal)
  verify(method)
  const held = intent.capture_method === 'manual'
  const made = chargeFor(turn, intent, method, { captured: !held })
  Object.assign(intent, {
    status: held ? 'requires_capture' : 'succeeded',
    latest_charge: made.id,
    last_payment_error: null,
    next_action: null,
    amount_capturable: held ? intent.amount : 0,
    amount_received: held ? 0 : intent.amount,
  } satisfies Partial<Intent>)
  remember(turn, intent, method)
  turn.emit('charge.succeeded', made)
  if (held) {
    later(turn, HOLD_MS, 'expire-hold', intent.id)
    turn.emit('payment_intent.amount_capturable_updated', intent)
  } else {
    disputeOrWarn(turn, made)
    turn.emit('payment_intent.succeeded', intent)
  }
  return intent
}

/** Records the effect of a successful confirmation on the card: saved with the customer, or used up. */
function remember(turn: Turn, intent: Intent, method: Stripe.PaymentMethod): void {
  const memory = turn.state.cards[method.id]!
  const customerId = ref(intent.customer)
  if (intent.setup_future_usage && customerId !== null) {
    if (intent.setup_future_usage === 'off_session') memory.setUp = true
    if (method.customer === null) attach(turn, method, customerId)
  }
  if (method.customer === null) memory.spent = true
}

function decline(turn: Turn, intent: Intent, method: Stripe.PaymentMethod, code: DeclineCode): never {
  // If authentication is missing, Stripe does not ask the bank, so there is no charge.
  const failed =
    code === 'authentication_required' ? undefined : chargeFor(turn, intent, method, { failure: code })
  const details = {
    ...(failed && { charge: failed.id }),
    payment_method: structuredClone(method),
    payment_method_type: 'card',
  }
  fail(intent, { type: 'card_error', ...declineBody(code), ...details })
  if (failed) {
    intent.latest_charge = failed.id
    turn.emit('charge.failed', failed)
  }
  turn.emit('payment_intent.payment_failed', intent)
  throw bankRefusal(code, { ...details, payment_intent: structuredClone(intent) })
}

/** Puts the intent back into `requires_payment_method`. */
function fail(intent: Intent, error: Stripe.PaymentIntent.LastPaymentError): void {
  Object.assign(intent, {
    status: 'requires_payment_method',
    payment_method: null,
    next_action: null,
    last_payment_error: error,
  } satisfies Partial<Intent>)
}

/** Completes or fails 3-D Secure, as the customer does in the browser. */
export function authenticateIntent(turn: Turn, id: string, outcome: 'succeed' | 'fail'): void {
  const intent = paymentIntent(turn, id)
  const method = methodToAuthenticate(turn, intent)
  Object.assign(intent, { payment_method: method.id })
  if (outcome === 'succeed') {
    authorise(turn, intent, method)
    return
  }
  fail(intent, {
    type: 'invalid_request_error',
    code: 'payment_intent_authentication_failure',
    message:
      'The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again.',
    payment_method: structuredClone(method),
  })
  turn.emit('payment_intent.payment_failed', intent)
}

/**
 * The card that needs 3-D Secure. If an off-session payment was declined because 3-D Secure was missing, the browser
 * confirms again with the same card before the customer authenticates.
 */
function methodToAuthenticate(turn: Turn, intent: Intent): Stripe.PaymentMethod {
  const { status, last_payment_error: error } = intent
  const asked = status === 'requires_payment_method' && error?.code === 'authentication_required'
  const id = asked ? error.payment_method?.id : ref(intent.payment_method)
  if ((status === 'requires_action' || asked) && id) return paymentMethod(turn, id)
  throw unexpectedState(intent, `This PaymentIntent needs no action: it has a status of ${status}.`)
}

export function capturePaymentIntent(
  turn: Turn,
  params: Requests['POST /v1/payment_intents/*/capture'],
  id: string,
): Intent {
  const intent = paymentIntent(turn, id)
  if (intent.status !== 'requires_capture') {
    throw unexpectedState(
      intent,
      `This PaymentIntent could not be captured because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.`,
    )
  }
  const amount = params.amount_to_capture ?? intent.amount_capturable
  if (amount < 1 || amount > intent.amount_capturable) {
    throw invalid('The amount to capture must be between 1 and the amount you can capture.', {
      code: amount < 1 ? 'parameter_invalid_integer' : 'amount_too_large',
      param: 'amount_to_capture',
    })
  }
  const held = charge(turn, ref(intent.latest_charge!)!)
  const rest = held.amount - amount
  Object.assign(held, {
    captured: true,
    amount_captured: amount,
    amount_refunded: rest,
  } satisfies Partial<Stripe.Charge>)
  Object.assign(intent, {
    status: 'succeeded',
    amount_capturable: 0,
    amount_received: amount,
    metadata: mergedMetadata(intent.metadata, params.metadata),
  } satisfies Partial<Intent>)
  turn.emit('charge.captured', held)
  disputeOrWarn(turn, held)
  turn.emit('payment_intent.succeeded', intent)
  return intent
}

export function cancelPaymentIntent(
  turn: Turn,
  params: Requests['POST /v1/payment_intents/*/cancel'],
  id: string,
): Intent {
  const intent = paymentIntent(turn, id)
  if (![...OPEN, 'requires_capture', 'processing'].includes(intent.status)) {
    throw unexpectedState(
      intent,
      `You cannot cancel this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, requires_action, processing.`,
    )
  }
  release(turn, intent, params.cancellation_reason ?? null)
  return intent
}

function release(turn: Turn, intent: Intent, reason: Intent['cancellation_reason']): void {
  const held = intent.status === 'requires_capture' ? charge(turn, ref(intent.latest_charge!)!) : undefined
  Object.assign(intent, {
    status: 'canceled',
    canceled_at: seconds(turn),
    cancellation_reason: reason,
    amount_capturable: 0,
    next_action: null,
  } satisfies Partial<Intent>)
  if (held) releaseCharge(turn, held, reason === 'automatic' ? 'charge.expired' : 'charge.refunded')
  turn.emit('payment_intent.canceled', intent)
}

/** Expires a hold, seven days after its authorisation. */
export function expireHold(turn: Turn, id: string): void {
  const intent = own(turn.state.paymentIntents, id)
  if (intent?.status === 'requires_capture') release(turn, intent, 'automatic')
}

function unexpectedState(intent: Intent, message: string) {
  return invalid(message, {
    code: 'payment_intent_unexpected_state',
    payment_intent: structuredClone(intent),
  })
}
