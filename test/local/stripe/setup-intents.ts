import type Stripe from 'stripe'
import type { DeclineCode } from './cards.ts'
import { invalid, missing } from './errors.ts'
import { mergedMetadata } from './fields.ts'
import { listPage } from './lists.ts'
import { customer, paymentMethod } from './lookup.ts'
import { attach, bankRefusal, declineBody, materialise, verify } from './payment-methods.ts'
import { letters, newId, own, ref, testCardOf } from './state.ts'
import { keep, seconds, type Turn } from './turn.ts'
import type { Requests } from './wire.ts'

/** A minimal version of SetupIntents, enough for a card form and for the CLI's triggers. */

type Intent = Stripe.SetupIntent

export function createSetupIntent(turn: Turn, params: Requests['POST /v1/setup_intents']): Intent {
  const customerId = params.customer === undefined ? null : customer(turn, params.customer).id
  const method = params.payment_method === undefined ? null : materialise(turn, params.payment_method)
  const automatic = params.automatic_payment_methods
  const id = newId('seti')
  const created: Intent = {
    id,
    object: 'setup_intent',
    allowed_payment_method_types: null,
    application: null,
    automatic_payment_methods: automatic
      ? { enabled: automatic.enabled, allow_redirects: automatic.allow_redirects ?? 'always' }
      : null,
    cancellation_reason: null,
    client_secret: `${id}_secret_${letters(25)}`,
    created: seconds(turn),
    customer: customerId,
    customer_account: null,
    description: params.description ?? null,
    excluded_payment_method_types: null,
    flow_directions: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: false,
    mandate: null,
    metadata: mergedMetadata({}, params.metadata),
    next_action: null,
    on_behalf_of: null,
    payment_method: method?.id ?? null,
    payment_method_configuration_details: null,
    payment_method_options: {
      card: { mandate_options: null, network: null, request_three_d_secure: 'automatic' },
    },
    payment_method_types: ['card'],
    single_use_mandate: null,
    status: method ? 'requires_confirmation' : 'requires_payment_method',
    usage: params.usage ?? 'off_session',
  }
  turn.emit('setup_intent.created', keep(turn.state.setupIntents, created))
  return params.confirm ? confirm(turn, created, undefined) : created
}

function setupIntent(turn: Turn, id: string): Intent {
  const found = own(turn.state.setupIntents, id)
  if (!found) throw missing('setupintent', id, 'intent', 404)
  return found
}

export function retrieveSetupIntent(turn: Turn, _params: object, id: string): Intent {
  return setupIntent(turn, id)
}

export function listSetupIntents(
  turn: Turn,
  params: Requests['GET /v1/setup_intents'],
): Stripe.ApiList<Intent> {
  const wanted = Object.values(turn.state.setupIntents).filter(
    (each) => params.customer === undefined || each.customer === params.customer,
  )
  return listPage(wanted, params, '/v1/setup_intents')
}

export function confirmSetupIntent(
  turn: Turn,
  params: Requests['POST /v1/setup_intents/*/confirm'],
  id: string,
): Intent {
  return confirm(turn, setupIntent(turn, id), params.payment_method)
}

const OPEN: readonly string[] = ['requires_payment_method', 'requires_confirmation', 'requires_action']

function confirm(turn: Turn, intent: Intent, asked: string | undefined): Intent {
  if (!OPEN.includes(intent.status)) throw unexpectedState(intent, 'confirm')
  const id = asked ?? ref(intent.payment_method)
  if (id === null) throw unexpectedState(intent, 'confirm')
  const method = materialise(turn, id)
  if (method.customer !== null && method.customer !== intent.customer) {
    throw invalid(`The PaymentMethod ${method.id} does not belong to the Customer you supplied.`, {
      param: 'payment_method',
    })
  }
  intent.payment_method = method.id
  if (testCardOf(turn.state, method.id).authentication) {
    intent.status = 'requires_action'
    intent.next_action = { type: 'use_stripe_sdk', use_stripe_sdk: {} }
    turn.emit('setup_intent.requires_action', intent)
    return intent
  }
  return finish(turn, intent, method)
}

function finish(turn: Turn, intent: Intent, method: Stripe.PaymentMethod): Intent {
  const { declines } = testCardOf(turn.state, method.id)
  const refusal = turn.declineOrdered() ?? (declines?.when === 'always' ? declines.code : undefined)
  if (refusal) return decline(turn, intent, method, refusal)
  verify(method)
  turn.state.cards[method.id]!.setUp = true
  const customerId = ref(intent.customer)
  if (customerId !== null && method.customer === null) attach(turn, method, customerId)
  Object.assign(intent, {
    status: 'succeeded',
    next_action: null,
    last_setup_error: null,
  } satisfies Partial<Intent>)
  turn.emit('setup_intent.succeeded', intent)
  return intent
}

function decline(turn: Turn, intent: Intent, method: Stripe.PaymentMethod, code: DeclineCode): never {
  const details = { payment_method: structuredClone(method), payment_method_type: 'card' }
  fail(intent, { type: 'card_error', ...declineBody(code), ...details })
  turn.emit('setup_intent.setup_failed', intent)
  throw bankRefusal(code, { ...details, setup_intent: structuredClone(intent) })
}

function fail(intent: Intent, error: Stripe.SetupIntent.LastSetupError): void {
  Object.assign(intent, {
    status: 'requires_payment_method',
    payment_method: null,
    next_action: null,
    last_setup_error: error,
  } satisfies Partial<Intent>)
}

/** Completes or fails 3-D Secure, as the customer does in the browser. */
export function authenticateSetup(turn: Turn, id: string, outcome: 'succeed' | 'fail'): void {
  const intent = setupIntent(turn, id)
  if (intent.status !== 'requires_action') throw unexpectedState(intent, 'authenticate')
  const method = paymentMethod(turn, ref(intent.payment_method!)!)
  if (outcome === 'succeed') {
    finish(turn, intent, method)
    return
  }
  fail(intent, {
    type: 'invalid_request_error',
    code: 'setup_intent_authentication_failure',
    message: 'The provided PaymentMethod has failed authentication.',
    payment_method: structuredClone(method),
  })
  turn.emit('setup_intent.setup_failed', intent)
}

export function cancelSetupIntent(
  turn: Turn,
  params: Requests['POST /v1/setup_intents/*/cancel'],
  id: string,
): Intent {
  const intent = setupIntent(turn, id)
  if (!OPEN.includes(intent.status)) throw unexpectedState(intent, 'cancel')
  Object.assign(intent, {
    status: 'canceled',
    cancellation_reason: params.cancellation_reason ?? null,
    next_action: null,
  } satisfies Partial<Intent>)
  turn.emit('setup_intent.canceled', intent)
  return intent
}

function unexpectedState(intent: Intent, verb: string) {
  return invalid(`You cannot ${verb} this SetupIntent because it has a status of ${intent.status}.`, {
    code: 'setup_intent_unexpected_state',
    setup_intent: structuredClone(intent),
  })
}
