import { DomainError } from '../errors.ts'
import type { Deps, Payment } from '../ports.ts'

/** Whether a confirmation was refused because of what stands for the card. No bank was asked. */
export const isUnusable = (payment: Payment): boolean =>
  payment.status === 'declined' && payment.decline.reason === 'card_unusable'

/**
 * The answer for a payment method that the provider does not know, that is another customer's or that is used
 * up. It is no decline: no bank was asked.
 */
export function unusableCard(deps: Deps, accountId: string): DomainError {
  const what =
    'a payment method or ConfirmationToken was sent that Stripe does not accept under our secret key; if this happens to many accounts, compare the publishable key of the frontend with STRIPE_SECRET_KEY: both must belong to the same Stripe account and mode'
  const error = new DomainError('invalid_payment_method')
  deps.log.warn(what, error, { accountId })
  return error
}
