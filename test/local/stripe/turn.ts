import type Stripe from 'stripe'
import type { DeclineCode } from './cards.ts'
import { newId, type StripeObject, type StripeState, type Task } from './state.ts'

/** The context of one request, or of one scheduled action of Stripe itself. */
export interface Turn {
  state: StripeState
  nowMs: number
  /**
   * Whether the request named no API version and so gets an old default: `payment_method_types` is allowed.
   */
  unversioned: boolean
  /** Returns the decline that a fault orders for this request, and uses up one of the fault's `times`. */
  declineOrdered(): DeclineCode | undefined
  /** Records an event with the current state of the object. */
  emit(type: Stripe.Event.Type, object: StripeObject, previous?: object): void
}

export const seconds = (turn: Turn): number => Math.floor(turn.nowMs / 1000)

/** Schedules a task for `afterMs` from now, at the earliest after this turn. */
export function later(turn: Turn, afterMs: number, kind: Task['kind'], id: string): void {
  turn.state.later.push({ atMs: turn.nowMs + afterMs, kind, id })
}

/** Stores an object under its id. */
export function keep<T extends StripeObject & { id: string }>(collection: Record<string, T>, object: T): T {
  collection[object.id] = object
  return object
}

/** An event with the current state of the object. */
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
