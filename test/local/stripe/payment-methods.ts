import { createHash } from 'node:crypto'
import type Stripe from 'stripe'
import { CARDS, DECLINES, type DeclineCode, isCardNumber, numberNamed, type TestCard } from './cards.ts'
import { declined, invalid, malformed, type StripeProblem } from './errors.ts'
import { change, mergedAddress, mergedMetadata } from './fields.ts'
import { listPage } from './lists.ts'
import { customer, paymentMethod } from './lookup.ts'
import { newId, testCardOf } from './state.ts'
import { keep, seconds, type Turn } from './turn.ts'
import type { Requests } from './wire.ts'

/** The payment method with this id, or a new payment method for a name such as `pm_card_visa`. */
export function materialise(turn: Turn, id: string, status: 400 | 404 = 400): Stripe.PaymentMethod {
  const number = id.startsWith('pm_card_') ? numberNamed(id) : undefined
  return number === undefined ? paymentMethod(turn, id, status) : newMethod(turn, { number }, {})
}

/** A decline by the bank. `details` adds the intent, charge or payment method, if there is one. */
export function bankRefusal(code: DeclineCode, details: Parameters<typeof declined>[0] = {}): StripeProblem {
  return declined({ ...declineBody(code), ...details })
}

/** The members of an error that say why the bank refused. */
export function declineBody(code: DeclineCode) {
  const decline = DECLINES[code]
  return {
    code: decline.code,
    message: decline.message,
    doc_url: `https://stripe.com/docs/error-codes/${decline.code.replaceAll('_', '-')}`,
    // If the decline code is also the error's own code, Stripe leaves out `decline_code`.
    ...(decline.code === code && code !== 'authentication_required' ? {} : { decline_code: code }),
    ...(decline.advice && { advice_code: decline.advice }),
  }
}

export function createPaymentMethod(
  turn: Turn,
  params: Requests['POST /v1/payment_methods'],
): Stripe.PaymentMethod {
  const { card, type } = params
  if (type !== 'card' || !card) {
    throw malformed('The local double takes cards only.', { param: 'type' })
  }
  const fromToken = card.token === undefined ? undefined : numberNamed(card.token)
  const number = (fromToken ?? card.number ?? '').replace(/[\s-]/g, '')
  if (!isCardNumber(number)) throw wrongCard('incorrect_number', 'Your card number is incorrect.', 'number')
  if (!CARDS[number]) {
    throw declined({
      code: 'card_declined',
      decline_code: 'test_mode_live_card',
      message: 'Your card was declined. Your request was in test mode, but used a non test card.',
    })
  }
  const { year, month } = thisMonth(turn)
  const expYear = card.exp_year ?? year + 1
  const expMonth = card.exp_month ?? month
  if (expMonth < 1 || expMonth > 12) {
    throw wrongCard('invalid_expiry_month', "Your card's expiration month is invalid.", 'exp_month')
  }
  if (expYear < year || expYear > year + 50 || (expYear === year && expMonth < month)) {
    throw wrongCard('invalid_expiry_year', "Your card's expiration year is invalid.", 'exp_year')
  }
  return newMethod(turn, { number, expMonth, expYear }, params)
}

const wrongCard = (code: string, message: string, param: string) => declined({ code, message, param })

function thisMonth(turn: Turn): { year: number; month: number } {
  const now = new Date(turn.nowMs)
  return { year: now.getUTCFullYear(), month: now.getUTCMonth() + 1 }
}

interface CardDetails {
  number: string
  expMonth?: number
  expYear?: number
}

function newMethod(
  turn: Turn,
  details: CardDetails,
  params: Pick<Requests['POST /v1/payment_methods'], 'billing_details' | 'metadata' | 'allow_redisplay'>,
): Stripe.PaymentMethod {
  const { year, month } = thisMonth(turn)
  const known = CARDS[details.number]!
  const created: Stripe.PaymentMethod = {
    id: newId('pm'),
    object: 'payment_method',
    allow_redisplay: params.allow_redisplay ?? 'unspecified',
    billing_details: billingOf(undefined, params.billing_details),
    card: cardOf(known, details.number, {
      month: details.expMonth ?? month,
      year: details.expYear ?? year + 1,
    }),
    created: seconds(turn),
    customer: null,
    customer_account: null,
    livemode: false,
    metadata: mergedMetadata({}, params.metadata),
    type: 'card',
  }
  turn.state.cards[created.id] = {
    number: details.number,
    setUp: known.authentication === 'already_set_up',
    spent: false,
  }
  return keep(turn.state.paymentMethods, created)
}

export function cardOf(
  known: TestCard,
  number: string,
  expires: { month: number; year: number },
): Stripe.PaymentMethod.Card {
  return {
    brand: known.brand,
    checks: { address_line1_check: null, address_postal_code_check: null, cvc_check: 'unchecked' },
    country: 'US',
    display_brand: known.brand,
    exp_month: expires.month,
    exp_year: expires.year,
    fingerprint: createHash('sha256').update(number).digest('base64').replace(/\W/g, '').slice(0, 16),
    funding: known.funding ?? 'credit',
    generated_from: null,
    last4: number.slice(-4),
    networks: { available: [known.brand], preferred: null },
    regulated_status: 'unregulated',
    three_d_secure_usage: { supported: true },
    wallet: null,
  }
}

