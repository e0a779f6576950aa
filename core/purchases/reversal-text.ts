import { priceText, unitsText } from '../notifications/amounts.ts'
import type { Purchase } from './purchase.ts'

/** How a purchase's refunds and disputes changed, and what that did to the units. */
export interface ReversalChange {
  /** Changes of the purchase's totals, in its currency's minor unit; negative if money came back to us. */
  refundedCents: number
  disputedCents: number
  /** Whether a dispute of the charge is decided in our favour. */
  isDisputeWon: boolean
  /** Units added to what is left; negative if units were taken back. */
  units: number
  /** Units of this purchase that are owed because they were spent, before and after the change. */
  owedBefore: number
  owedAfter: number
}

/**
 * The notice about refunds and disputes: a sentence for each thing that happened to the money, then what it
 * means for the units. Several things may happen at once, such as a failed refund of a disputed payment.
 */
export function reversalText(purchase: Purchase, change: ReversalChange): string {
  return [...moneySentences(purchase, change), ...unitSentences(purchase, change)].join(' ')
}

function moneySentences(
  { bundle, amountCents, currency }: Purchase,
  { refundedCents: refunded, disputedCents: disputed, isDisputeWon }: ReversalChange,
): string[] {
  const part = (cents: number) =>
    Math.abs(cents) === amountCents
      ? `your ${bundle} payment of ${priceText(amountCents, currency)}`
      : `${priceText(Math.abs(cents), currency)} of your ${bundle} payment`
  const sentences: string[] = []
  if (disputed < 0 && isDisputeWon)
    sentences.push(`The dispute of ${part(disputed)} was decided in our favour.`)
  // A refund that grows while the payment is disputed leaves less of it to dispute; the dispute goes on.
  if (disputed < 0 && !isDisputeWon && refunded <= 0)
    sentences.push(`The dispute of ${part(disputed)} has ended.`)
  if (refunded < 0) sentences.push(`The refund of ${part(refunded)} did not go through.`)
  if (refunded > 0) sentences.push(`We refunded ${part(refunded)}.`)
  if (disputed > 0) sentences.push(`Your bank took back ${part(disputed)} because of a dispute.`)
  return sentences
}

function unitSentences({ bundle }: Purchase, { units, owedBefore, owedAfter }: ReversalChange): string[] {
  const sentences: string[] = []
  if (units < 0) sentences.push(`We took back ${unitsText(-units)}.`)
  if (units > 0) sentences.push(`We gave you back ${unitsText(units)}.`)
  if (owedAfter > owedBefore) {
    const spent = unitsText(owedAfter - owedBefore)
    sentences.push(`You had already spent ${units < 0 ? `another ${spent}` : spent}.`)
  }
  if (owedAfter > 0) sentences.push(`We will take ${unitsText(owedAfter)} from your next purchase.`)
  if (owedAfter === 0 && owedBefore > 0)
    sentences.push(`You owe us no units of your ${bundle} bundle any more.`)
  if (sentences.length === 0) sentences.push('Your units stay as they are.')
  return sentences
}
