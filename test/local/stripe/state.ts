import { randomBytes } from 'node:crypto'
import type Stripe from 'stripe'
import { CARDS, type TestCard } from './cards.ts'

/** The whole state of the double: plain data, which can be written to a file. */
export interface StripeState {
  customers: Record<string, Stripe.Customer | Stripe.DeletedCustomer>
  paymentMethods: Record<string, Stripe.PaymentMethod>
  paymentIntents: Record<string, Stripe.PaymentIntent>
  confirmationTokens: Record<string, Stripe.ConfirmationToken>
  /** The payment method of each token, which Stripe does not show. */
  tokenCards: Record<string, { method: string }>
  setupIntents: Record<string, Stripe.SetupIntent>
  charges: Record<string, Stripe.Charge>
  refunds: Record<string, Stripe.Refund>
  disputes: Record<string, Stripe.Dispute>
  fraudWarnings: Record<string, Stripe.Radar.EarlyFraudWarning>
  events: Record<string, Stripe.EventBase>
  /** What Stripe knows about a card but does not show, by the payment method's id. */
  cards: Record<string, CardMemory>
  /** Scheduled actions of Stripe itself, in the order in which they were scheduled. */
  later: Task[]
  deliveries: Delivery[]
  replies: Record<string, StoredReply>
}

export interface CardMemory {
  number: string
  /** Whether the holder has agreed to off-session payments. */
  setUp: boolean
  /** Whether the card was used without a customer or was detached, and so cannot be used again. */
  spent: boolean
}

export interface Task {
  atMs: number
  kind: 'settle-refund' | 'fail-refund' | 'win-dispute' | 'lose-dispute' | 'expire-hold'
  id: string
}

/** A webhook that has not been accepted yet. */
export interface Delivery {
  eventId: string
  dueMs: number
  attempts: number
  /** Whether this delivery is part of a reordered group, which is delivered newest first. */
  reordered: boolean
}

/** The reply that is stored for an idempotency key. */
export interface StoredReply {
  /** SHA-256 of method, path and parameters, base64. */
  request: string
  requestId: string
  status: number
  body: string
  atMs: number
}

export const emptyState = (): StripeState => ({
  customers: {},
  paymentMethods: {},
  paymentIntents: {},
  confirmationTokens: {},
  tokenCards: {},
  setupIntents: {},
  charges: {},
  refunds: {},
  disputes: {},
  fraudWarnings: {},
  events: {},
  cards: {},
  later: [],
  deliveries: [],
  replies: {},
})

/** Deletes events and keys that Stripe no longer knows, so that the state file does not grow for months. */
export function forgetOld(state: StripeState, nowMs: number): void {
  for (const [id, event] of Object.entries(state.events)) {
    if (event.created * 1000 < nowMs - 30 * DAY_MS) delete state.events[id]
  }
  state.deliveries = state.deliveries.filter((delivery) => Object.hasOwn(state.events, delivery.eventId))
  for (const [key, reply] of Object.entries(state.replies)) {
    if (reply.atMs < nowMs - DAY_MS) delete state.replies[key]
  }
  for (const [id, { created }] of Object.entries(state.confirmationTokens)) {
    if (created * 1000 >= nowMs - DAY_MS) continue
    delete state.confirmationTokens[id]
    delete state.tokenCards[id]
  }
}

const DAY_MS = 86_400_000

export type StripeObject =
  | Stripe.Customer
  | Stripe.DeletedCustomer
  | Stripe.PaymentMethod
  | Stripe.PaymentIntent
  | Stripe.ConfirmationToken
  | Stripe.SetupIntent
  | Stripe.Charge
  | Stripe.Refund
  | Stripe.Dispute
  | Stripe.Radar.EarlyFraudWarning
  | Stripe.EventBase

/** The object with that id, of any kind. */
export function findObject(state: StripeState, id: string): StripeObject | undefined {
  const kinds: Record<string, Record<string, StripeObject>> = {
    cus: state.customers,
    pm: state.paymentMethods,
    pi: state.paymentIntents,
    ctoken: state.confirmationTokens,
    seti: state.setupIntents,
    ch: state.charges,
    re: state.refunds,
    du: state.disputes,
    issfr: state.fraudWarnings,
    evt: state.events,
  }
  return own(own(kinds, id.split('_')[0]!) ?? {}, id)
}

/** The object's own member of that name. Names come from requests, so inherited members must not match. */
export function own<T>(collection: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(collection, name) ? collection[name] : undefined
}

/** A new id in Stripe's form: prefix, underscore, 24 letters and digits. */
export const newId = (prefix: string): string => `${prefix}_${letters(24)}`

export function letters(length: number): string {
  return [...randomBytes(length)].map((byte) => ALPHABET[byte % ALPHABET.length]).join('')
}

const ALPHABET = '0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** The behaviour of a payment method's card. */
export function testCardOf(state: StripeState, paymentMethodId: string): TestCard {
  return CARDS[state.cards[paymentMethodId]!.number]!
}

/** The id in a reference that Stripe's types allow to be expanded. The double stores ids only. */
export function ref(reference: string | { id: string }): string
export function ref(reference: string | { id: string } | null | undefined): string | null
export function ref(reference: string | { id: string } | null | undefined): string | null {
  return typeof reference === 'object' ? (reference?.id ?? null) : (reference ?? null)
}
