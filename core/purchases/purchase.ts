/**
 * A purchase goes `created → saved → [action_required] → credited | declined | abandoned`: begin.ts stores it,
 * advance.ts creates and confirms its payment, decide.ts says what each answer of the provider means,
 * settle.ts and credit.ts carry it out.
 */

import * as z from 'zod/mini'
import type { Profile } from '../account/account.ts'
import type { Redeemable } from '../coupons/redeem.ts'
import { unitsText } from '../notifications/amounts.ts'
import { type Bundle, bundleTerms, type Terms, termsSchema } from '../plans/terms.ts'
import type { Deps, NewPayment, Payment, PaymentScope } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import { digestOf } from '../table/request-key.ts'
import type { Item } from '../table/table.ts'
import { CURRENCY } from './catalogue.ts'

/** How a purchase began. All four kinds charge a price and then add units to the balance. */
export const purchaseKinds = ['signup', 'change', 'buy', 'renewal'] as const
export type PurchaseKind = (typeof purchaseKinds)[number]

/**
 * Money may still move in these three states. Each purchase has one PaymentIntent, and cancelling the
 * PaymentIntent is the fence: a purchase reaches an end state only when no money can move any more.
 * - `created`: stored; its payment may exist but was never confirmed, because its id is saved first
 * - `saved`: the payment's id is stored; the payment may be unconfirmed, confirmed or succeeded
 * - `action_required`: the customer has to authenticate (3-D Secure)
 */
export const openStates = ['created', 'saved', 'action_required'] as const
const endStates = ['credited', 'declined', 'abandoned'] as const

const purchaseSchema = z.object({
  id: z.string(),
  accountId: z.string(),
  kind: z.enum(purchaseKinds),
  state: z.enum([...openStates, ...endStates]),
  /** Bundle, units and price at the beginning of the purchase; later price changes do not affect it. */
  bundle: z.string(),
  units: z.number(),
  /** What is charged, in the minor unit of `currency`, as are all amounts of the purchase. */
  amountCents: z.number(),
  /** The coupon, with what it took off the plan's price and added to its units. */
  coupon: z.optional(z.object({ code: z.string(), discountCents: z.number(), bonusUnits: z.number() })),
  /** What the account holds once the purchase is credited. Purchases of older versions have none. */
  plan: z.optional(termsSchema),
  /** ISO 4217: the catalogue's currency at the beginning. Purchases of older versions have none. */
  currency: z._default(z.string(), () => CURRENCY),
  customerId: z.string(),
  /**
   * The payment method as requested, or a ConfirmationToken. Stripe makes a new payment method at each use of a test
   * card's alias, and of a token when it is used.
   */
  asked: z.string(),
  /** The payment method that the payment uses; the token until the payment is confirmed with it. */
  cardId: z.string(),
  /** Equal for equal card numbers; known for a card that is not on file. */
  cardFingerprint: z.optional(z.string()),
  /** A billing address to store when the purchase is credited. */
  address: z.optional(z.custom<NonNullable<Profile['address']>>()),
  /** Digest of kind, bundle, card and coupon; a second click has the same digest. */
  fingerprint: z.string(),
  /** The account's address when the purchase began, for the receipt. */
  receiptEmail: z.optional(z.string()),
  paymentId: z.optional(z.string()),
  /** The provider refused a call for now, and the customer was told that the purchase is pending. */
  promised: z.optional(z.literal(true)),
  createdAtMs: z.number(),
  /** Renewals only: number of the last ledger entry at the crossing, so that a cycle renews once. */
  cycle: z.optional(z.number()),
  // The fields from `paidAtMs` to `receiptUrl` are set once the purchase is credited.
  /** When the charge was made, which may be long before we learned of it. */
  paidAtMs: z.optional(z.number()),
  /** Number of the purchase's last ledger entry. */
  ledgerSeq: z.optional(z.number()),
  /** The card of a sign-up is kept and the units are in the counter. */
  finished: z.optional(z.literal(true)),
  brand: z.optional(z.string()),
  last4: z.optional(z.string()),
  receiptUrl: z.optional(z.string()),
  /** When the link to the receipt was last renewed, epoch ms; absent if it is as old as the payment. */
  receiptAtMs: z.optional(z.number()),
  /** Id of a refund that an operator has ordered and that is not settled. A purchase has at most one. */
  openRefund: z.optional(z.string()),
  /** What refunds gave back to the customer. */
  refundedCents: z.number(),
  /** The amount of disputes that are open or lost. */
  disputedCents: z.number(),
  /** Ids of the disputes that are lost. */
  lostDisputes: z.optional(z.array(z.string())),
  /** Units taken back for refunds and disputes. */
  returnedUnits: z.number(),
  /** Value of the returned units. */
  returnedCents: z.number(),
})

export type Purchase = z.infer<typeof purchaseSchema>

/** Parses a stored purchase. @throws Error if the item is not a purchase. */
export const parsePurchase = (item: Item): Purchase => z.parse(purchaseSchema, item)

export const isOpen = ({ state }: Purchase): boolean => (openStates as readonly string[]).includes(state)

export const stillOpen = expr`#state IN (${'created'}, ${'saved'}, ${'action_required'})`

export async function readPurchase(
  deps: Deps<'table'>,
  accountId: string,
  purchaseId: string,
): Promise<Purchase | undefined> {
  const item = await deps.table.get(keys.purchase(accountId, purchaseId))
  return item && parsePurchase(item)
}

