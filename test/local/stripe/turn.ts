import type Stripe from 'stripe'
import type { DeclineCode } from './cards.ts'
import { newId, type StripeObject, type StripeState, type Task } from './state.ts'

/** One request, or one thing that Stripe does of itself: what the double's functions work with. */
export interface Turn {
  state: StripeState
  nowMs: number
  /** The request spoke no version, so it gets an account's old default: `payment_method_types` is allowed. */
  unversioned: boolean
  /** A decline that a fault orders for this request, used up by the asking. */
  declineOrdered(): DeclineCode | undefined
  /** Records an event about the object as it is now. */
  emit(type: Stripe.Event.Type, object: StripeObject, previous?: object): void
}

export const seconds = (turn: Turn): number => Math.floor(turn.nowMs / 1000)

/** Puts down something to be done when its time has come, at the earliest after this turn. */
export function later(turn: Turn, afterMs: number, kind: Task['kind'], id: string): void {
  turn.state.later.push({ atMs: turn.nowMs + afterMs, kind, id })
}

/** Keeps an object under its id. */
export function keep<T extends StripeObject & { id: string }>(collection: Record<string, T>, object: T): T {
  collection[object.id] = object
  return object
}

/** An event that shows the object as it is now. */
export function eventAbout(
  type: Stripe.Event.Type,
  object: StripeObject,
  previous: object | undefined,
  details: {
    apiVersion: string
    createdSeconds: number
    request: Stripe.Event.Request | null
    pending: number
  },
): Stripe.EventBase {
  return {
    id: newId('evt'),
    object: 'event',
    api_version: details.apiVersion,
    created: details.createdSeconds,
    data: {
      object: structuredClone(object) as Stripe.Event.Data.Object,
      ...(previous && { previous_attributes: structuredClone(previous) }),
    },
    livemode: false,
    pending_webhooks: details.pending,
    request: details.request,
    type,
  }
}
