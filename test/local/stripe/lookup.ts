import type Stripe from 'stripe'
import { missing } from './errors.ts'
import { own } from './state.ts'
import type { Turn } from './turn.ts'

/** @throws StripeProblem `resource_missing` if the customer is deleted or never existed. */
export function customer(
  turn: Turn,
  id: string,
  param = 'customer',
  status: 400 | 404 = 400,
): Stripe.Customer {
  const found = own(turn.state.customers, id)
  if (!found || found.deleted) throw missing('customer', id, param, status)
  return found
}

/** @throws StripeProblem `resource_missing`. */
export function paymentMethod(turn: Turn, id: string, status: 400 | 404 = 400): Stripe.PaymentMethod {
  const found = own(turn.state.paymentMethods, id)
  if (!found) throw missing('PaymentMethod', id, 'payment_method', status)
  return found
}

/** @throws StripeProblem `resource_missing`. */
export function paymentIntent(turn: Turn, id: string, status: 400 | 404 = 404): Stripe.PaymentIntent {
  const found = own(turn.state.paymentIntents, id)
  if (!found) throw missing('payment_intent', id, status === 404 ? 'intent' : 'payment_intent', status)
  return found
}

/** @throws StripeProblem `resource_missing`. */
export function charge(turn: Turn, id: string, status: 400 | 404 = 404): Stripe.Charge {
  const found = own(turn.state.charges, id)
  if (!found) throw missing('charge', id, 'charge', status)
  return found
}
