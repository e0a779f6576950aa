import type { Card } from '../../core/cards/stored.ts'
import type { StoredCustomer } from '../../core/cards/stored-customer.ts'

/** Cards and their customer in Stripe's shapes, with only the fields that EMCP shows. */

/** Stripe's list of a customer's cards; `customerId` is undefined until there is a customer. */
export const stripeCardList = (cards: readonly Card[], customerId: string | undefined) => ({
  object: 'list' as const,
  data: cards.map(stripeCard),
  has_more: false,
  url: `/v1/customers/${customerId ?? ''}/payment_methods`,
})

const stripeCard = (card: Card) => ({
  id: card.id,
  object: 'payment_method' as const,
  billing_details: {
    address: stripeAddress(card.billing.address),
    email: orNull(card.billing.email),
    name: orNull(card.billing.name),
    phone: orNull(card.billing.phone),
  },
  card: cardDetails(card),
  created: seconds(card.createdMs),
  customer: orNull(card.customerId),
  livemode: card.livemode,
  metadata: {},
  type: 'card' as const,
})

const cardDetails = ({ checks, networks, ...card }: Card) => ({
  brand: card.brand,
  checks: {
    address_line1_check: orNull(checks.line1),
    address_postal_code_check: orNull(checks.postalCode),
    cvc_check: orNull(checks.cvc),
  },
  country: orNull(card.country),
  exp_month: card.expMonth,
  exp_year: card.expYear,
  fingerprint: orNull(card.fingerprint),
  funding: card.funding,
  generated_from: null,
  last4: card.last4,
  networks: { available: networks?.available ?? [card.brand], preferred: orNull(networks?.preferred) },
  three_d_secure_usage: { supported: card.threeDSecureSupported },
  wallet: null,
})

/** Stripe's customer; `balance` is in cents, as at Stripe. */
export const stripeCustomer = (customer: StoredCustomer) => ({
  id: customer.id,
  object: 'customer' as const,
  address: customer.address ? stripeAddress(customer.address) : null,
  balance: customer.balanceCents,
  created: seconds(customer.createdMs),
  currency: orNull(customer.currency),
  default_source: null,
  delinquent: customer.delinquent,
  description: orNull(customer.description),
  discount: null,
  email: orNull(customer.email),
  invoice_prefix: orNull(customer.invoicePrefix),
  invoice_settings: {
    custom_fields: null,
    default_payment_method: orNull(customer.defaultCardId),
    footer: null,
    rendering_options: null,
  },
  livemode: customer.livemode,
  metadata: {},
  name: orNull(customer.name),
  phone: orNull(customer.phone),
  preferred_locales: [],
  shipping: null,
  tax_exempt: 'none' as const,
  test_clock: null,
})

const stripeAddress = (address: Card['billing']['address']) => ({
  city: orNull(address.city),
  country: orNull(address.country),
  line1: orNull(address.line1),
  line2: orNull(address.line2),
  postal_code: orNull(address.postalCode),
  state: orNull(address.state),
})

/** Stripe shows null for an unknown value. */
const orNull = (value: string | undefined): string | null => value ?? null

/** Stripe counts whole seconds since 1970. */
const seconds = (atMs: number): number => Math.floor(atMs / 1000)