export interface Order {
  accountId: string
  kind: PurchaseKind
  bundle: Bundle
  customerId: string
  cardId: string
  address?: Profile['address'] | undefined
  cycle?: number | undefined
  /** Moves the holder of the plan to these terms of it, the version of the plans, instead of to another plan. */
  moves?: number | undefined
  coupon?: Redeemable | undefined
}

/** @param receiptEmail the account's e-mail address. */
export function newPurchase(
  deps: Deps,
  order: Order,
  receiptEmail: string,
): { purchase: Purchase; item: Item } {
  const { accountId, kind, bundle, customerId, cardId, address, cycle, coupon } = order
  const { discountCents = 0, bonusUnits = 0 } = coupon ?? {}
  const createdAtMs = deps.clock.nowMs()
  const purchase: Purchase = {
    id: createdAtMs.toString(16).padStart(12, '0') + deps.ids.hex(6),
    accountId,
    kind,
    state: 'created',
    bundle: bundle.name,
    units: bundle.units + bonusUnits,
    amountCents: bundle.priceCents - discountCents,
    ...(coupon && { coupon: { code: coupon.code, discountCents, bonusUnits } }),
    currency: bundle.currency,
    plan: bundleTerms(bundle),
    customerId,
    asked: cardId,
    cardId,
    address,
    fingerprint: fingerprintOf(order),
    receiptEmail,
    createdAtMs,
    cycle,
    refundedCents: 0,
    disputedCents: 0,
    returnedUnits: 0,
    returnedCents: 0,
  }
  const due = dueAt('PURCHASE', accountId, createdAtMs + LEASE_MS)
  return { purchase, item: { ...keys.purchase(accountId, purchase.id), ...purchase, ...due } }
}

/** When a purchase began, epoch ms; its id begins with this time. */
export const begunAtMs = (purchaseId: string): number => Number.parseInt(purchaseId.slice(0, 12), 16)

/** A renewal has the fingerprint of a `buy`, so that a customer who buys meanwhile joins the renewal. */
export const fingerprintOf = ({
  kind,
  bundle,
  cardId,
  moves,
  coupon,
}: Pick<Order, 'kind' | 'cardId' | 'moves'> & {
  bundle: Pick<Bundle, 'name'>
  coupon?: { code: string } | undefined
}): string =>
  digestOf([
    kind === 'renewal' ? 'buy' : kind,
    bundle.name,
    cardId,
    ...(moves === undefined ? [] : [moves]),
    ...(coupon ? [coupon.code] : []),
  ])

/** What the account holds once the purchase is credited. */
export const planOf = ({ plan, units, amountCents: priceCents, currency }: Purchase): Terms =>
  plan ?? { version: 0, units, priceCents, currency }

/**
 * What was sold, for the metadata of the payment, from which a purchase is made again that a restore has lost
 * (`lost-purchase.ts`). Stripe takes 500 characters.
 */
const soldText = ({ kind, bundle, units, plan }: Purchase): string =>
  JSON.stringify({ kind, bundle, units, plan })

/** The literal parameters of the purchase's payment: a retry sends the same parameters. */
export const paymentFor = (purchase: Purchase, { stage }: PaymentScope): NewPayment => {
  const { id, accountId, kind, bundle, units, amountCents, currency, customerId, asked, receiptEmail } =
    purchase
  return {
    purpose: purposeOf(kind),
    amountCents,
    currency: currency.toLowerCase(),
    customerId,
    paymentMethodId: asked,
    metadata: { account: accountId, purchase: id, stage, sold: soldText(purchase) },
    description: `${bundle} bundle: ${unitsText(units)}`,
    statementSuffix: statementSuffixOf(bundle),
    receiptEmail,
    idempotencyKey: `purchase_${id}`,
  }
}

/**
 * A name in the form for card statements: letters, digits, spaces and hyphens, with at least one letter.
 * Together with the operator's own prefix of up to 10 characters it fits into the 22 that a statement shows.
 */
export function statementSuffixOf(name: string): string {
  const plain = name
    .toUpperCase()
    .replace(/[^A-Z0-9 -]/g, '')
    .trim()
    .slice(0, 10)
    .trim()
  return /[A-Z]/.test(plain) ? plain : 'UNITS'
}

export const purposeOf = (kind: PurchaseKind): NewPayment['purpose'] =>
  kind === 'signup' || kind === 'renewal' ? kind : 'purchase'

/** The purchase that a payment was made for, by its metadata; undefined for other payments. */
export function purchaseOf(
  payment: Pick<Payment, 'metadata'>,
): { accountId: string; purchaseId: string } | undefined {
  const { account = '', purchase = '' } = payment.metadata
  const id = /^[0-9a-f]{24}$/
  return id.test(account) && id.test(purchase) ? { accountId: account, purchaseId: purchase } : undefined
}

/**
 * Whether a payment matches its purchase in every detail that money depends on. A purchase knows its payment
 * by the stored id; metadata, which people edit in the Dashboard, counts only as long as no id is stored.
 */
export const isPaymentOfPurchase = (
  payment: Payment,
  purchase: Purchase,
  { livemode, stage }: PaymentScope,
): boolean =>
  payment.amountCents === purchase.amountCents &&
  (payment.status !== 'succeeded' || payment.receivedCents === purchase.amountCents) &&
  payment.currency === purchase.currency.toLowerCase() &&
  payment.customerId === purchase.customerId &&
  payment.livemode === livemode &&
  (purchase.paymentId === undefined
    ? payment.metadata.account === purchase.accountId &&
      payment.metadata.purchase === purchase.id &&
      payment.metadata.stage === stage
    : purchase.paymentId === payment.id)
