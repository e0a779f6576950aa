import { iso31661Alpha2ToAlpha3 } from 'iso-3166/1-a2-to-1-a3.js'
import * as z from 'zod/mini'
import { isVisibleText } from '../../core/account/visible-text.ts'
import { optionalField } from './optional-field.ts'

/** Schemas for cards that several dialects share, in Stripe's shapes as EMCP and GreenCloud show them. */

const text = z.nullable(z.string())

const address = z.object({
  city: text,
  country: text,
  line1: text,
  line2: text,
  postal_code: text,
  state: text,
})

/**
 * What a browser makes of a card with Stripe's library: a payment method, or a ConfirmationToken, which becomes one. It
 * matches every id of both, and nothing that could change the path of a request to Stripe.
 */
export const paymentMethod = z
  .string()
  .check(
    z.regex(
      /^(pm|ctoken)_[A-Za-z0-9_]{1,100}$/,
      'must be the id of a payment method, pm_…, or of a ConfirmationToken, ctoken_…',
    ),
  )

/** Printable ASCII without spaces, so that it is the same in a header and in a body. */
export const requestId = z.string().check(z.maxLength(255), z.regex(/^[!-~]+$/, 'must be visible ASCII'))

/** The headers of an endpoint that holds or charges money. */
export const idempotencyHeaders = z.object({ 'idempotency-key': z.optional(requestId) })

/**
 * Tells a caller that an earlier copy of the request got this answer and that this one has done nothing. Absent
 * otherwise.
 */
export const replay = { replayed: z.optional(z.literal(true)) }

export const stripeCard = z.object({
  id: z.string(),
  object: z.literal('payment_method'),
  billing_details: z.object({ address, email: text, name: text, phone: text }),
  card: z.object({
    brand: z.string(),
    checks: z.object({ address_line1_check: text, address_postal_code_check: text, cvc_check: text }),
    country: text,
    exp_month: z.int(),
    exp_year: z.int(),
    fingerprint: text,
    funding: z.string(),
    generated_from: z.null(),
    last4: z.string(),
    networks: z.object({ available: z.array(z.string()), preferred: text }),
    three_d_secure_usage: z.object({ supported: z.boolean() }),
    wallet: z.null(),
  }),
  created: z.int(),
  customer: text,
  livemode: z.boolean(),
  metadata: z.object({}),
  type: z.literal('card'),
})

export const customer = z.object({
  id: z.string(),
  object: z.literal('customer'),
  address: z.nullable(address),
  balance: z.int(),
  created: z.int(),
  currency: text,
  default_source: z.null(),
  delinquent: z.boolean(),
  description: text,
  discount: z.null(),
  email: text,
  invoice_prefix: text,
  invoice_settings: z.object({
    custom_fields: z.null(),
    default_payment_method: text,
    footer: z.null(),
    rendering_options: z.null(),
  }),
  livemode: z.boolean(),
  metadata: z.object({}),
  name: text,
  phone: text,
  preferred_locales: z.array(z.string()),
  shipping: z.null(),
  tax_exempt: z.literal('none'),
  test_clock: z.null(),
})

/** Error codes of an endpoint that takes a payment method. */
export const proveCardErrors = [
  'card_declined',
  'invalid_payment_method',
  'payment_action_required',
  'too_many_cards_tried',
  'card_pending',
  'idempotency_key_reused',
] as const

/**
 * A line of an address: letters, marks and digits of any script, space and `. , ' ’ - / # ( )`, up to 100
 * characters. GreenCloud's page allows letters, digits and spaces only, which would refuse the page's own
 * example "Main st.".
 */
const ADDRESS_CHARACTERS = /^[\u200b-\u200d\p{L}\p{M}\p{N} .,'’\-/#()]+$/u
export const addressLine = z.string().check(
  z.maxLength(100, { abort: true }),
  z.refine(
    (text) => ADDRESS_CHARACTERS.test(text) && isVisibleText(text),
    "must be of letters, digits, spaces and . , ' ’ - / # ( )",
  ),
)

export const countryCode = z.string().check(
  z.maxLength(2),
  z.refine((code) => Object.hasOwn(iso31661Alpha2ToAlpha3, code), 'must be an ISO 3166-1 alpha-2 code'),
)

/** GreenCloud's address; the country is an ISO 3166-1 alpha-2 code. */
export const newAddress = z.strictObject({
  company: optionalField(addressLine),
  street: addressLine,
  city: addressLine,
  district: optionalField(addressLine),
  postCode: addressLine,
  country: countryCode,
})
