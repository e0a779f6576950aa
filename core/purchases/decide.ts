import type { Payment } from '../ports.ts'

/**
 * Purchases and holds are two machines of one design: something stored is open while its PaymentIntent may
 * still move money, and the PaymentIntent's status decides what happens next. This file is the whole decision;
 * `settle.ts` here and in `core/cards` carries the steps out.
 *
 * | step     | purchase                                                  | hold                              |
 * | -------- | --------------------------------------------------------- | --------------------------------- |
 * | `take`   | → `credited`: ledger, bundle, notice                      | → `releasing`: the card is kept   |
 * | `ask`    | → `action_required`; a renewal's customer is told         | no change                         |
 * | `wait`   | no change                                                 | no change                         |
 * | `cancel` | cancel the payment, then decide by what it has become     | the same                          |
 * | `end`    | → `declined` after a decline, else → `abandoned`          | removed                           |
 * | `reject` | cancel the payment if it took no money, then → `abandoned` | cancel the payment, then removed |
 */
export type Step = 'take' | 'ask' | 'wait' | 'cancel' | 'end' | 'reject'

/** What the provider's answer means for something that is still open. */
type Finding =
  /** It differs from what we asked for: somebody has changed it outside Bursar. */
  | 'altered'
  | 'succeeded'
  | 'held'
  /** Canceled after it was held, so the bank has said yes. */
  | 'released'
  | 'canceled'
  /** Only its customer can go on, by 3-D Secure. */
  | 'needs_customer'
  /** The customer has taken too long. */
  | 'lapsed'
  | 'processing'
  /** The request that created it is about to confirm it. */
  | 'unconfirmed'
  /** The request that created it did not confirm it in time. */
  | 'left'
  | 'declined'

const TABLE: Readonly<Record<Finding, Readonly<Record<'purchase' | 'hold', Step>>>> = {
  altered: { purchase: 'reject', hold: 'reject' },
  succeeded: { purchase: 'take', hold: 'take' },
  held: { purchase: 'cancel', hold: 'take' },
  released: { purchase: 'end', hold: 'take' },
  canceled: { purchase: 'end', hold: 'end' },
  needs_customer: { purchase: 'ask', hold: 'ask' },
  lapsed: { purchase: 'cancel', hold: 'cancel' },
  processing: { purchase: 'wait', hold: 'wait' },
  unconfirmed: { purchase: 'wait', hold: 'wait' },
  left: { purchase: 'cancel', hold: 'cancel' },
  declined: { purchase: 'cancel', hold: 'cancel' },
}

/** All that a decision depends on, besides the kind of machine. */
export interface Observation {
  payment: Payment
  /** The payment has the amount, currency, customer and references that we asked for. */
  matches: boolean
  /** The request that began the purchase or hold may still be working on it. */
  isLeased: boolean
  /** Nobody waits any longer for the customer to authenticate. */
  hasLapsed: boolean
  /** A declined payment can still succeed if its customer authenticates, as in a renewal. */
  canAuthenticate: boolean
  /** A canceled payment was held before. */
  wasHeld: boolean
}

/** The next step of an open purchase or hold. Pure. */
export const decideStep = (machine: 'purchase' | 'hold', seen: Observation): Step =>
  TABLE[findingOf(seen)][machine]

function findingOf({ payment, ...seen }: Observation): Finding {
  if (!seen.matches) return 'altered'
  switch (payment.status) {
    case 'action_required':
      return seen.hasLapsed ? 'lapsed' : 'needs_customer'
    case 'declined':
      if (!seen.canAuthenticate) return 'declined'
      return seen.hasLapsed ? 'lapsed' : 'needs_customer'
    case 'unconfirmed':
      return seen.isLeased ? 'unconfirmed' : 'left'
    case 'canceled':
      return seen.wasHeld ? 'released' : 'canceled'
    default:
      return payment.status
  }
}
