import type { Account } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Purchase, readPurchase } from './purchase.ts'
import { needsCustomer } from './settle.ts'

/** A purchase as its customer sees it, from its beginning on. */
export interface PurchaseView {
  id: string
  bundle: string
  /** In the minor unit of `currency` (ISO 4217). */
  amountCents: number
  currency: string
  /**
   * `pending`: the outcome is not known yet. `action_required`: the bank waits for the customer's 3-D Secure.
   * `abandoned`: ended before any money moved.
   */
  state: 'pending' | 'action_required' | 'paid' | 'declined' | 'abandoned'
  /** With these two the customer finishes 3-D Secure in the browser; undefined in every other state. */
  clientSecret: string | undefined
  cardId: string | undefined
}

/**
 * Reads one purchase by its id, such as a renewal by the link in its mail. It asks Stripe only about a payment
 * that waits for its customer, and changes nothing.
 * @throws DomainError `not_found` for a purchase that is not the account's; `temporarily_unavailable`
 */
export async function readPurchaseView(
  deps: Deps<'table' | 'payments'>,
  account: Account,
  id: string,
): Promise<PurchaseView> {
  // Never put untrusted text into a sort key, which DynamoDB limits to 1,024 bytes.
  const purchase = /^[0-9a-f]{24}$/.test(id) ? await readPurchase(deps, account.id, id) : undefined
  if (!purchase) throw new DomainError('not_found')
  const { bundle, amountCents, currency, state } = purchase
  const clientSecret = state === 'action_required' ? await secretOf(deps, purchase) : undefined
  const waits = clientSecret !== undefined
  return {
    id,
    bundle,
    amountCents,
    currency,
    state: waits ? 'action_required' : STATES[state],
    clientSecret,
    cardId: waits ? purchase.cardId : undefined,
  }
}

/** A payment that no longer waits for its customer is settled by its webhook or by settle-payments. */
const STATES: Readonly<Record<Purchase['state'], PurchaseView['state']>> = {
  created: 'pending',
  saved: 'pending',
  action_required: 'pending',
  credited: 'paid',
  declined: 'declined',
  abandoned: 'abandoned',
}

/** The secret of a payment that waits for its customer; undefined if it does not. */
async function secretOf(deps: Deps<'payments'>, purchase: Purchase): Promise<string | undefined> {
  const payment = await deps.payments.readPayment(purchase.paymentId ?? '')
  if (payment?.status === 'action_required') return payment.clientSecret
  if (payment?.status === 'declined' && needsCustomer(purchase, payment)) return payment.clientSecret
  return undefined
}
