import type Stripe from 'stripe'
import { listCharges, listFraudWarnings, retrieveCharge, retrieveFraudWarning } from './charges.ts'
import { createConfirmationToken, retrieveConfirmationToken } from './confirmation-tokens.ts'
import {
  createCustomer,
  deleteCustomer,
  listCustomers,
  listCustomersMethods,
  retrieveCustomer,
  retrieveCustomersMethod,
  updateCustomer,
} from './customers.ts'
import { closeDispute, listDisputes, retrieveDispute, updateDispute } from './disputes.ts'
import { invalid, missing } from './errors.ts'
import { listPage } from './lists.ts'
import {
  cancelPaymentIntent,
  capturePaymentIntent,
  confirmPaymentIntent,
  createPaymentIntent,
  listPaymentIntents,
  retrievePaymentIntent,
  updatePaymentIntent,
} from './payment-intents.ts'
import {
  attachPaymentMethod,
  createPaymentMethod,
  detachPaymentMethod,
  listPaymentMethods,
  retrievePaymentMethod,
  updatePaymentMethod,
} from './payment-methods.ts'
import { createRefund, listRefunds, retrieveRefund, updateRefund } from './refunds.ts'
import {
  cancelSetupIntent,
  confirmSetupIntent,
  createSetupIntent,
  listSetupIntents,
  retrieveSetupIntent,
} from './setup-intents.ts'
import { own, type StripeObject } from './state.ts'
import { seconds, type Turn } from './turn.ts'
import type { Requests, RouteKey } from './wire.ts'

type Answer = StripeObject | Stripe.ApiList<StripeObject>

interface Route<P> {
  /** The parameters that the double supports. Other parameters of Stripe are refused, not ignored. */
  takes: readonly (keyof P & string)[]
  handle(turn: Turn, params: P, ...ids: string[]): Answer
}

const PAGE = ['limit', 'starting_after', 'ending_before'] as const
const CUSTOMER = [
  'address',
  'description',
  'email',
  'invoice_settings',
  'metadata',
  'name',
  'phone',
  'preferred_locales',
] as const
const INTENT = ['customer', 'description', 'metadata', 'payment_method', 'confirm', 'return_url'] as const

export const ROUTES: { readonly [K in RouteKey]: Route<Requests[K]> } = {
  'POST /v1/customers': { takes: [...CUSTOMER, 'payment_method'], handle: createCustomer },
  'GET /v1/customers': { takes: [...PAGE, 'created', 'email'], handle: listCustomers },
  'GET /v1/customers/*': { takes: [], handle: retrieveCustomer },
  'POST /v1/customers/*': { takes: CUSTOMER, handle: updateCustomer },
  'DELETE /v1/customers/*': { takes: [], handle: deleteCustomer },
  'GET /v1/customers/*/payment_methods': { takes: [...PAGE, 'type'], handle: listCustomersMethods },
  'GET /v1/customers/*/payment_methods/*': { takes: [], handle: retrieveCustomersMethod },

  'POST /v1/payment_methods': {
    takes: ['type', 'card', 'billing_details', 'metadata', 'allow_redisplay'],
    handle: createPaymentMethod,
  },
  'GET /v1/payment_methods': { takes: [...PAGE, 'customer', 'type'], handle: listPaymentMethods },
  'GET /v1/payment_methods/*': { takes: [], handle: retrievePaymentMethod },
  'POST /v1/payment_methods/*': {
    takes: ['card', 'billing_details', 'metadata', 'allow_redisplay'],
    handle: updatePaymentMethod,
  },
  'POST /v1/payment_methods/*/attach': { takes: ['customer'], handle: attachPaymentMethod },
  'POST /v1/payment_methods/*/detach': { takes: [], handle: detachPaymentMethod },

  'POST /v1/test_helpers/confirmation_tokens': {
    takes: ['payment_method', 'return_url', 'setup_future_usage'],
    handle: createConfirmationToken,
  },
  'GET /v1/confirmation_tokens/*': { takes: [], handle: retrieveConfirmationToken },

  'POST /v1/payment_intents': {
    takes: [
      ...INTENT,
      'amount',
      'currency',
      'automatic_payment_methods',
      'capture_method',
      'confirmation_method',
      'off_session',
      'payment_method_options',
      'receipt_email',
      'statement_descriptor_suffix',
      'setup_future_usage',
      'shipping',
    ],
    handle: createPaymentIntent,
  },
  'GET /v1/payment_intents': { takes: [...PAGE, 'created', 'customer'], handle: listPaymentIntents },
  'GET /v1/payment_intents/*': { takes: [], handle: retrievePaymentIntent },
  'POST /v1/payment_intents/*': {
    takes: ['amount', 'description', 'metadata', 'payment_method'],
    handle: updatePaymentIntent,
  },
  'POST /v1/payment_intents/*/confirm': {
    takes: ['confirmation_token', 'payment_method', 'off_session', 'payment_method_options', 'return_url'],
    handle: confirmPaymentIntent,
  },
  'POST /v1/payment_intents/*/capture': {
    takes: ['amount_to_capture', 'metadata'],
    handle: capturePaymentIntent,
  },
  'POST /v1/payment_intents/*/cancel': { takes: ['cancellation_reason'], handle: cancelPaymentIntent },

  'POST /v1/setup_intents': {
    takes: [...INTENT, 'automatic_payment_methods', 'usage'],
    handle: createSetupIntent,
  },
  'GET /v1/setup_intents': { takes: [...PAGE, 'created', 'customer'], handle: listSetupIntents },
  'GET /v1/setup_intents/*': { takes: [], handle: retrieveSetupIntent },
  'POST /v1/setup_intents/*/confirm': {
    takes: ['payment_method', 'return_url'],
    handle: confirmSetupIntent,
  },
  'POST /v1/setup_intents/*/cancel': { takes: ['cancellation_reason'], handle: cancelSetupIntent },

  'GET /v1/charges': { takes: [...PAGE, 'created', 'customer', 'payment_intent'], handle: listCharges },
  'GET /v1/charges/*': { takes: [], handle: retrieveCharge },

  'POST /v1/refunds': {
    takes: ['amount', 'charge', 'metadata', 'payment_intent', 'reason'],
    handle: createRefund,
  },
  'GET /v1/refunds': { takes: [...PAGE, 'created', 'charge', 'payment_intent'], handle: listRefunds },
  'GET /v1/refunds/*': { takes: [], handle: retrieveRefund },
  'POST /v1/refunds/*': { takes: ['metadata'], handle: updateRefund },

  'GET /v1/disputes': { takes: [...PAGE, 'created', 'charge', 'payment_intent'], handle: listDisputes },
  'GET /v1/disputes/*': { takes: [], handle: retrieveDispute },
  'POST /v1/disputes/*': { takes: ['evidence', 'metadata', 'submit'], handle: updateDispute },
  'POST /v1/disputes/*/close': { takes: [], handle: closeDispute },

  'GET /v1/radar/early_fraud_warnings': {
    takes: [...PAGE, 'created', 'charge', 'payment_intent'],
    handle: listFraudWarnings,
  },
  'GET /v1/radar/early_fraud_warnings/*': { takes: [], handle: retrieveFraudWarning },

  'GET /v1/events': {
    takes: [...PAGE, 'created', 'type', 'types', 'delivery_success'],
    handle: listEvents,
  },
  'GET /v1/events/*': { takes: [], handle: retrieveEvent },
}

