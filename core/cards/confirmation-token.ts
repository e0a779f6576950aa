/**
 * Whether what was sent for a card is a ConfirmationToken, in which Stripe's Payment Element hands over what was typed.
 * A token stands for a card that becomes a payment method, `pm_…`, when a payment is confirmed with the token: once,
 * and within 12 hours.
 */
export const isConfirmationToken = (asked: string): boolean => asked.startsWith('ctoken_')

/** What a confirmation sends for the card: a payment has its payment method already, but not its token. */
export const tokenIn = (asked: string): string | undefined => (isConfirmationToken(asked) ? asked : undefined)

/** What was tried with a payment. The card of a token is known only once the payment was confirmed with the token. */
export function withCardOf<T extends { asked: string; cardId: string; cardFingerprint?: string | undefined }>(
  tried: T,
  payment: { paymentMethodId: string | undefined; cardFingerprint: string | undefined },
): T {
  const { paymentMethodId, cardFingerprint = tried.cardFingerprint } = payment
  if (!isConfirmationToken(tried.asked) || paymentMethodId === undefined) return tried
  return { ...tried, cardId: paymentMethodId, ...(cardFingerprint !== undefined && { cardFingerprint }) }
}
