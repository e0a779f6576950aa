import type Stripe from 'stripe'
import { invalid, malformed, missing } from './errors.ts'
import { paymentMethod } from './lookup.ts'
import { materialise } from './payment-methods.ts'
import { newId, own } from './state.ts'
import { keep, seconds, type Turn } from './turn.ts'
import type { Requests } from './wire.ts'

type Token = Stripe.ConfirmationToken

const EXPIRES_SECONDS = 12 * 3600

/** Makes a token as Stripe's library does in a browser, by the endpoint that Stripe has for tests. */
export function createConfirmationToken(
  turn: Turn,
  params: Requests['POST /v1/test_helpers/confirmation_tokens'],
): Token {
  const { payment_method: id } = params
  if (id === undefined) throw malformed('The local double makes tokens of cards, by `payment_method`.')
  const method = materialise(turn, id)
  const token: Token = {
    id: newId('ctoken'),
    object: 'confirmation_token',
    created: seconds(turn),
    expires_at: seconds(turn) + EXPIRES_SECONDS,
    livemode: false,
    metadata: {},
    payment_intent: null,
    payment_method_options: null,
    payment_method_preview: previewOf(method),
    return_url: params.return_url ?? null,
    setup_future_usage: params.setup_future_usage ?? null,
    setup_intent: null,
    shipping: null,
    use_stripe_sdk: true,
  }
  turn.state.tokenCards[token.id] = { method: method.id }
  return keep(turn.state.confirmationTokens, token)
}

const previewOf = (method: Stripe.PaymentMethod): Token['payment_method_preview'] =>
  ({
    type: 'card',
    allow_redisplay: method.allow_redisplay ?? 'unspecified',
    billing_details: method.billing_details,
    card: structuredClone(method.card),
    customer: method.customer,
    customer_account: null,
  }) as Token['payment_method_preview']

export function retrieveConfirmationToken(turn: Turn, _params: object, id: string): Token {
  return tokenNamed(turn, id, 404)
}

function tokenNamed(turn: Turn, id: string, status: 400 | 404): Token {
  const found = own(turn.state.confirmationTokens, id)
  if (!found) throw missing('confirmation_token', id, 'confirmation_token', status)
  return found
}

/** The payment method of a token, which is used up by this confirmation whatever the bank says. */
export function useToken(turn: Turn, id: string, intent: Stripe.PaymentIntent): Stripe.PaymentMethod {
  const token = tokenNamed(turn, id, 400)
  const refuse = (why: string) =>
    invalid(`The ConfirmationToken ${id} ${why}.`, {
      param: 'confirmation_token',
      payment_intent: structuredClone(intent),
    })
  if (token.payment_intent !== null) throw refuse('has already been used to confirm an Intent')
  if ((token.expires_at ?? 0) <= seconds(turn)) throw refuse('has expired')
  if (token.setup_future_usage !== null && token.setup_future_usage !== intent.setup_future_usage) {
    throw invalid(
      `The provided setup_future_usage (${token.setup_future_usage}) does not match the expected setup_future_usage (${intent.setup_future_usage}). Try confirming with a Payment Intent that is configured with the same parameters as Stripe Elements.`,
      { payment_intent: structuredClone(intent) },
    )
  }
  Object.assign(token, { payment_intent: intent.id, expires_at: null } satisfies Partial<Token>)
  return paymentMethod(turn, turn.state.tokenCards[id]!.method)
}