/** @throws StripeProblem 400 for a parameter that the double would have to ignore. */
export function refuseUnmodelled(route: RouteKey, params: object): void {
  const takes: readonly string[] = ROUTES[route].takes
  const rest = Object.keys(params).filter((name) => name !== 'expand' && !takes.includes(name))
  if (rest.length > 0) {
    throw invalid(`The local double does not model ${rest.join(', ')} of ${route}.`, { param: rest[0]! })
  }
}

/** The route of a request and the ids in its path; undefined if the double has no such route. */
export function routeOf(method: string, path: string): { key: RouteKey; ids: string[] } | undefined {
  for (const { key, pattern } of PATTERNS) {
    const match = pattern.exec(`${method} ${path}`)
    if (match) return { key, ids: match.slice(1).map(decoded) }
  }
  return undefined
}

/** Decodes a segment of a path. A malformed encoding becomes an id that does not exist. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const PATTERNS = (Object.keys(ROUTES) as RouteKey[]).map((key) => ({
  key,
  pattern: new RegExp(`^${key.replaceAll('*', '([^/]+)')}$`),
}))

function retrieveEvent(turn: Turn, _params: object, id: string): Stripe.EventBase {
  const found = own(turn.state.events, id)
  if (!found || !isShown(turn, found)) throw missing('event', id, 'id', 404)
  return found
}

function listEvents(turn: Turn, params: Requests['GET /v1/events']): Stripe.ApiList<Stripe.EventBase> {
  const { type, types, delivery_success: delivered } = params
  const wanted = Object.values(turn.state.events).filter(
    (each) =>
      isShown(turn, each) &&
      (delivered === undefined || delivered === (each.pending_webhooks === 0)) &&
      (type === undefined || matches(each.type, type)) &&
      (types === undefined || types.some((one) => matches(each.type, one))),
  )
  return listPage(wanted, params, '/v1/events')
}

/** Whether an event is still listed: Stripe shows events for 30 days. */
const isShown = (turn: Turn, event: Stripe.EventBase) => event.created + 30 * 86_400 >= seconds(turn)

/** Whether an event type matches; `charge.*` matches every event of that group. */
const matches = (type: string, asked: string) =>
  asked.endsWith('*') ? type.startsWith(asked.slice(0, -1)) : type === asked
