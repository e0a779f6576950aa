import type Stripe from 'stripe'
import { CARDS } from './cards.ts'
import { warnAbout } from './charges.ts'
import { openDispute } from './disputes.ts'
import { change } from './fields.ts'
import { charge, paymentMethod } from './lookup.ts'
import { cardOf } from './payment-methods.ts'
import type { Turn } from './turn.ts'

/** What banks and card networks do by themselves, at the wish of a test. */

export interface CardUpdate {
  paymentMethod: string
  /** The number of another test card; the old number by default. */
  number?: string
  expMonth?: number
  expYear?: number
}

/** The network replaces the card behind a payment method, which stays the same. */
export function updateCardByNetwork(
  turn: Turn,
  { paymentMethod: id, number, expMonth, expYear }: CardUpdate,
): void {
  const method = paymentMethod(turn, id, 404)
  const memory = turn.state.cards[id]!
  const known = CARDS[number ?? memory.number]
  if (!known || !method.card) throw new Error(`No test card has the number ${number}.`)
  memory.number = number ?? memory.number
  const card = cardOf(known, memory.number, {
    month: expMonth ?? method.card.exp_month,
    year: expYear ?? method.card.exp_year,
  })
  const previous = change(method, { card: { ...card, checks: method.card.checks } })
  if (Object.keys(previous).length > 0) turn.emit('payment_method.automatically_updated', method, previous)
}

/** The holder of a card disputes a charge. */
export function disputeCharge(
  turn: Turn,
  { charge: id, reason = 'fraudulent' }: { charge: string; reason?: string },
): Stripe.Dispute {
  return openDispute(turn, charge(turn, id), 'chargeback', reason)
}

/** The bank warns of a charge. */
export const warnOfCharge = (turn: Turn, { charge: id }: { charge: string }): void =>
  warnAbout(turn, charge(turn, id))
