import { createHash } from 'node:crypto'
import * as z from 'zod/mini'
import type { Profile } from '../account/account.ts'
import type { Deps, NewPayment, Payment } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import type { Item } from '../table/table.ts'
import type { Bundle } from './catalogue.ts'

/** How a purchase came about. All four charge a price and then add units to what is left. */
export const purchaseKinds = ['signup', 'change', 'buy', 'renewal'] as const
export type PurchaseKind = (typeof purchaseKinds)[number]

/**
 * What can still become of it: money may move by one in the first three. The PaymentIntent is the unit and its
 * cancellation the fence, so the last three are reached only when no money can move any more.
 *
 * `created → saved → [action_required] → credited | declined | abandoned`
 * - `created`: stored; its payment may exist but was never confirmed, for that takes its id
 * - `saved`: the payment's id is stored, so it may be confirmed, may have been, may have succeeded
 * - `action_required`: its customer has to authenticate (3-D Secure)
 */
export const openStates = ['created', 'saved', 'action_required'] as const
const endStates = ['credited', 'declined', 'abandoned'] as const

const purchaseSchema = z.object({
  id: z.string(),
  accountId: z.string(),
  kind: z.enum(purchaseKinds),
  state: z.enum([...openStates, ...endStates]),
  /** What is sold, to the letter of the day it was begun: a later price is another purchase's. */
  bundle: z.string(),
  units: z.number(),
  amountCents: z.number(),
  customerId: z.string(),
  /** The payment method as asked for; a test card's alias becomes another one each time it is used. */
  asked: z.string(),
  /** The payment method that the payment has. */
  cardId: z.string(),
  /** A billing address to store when it is credited. */
  address: z.optional(z.custom<NonNullable<Profile['address']>>()),
  /** Of what was asked, so that a second click is known for one. */
  fingerprint: z.string(),
  paymentId: z.optional(z.string()),
  createdAtMs: z.number(),
  /** Of a renewal: the ledger's last entry when its threshold was crossed, which makes it one per cycle. */
  cycle: z.optional(z.number()),
  // From here on: of a credited one.
  paidAtMs: z.optional(z.number()),
  /** Its last ledger entry. */
  ledgerSeq: z.optional(z.number()),
  /** The card that it came with is kept and its units are in the counter. */
  finished: z.optional(z.literal(true)),
  brand: z.optional(z.string()),
  last4: z.optional(z.string()),
  receiptUrl: z.optional(z.string()),
  /** Cents that went back to the customer by refunds, and by disputes that are not won. */
  refundedCents: z.number(),
  disputedCents: z.number(),
  /** Units taken back for those, and what they were worth. */
  returnedUnits: z.number(),
  returnedCents: z.number(),
})

export type Purchase = z.infer<typeof purchaseSchema>

/** Reads a stored purchase. @throws Error if it is not one. */
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
}

export function newPurchase(deps: Deps, order: Order): { purchase: Purchase; item: Item } {
  const { accountId, kind, bundle, customerId, cardId, address, cycle } = order
  const createdAtMs = deps.clock.nowMs()
  const purchase: Purchase = {
    id: createdAtMs.toString(16).padStart(12, '0') + deps.ids.hex(6),
    accountId,
    kind,
    state: 'created',
    bundle: bundle.name,
    units: bundle.units,
    amountCents: bundle.priceCents,
    customerId,
    asked: cardId,
    cardId,
    address,
    fingerprint: fingerprintOf(order),
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

/** A renewal refills as buying does: who buys while one is open gets that one. */
export const fingerprintOf = ({ kind, bundle, cardId }: Pick<Order, 'kind' | 'bundle' | 'cardId'>): string =>
  digestOf([kind === 'renewal' ? 'buy' : kind, bundle.name, cardId])

/** Tells whether two values are the same without keeping what they hold. */
export const digestOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 24)

/** The literal parameters of its payment: a retry sends the same. */
export const paymentFor = ({
  id,
  accountId,
  kind,
  amountCents,
  customerId,
  asked,
}: Purchase): NewPayment => ({
  purpose: purposeOf(kind),
  amountCents,
  customerId,
  paymentMethodId: asked,
  metadata: { account: accountId, purchase: id },
  idempotencyKey: `purchase_${id}`,
})

export const purposeOf = (kind: PurchaseKind): NewPayment['purpose'] =>
  kind === 'signup' || kind === 'renewal' ? kind : 'purchase'

/** The purchase that a payment was made for, by its metadata; undefined for other payments. */
export function purchaseOf(payment: Payment): { accountId: string; purchaseId: string } | undefined {
  const { account = '', purchase = '' } = payment.metadata
  const ours = /^[0-9a-f]{24}$/
  return ours.test(account) && ours.test(purchase) ? { accountId: account, purchaseId: purchase } : undefined
}

/** Whether a payment is the one that the purchase asked for, in every detail that money depends on. */
export const isPaymentOfPurchase = (payment: Payment, purchase: Purchase, livemode: boolean): boolean =>
  payment.amountCents === purchase.amountCents &&
  (payment.status !== 'succeeded' || payment.receivedCents === purchase.amountCents) &&
  payment.currency === 'usd' &&
  payment.customerId === purchase.customerId &&
  payment.metadata.account === purchase.accountId &&
  payment.metadata.purchase === purchase.id &&
  payment.livemode === livemode &&
  (purchase.paymentId === undefined || purchase.paymentId === payment.id)