type BillingParams = Requests['POST /v1/payment_methods']['billing_details']

function billingOf(
  before: Stripe.PaymentMethod.BillingDetails | undefined,
  params: BillingParams,
): Stripe.PaymentMethod.BillingDetails {
  const text = (name: 'email' | 'name' | 'phone') =>
    params?.[name] === undefined ? (before?.[name] ?? null) : params[name] || null
  return {
    address: mergedAddress(before?.address, params?.address || {}),
    email: text('email'),
    name: text('name'),
    phone: text('phone'),
    tax_id: before?.tax_id ?? null,
  }
}

export function retrievePaymentMethod(turn: Turn, _params: object, id: string): Stripe.PaymentMethod {
  return materialise(turn, id, 404)
}

export function updatePaymentMethod(
  turn: Turn,
  params: Requests['POST /v1/payment_methods/*'],
  id: string,
): Stripe.PaymentMethod {
  const method = paymentMethod(turn, id, 404)
  if (method.customer === null) {
    throw invalid('You must save this PaymentMethod to a customer before you can update it.')
  }
  const { card } = params
  const previous = change(method, {
    ...(params.allow_redisplay && { allow_redisplay: params.allow_redisplay }),
    ...(params.billing_details && {
      billing_details: billingOf(method.billing_details, params.billing_details),
    }),
    ...(card &&
      method.card && {
        card: {
          ...method.card,
          exp_month: card.exp_month ?? method.card.exp_month,
          exp_year: card.exp_year ?? method.card.exp_year,
        },
      }),
    metadata: mergedMetadata(method.metadata ?? {}, params.metadata),
  })
  if (Object.keys(previous).length > 0) turn.emit('payment_method.updated', method, previous)
  return method
}

export function attachPaymentMethod(
  turn: Turn,
  params: Requests['POST /v1/payment_methods/*/attach'],
  id: string,
): Stripe.PaymentMethod {
  const customerId = customer(turn, params.customer ?? '').id
  const method = materialise(turn, id, 404)
  if (method.customer === customerId) return method
  if (method.customer !== null) {
    throw invalid('The payment method you provided has already been attached to a customer.')
  }
  refuseAttach(turn, method)
  attach(turn, method, customerId)
  return method
}

/** @throws StripeProblem for a card that is used up, and for a card that the bank declines. */
export function refuseAttach(turn: Turn, method: Stripe.PaymentMethod): void {
  if (turn.state.cards[method.id]!.spent) {
    throw invalid(
      'This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again.',
    )
  }
  const { declines } = testCardOf(turn.state, method.id)
  const refusal = turn.declineOrdered() ?? (declines?.when === 'always' ? declines.code : undefined)
  if (refusal) throw bankRefusal(refusal)
}

/** Attaches an unattached payment method whose card the bank has accepted. */
export function attach(turn: Turn, method: Stripe.PaymentMethod, customerId: string): void {
  method.customer = customerId
  verify(method)
  turn.emit('payment_method.attached', method)
}

/** Records that the bank has checked the card: all details that were given pass. */
export function verify(method: Stripe.PaymentMethod): void {
  const { address } = method.billing_details
  if (!method.card) return
  method.card.checks = {
    address_line1_check: address?.line1 ? 'pass' : null,
    address_postal_code_check: address?.postal_code ? 'pass' : null,
    cvc_check: 'pass',
  }
}

export function detachPaymentMethod(turn: Turn, _params: object, id: string): Stripe.PaymentMethod {
  const method = paymentMethod(turn, id, 404)
  if (method.customer === null) {
    throw invalid(
      'The payment method you provided is not attached to a customer so detachment is impossible.',
    )
  }
  detach(turn, method)
  return method
}

function detach(turn: Turn, method: Stripe.PaymentMethod): void {
  const customerId = method.customer as string
  const owner = turn.state.customers[customerId]
  if (owner && !owner.deleted && owner.invoice_settings.default_payment_method === method.id) {
    const previous = change(owner, {
      invoice_settings: { ...owner.invoice_settings, default_payment_method: null },
    })
    turn.emit('customer.updated', owner, previous)
  }
  method.customer = null
  turn.state.cards[method.id]!.spent = true
  turn.emit('payment_method.detached', method, { customer: customerId })
}

/** Detaches all payment methods of a deleted customer. */
export function detachAll(turn: Turn, customerId: string): void {
  for (const method of Object.values(turn.state.paymentMethods)) {
    if (method.customer === customerId) detach(turn, method)
  }
}

export function listPaymentMethods(
  turn: Turn,
  params: Requests['GET /v1/payment_methods'],
): Stripe.ApiList<Stripe.PaymentMethod> {
  if (params.customer === undefined) {
    throw invalid('Missing required param: customer.', { code: 'parameter_missing', param: 'customer' })
  }
  const customerId = customer(turn, params.customer).id
  const own = Object.values(turn.state.paymentMethods).filter((method) => method.customer === customerId)
  return listPage(own, params, '/v1/payment_methods')
}
