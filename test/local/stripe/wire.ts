import type Stripe from 'stripe'

/**
 * The answers and requests of the double, in stripe-node's own types. `generate.ts` turns these two
 * interfaces into `schema.json`, with which the double checks every answer and reads every request.
 */

/** Objects that can be an answer, or be expanded inside an answer. */
export interface Answers {
  customer: Stripe.Customer
  deleted_customer: Stripe.DeletedCustomer
  payment_method: Stripe.PaymentMethod
  payment_intent: Stripe.PaymentIntent
  confirmation_token: Stripe.ConfirmationToken
  setup_intent: Stripe.SetupIntent
  charge: Stripe.Charge
  refund: Stripe.Refund
  dispute: Stripe.Dispute
  early_fraud_warning: Stripe.Radar.EarlyFraudWarning
  event: Stripe.EventBase
  error: ErrorBody
}

/** The `error` of a refused request. */
export type ErrorBody = Omit<
  Stripe.StripeRawError,
  'headers' | 'statusCode' | 'requestId' | 'detail' | 'exception' | 'source' | 'user_message'
>

/** The parameters of each endpoint; `*` is an id in the path. */
export interface Requests {
  'POST /v1/customers': Stripe.CustomerCreateParams
  'GET /v1/customers': Stripe.CustomerListParams
  'GET /v1/customers/*': Stripe.CustomerRetrieveParams
  'POST /v1/customers/*': Stripe.CustomerUpdateParams
  'DELETE /v1/customers/*': Stripe.CustomerDeleteParams
  'GET /v1/customers/*/payment_methods': Stripe.CustomerListPaymentMethodsParams
  'GET /v1/customers/*/payment_methods/*': Stripe.CustomerRetrievePaymentMethodParams

  'POST /v1/payment_methods': Stripe.PaymentMethodCreateParams
  'GET /v1/payment_methods': Stripe.PaymentMethodListParams
  'GET /v1/payment_methods/*': Stripe.PaymentMethodRetrieveParams
  'POST /v1/payment_methods/*': Stripe.PaymentMethodUpdateParams
  'POST /v1/payment_methods/*/attach': Stripe.PaymentMethodAttachParams
  'POST /v1/payment_methods/*/detach': Stripe.PaymentMethodDetachParams

  'POST /v1/test_helpers/confirmation_tokens': NonNullable<
    Parameters<Stripe['testHelpers']['confirmationTokens']['create']>[0]
  >
  'GET /v1/confirmation_tokens/*': Stripe.ConfirmationTokenRetrieveParams

  'POST /v1/payment_intents': Stripe.PaymentIntentCreateParams
  'GET /v1/payment_intents': Stripe.PaymentIntentListParams
  'GET /v1/payment_intents/*': Stripe.PaymentIntentRetrieveParams
  'POST /v1/payment_intents/*': Stripe.PaymentIntentUpdateParams
  'POST /v1/payment_intents/*/confirm': Stripe.PaymentIntentConfirmParams
  'POST /v1/payment_intents/*/capture': Stripe.PaymentIntentCaptureParams
  'POST /v1/payment_intents/*/cancel': Stripe.PaymentIntentCancelParams

  'POST /v1/setup_intents': Stripe.SetupIntentCreateParams
  'GET /v1/setup_intents': Stripe.SetupIntentListParams
  'GET /v1/setup_intents/*': Stripe.SetupIntentRetrieveParams
  'POST /v1/setup_intents/*/confirm': Stripe.SetupIntentConfirmParams
  'POST /v1/setup_intents/*/cancel': Stripe.SetupIntentCancelParams

  'GET /v1/charges': Stripe.ChargeListParams
  'GET /v1/charges/*': Stripe.ChargeRetrieveParams

  'POST /v1/refunds': Stripe.RefundCreateParams
  'GET /v1/refunds': Stripe.RefundListParams
  'GET /v1/refunds/*': Stripe.RefundRetrieveParams
  'POST /v1/refunds/*': Stripe.RefundUpdateParams

  'GET /v1/disputes': Stripe.DisputeListParams
  'GET /v1/disputes/*': Stripe.DisputeRetrieveParams
  'POST /v1/disputes/*': Stripe.DisputeUpdateParams
  'POST /v1/disputes/*/close': Stripe.DisputeCloseParams

  'GET /v1/radar/early_fraud_warnings': Stripe.Radar.EarlyFraudWarningListParams
  'GET /v1/radar/early_fraud_warnings/*': Stripe.Radar.EarlyFraudWarningRetrieveParams

  'GET /v1/events': Stripe.EventListParams
  'GET /v1/events/*': Stripe.EventRetrieveParams
}

export type RouteKey = keyof Requests
