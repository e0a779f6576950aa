import type Stripe from 'stripe'
import { invalid, missing } from './errors.ts'
import { change, mergedAddress, mergedMetadata } from './fields.ts'
import { listPage } from './lists.ts'
import { customer, paymentMethod } from './lookup.ts'
import { attach, detachAll, materialise, refuseAttach } from './payment-methods.ts'
import { letters, newId, own } from './state.ts'
import { keep, seconds, type Turn } from './turn.ts'
import type { Requests } from './wire.ts'

export function createCustomer(turn: Turn, params: Requests['POST /v1/customers']): Stripe.Customer {
  const created: Stripe.Customer = {
    id: newId('cus'),
    object: 'customer',
    address: null,
    balance: 0,
    created: seconds(turn),
    currency: null,
    default_source: null,
    delinquent: false,
    description: null,
    discount: null,
    email: null,
    invoice_prefix: letters(8).toUpperCase(),
    invoice_settings: {
      custom_fields: null,
      default_payment_method: null,
      footer: null,
      rendering_options: null,
    },
    livemode: false,
    metadata: {},
    name: null,
    next_invoice_sequence: 1,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: null,
  }
  const method = params.payment_method === undefined ? undefined : materialise(turn, params.payment_method)
  if (method) refuseAttach(turn, method)
  Object.assign(created, changesOf(turn, created, params))
  turn.emit('customer.created', keep(turn.state.customers, created))
  if (method) attach(turn, method, created.id)
  return created
}

export function updateCustomer(
  turn: Turn,
  params: Requests['POST /v1/customers/*'],
  id: string,
): Stripe.Customer {
  const found = customer(turn, id, 'id', 404)
  const previous = change(found, changesOf(turn, found, params))
  if (Object.keys(previous).length > 0) turn.emit('customer.updated', found, previous)
  return found
}

type Changeable = Requests['POST /v1/customers'] & Requests['POST /v1/customers/*']

function changesOf(turn: Turn, before: Stripe.Customer, params: Changeable): Partial<Stripe.Customer> {
  const { address, email, invoice_settings: settings, metadata } = params
  // Stripe takes ASCII only: an international domain in its `xn--` form.
  if (email && !/^[!-?A-~]+@[!-?A-~]+$/.test(email)) {
    throw invalid(`Invalid email address: ${email}`, { code: 'email_invalid', param: 'email' })
  }
  const text = (name: 'description' | 'email' | 'name' | 'phone') =>
    params[name] === undefined ? {} : { [name]: params[name] || null }
  return {
    ...text('description'),
    ...text('email'),
    ...text('name'),
    ...text('phone'),
    ...(address !== undefined && { address: address ? mergedAddress(before.address, address) : null }),
    ...(params.preferred_locales && { preferred_locales: params.preferred_locales }),
    ...(settings?.default_payment_method !== undefined && {
      invoice_settings: {
        ...before.invoice_settings,
        default_payment_method: ownMethod(turn, before.id, settings.default_payment_method),
      },
    }),
    metadata: mergedMetadata(before.metadata, metadata),
  }
}

function ownMethod(turn: Turn, customerId: string, methodId: string): string | null {
  if (methodId === '') return null
  const method = own(turn.state.paymentMethods, methodId)
  if (method?.customer === customerId) return method.id
  throw invalid(
    `The customer does not have a payment method with the ID ${methodId}. The payment method must be attached to the customer.`,
    { code: 'resource_missing', param: 'invoice_settings[default_payment_method]' },
  )
}

export function retrieveCustomer(
  turn: Turn,
  _params: object,
  id: string,
): Stripe.Customer | Stripe.DeletedCustomer {
  const found = own(turn.state.customers, id)
  if (!found) throw missing('customer', id, 'id', 404)
  return found
}

export function deleteCustomer(turn: Turn, _params: object, id: string): Stripe.DeletedCustomer {
  const found = customer(turn, id, 'id', 404)
  detachAll(turn, id)
  turn.emit('customer.deleted', found)
  return keep<Stripe.Customer | Stripe.DeletedCustomer>(turn.state.customers, {
    id,
    object: 'customer',
    deleted: true,
  }) as Stripe.DeletedCustomer
}

export function listCustomers(
  turn: Turn,
  params: Requests['GET /v1/customers'],
): Stripe.ApiList<Stripe.Customer> {
  const live = Object.values(turn.state.customers).filter((each) => !each.deleted) as Stripe.Customer[]
  const wanted = live.filter((each) => params.email === undefined || each.email === params.email)
  return listPage(wanted, params, '/v1/customers')
}

export function listCustomersMethods(
  turn: Turn,
  params: Requests['GET /v1/customers/*/payment_methods'],
  id: string,
): Stripe.ApiList<Stripe.PaymentMethod> {
  const { id: customerId } = customer(turn, id, 'customer', 404)
  const own = Object.values(turn.state.paymentMethods).filter((method) => method.customer === customerId)
  return listPage(own, params, `/v1/customers/${customerId}/payment_methods`)
}

export function retrieveCustomersMethod(
  turn: Turn,
  _params: object,
  id: string,
  methodId: string,
): Stripe.PaymentMethod {
  const method = paymentMethod(turn, methodId, 404)
  if (method.customer !== customer(turn, id, 'customer', 404).id) {
    throw missing('PaymentMethod', methodId, 'payment_method', 404)
  }
  return method
}
