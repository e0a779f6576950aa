import { successors } from '../cards/default-card.ts'
import { cardItem, type LiveCard, parseStoredCard } from '../cards/stored.ts'
import { customerItem } from '../cards/stored-customer.ts'
import { DomainError } from '../errors.ts'
import type { Deps, PaymentCard, PaymentCustomer } from '../ports.ts'
import { importedCardMark } from '../quota/trial-card.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import type { ImportRefusal } from './import-refusals.ts'

/** The most cards that are taken over with a customer, the newest ones. */
const MOST_CARDS = 25

type CustomerRefusal = Extract<ImportRefusal, `customer_${string}`>

/** A customer of the payment provider that becomes an imported account's. */
export interface TakenOver {
  id: string
  /** Fails if another account has the customer. */
  guard: Write
  /** Our copy of the customer and its cards, and the mark that the default card has had its trial. */
  writes: Write[]
}

/** Looks whether a customer can be taken over: it exists at the provider, and Bursar has not made it for an account. */
export async function findCustomer(
  deps: Deps<'payments'>,
  customerId: string,
): Promise<{ customer: PaymentCustomer } | { refused: CustomerRefusal }> {
  const customer = await deps.payments.readCustomer(customerId)
  if (customer === undefined) return { refused: 'customer_unknown' }
  if (customer === 'deleted') return { refused: 'customer_deleted' }
  return customer.accountId === undefined ? { customer } : { refused: 'customer_taken' }
}

/**
 * The writes with which an account takes over a customer and its cards as they are now, for the transaction that makes
 * the account. As long as there is a card, one of them is the default card, at the provider too. Of several entries of
 * one card the newest is taken, as in `syncCard`. Name and address at the provider stay as they are.
 */
export async function takeOverCustomer(
  deps: Deps<'table' | 'payments' | 'paymentScope'>,
  accountId: string,
  customerId: string,
): Promise<TakenOver | { refused: CustomerRefusal }> {
  const owner = keys.customerOwner(customerId)
  // The guard decides; this look keeps a customer of somebody else from being changed at the provider.
  if (await deps.table.get(owner)) return { refused: 'customer_taken' }
  const found = await findCustomer(deps, customerId)
  if ('refused' in found) return found
  const all = await deps.payments.listCards(customerId)
  const cards = newestOfEach(all).map((card) => cardItem(accountId, card, undefined))
  const customer = await withDefaultCard(deps, found.customer, cards.map(parseStoredCard) as LiveCard[], all)
  const absent = expr`attribute_not_exists(pk)`
  const { fingerprint } = all.find(({ id }) => id === customer.defaultPaymentMethodId) ?? {}
  return {
    id: customerId,
    guard: { put: { ...owner, accountId }, if: absent },
    writes: [
      ...[customerItem(accountId, customer, undefined), ...cards].map((put) => ({ put, if: absent })),
      ...importedCardMark(deps, fingerprint, deps.clock.nowMs()).map((put) => ({ put })),
    ],
  }
}

/** @param cards newest first. */
const newestOfEach = (cards: readonly PaymentCard[]): PaymentCard[] =>
  cards
    .filter(
      ({ fingerprint }, at) =>
        fingerprint === undefined || cards.findIndex((card) => card.fingerprint === fingerprint) === at,
    )
    .slice(0, MOST_CARDS)

/** @throws ConditionFailed if the card is gone meanwhile */
async function withDefaultCard(
  deps: Deps<'payments'>,
  customer: PaymentCustomer,
  cards: readonly LiveCard[],
  all: readonly PaymentCard[],
): Promise<PaymentCustomer> {
  const id = customer.defaultPaymentMethodId
  if (cards.some(({ cardId }) => cardId === id)) return customer
  const { fingerprint } = all.find((card) => card.id === id) ?? {}
  const [best] = successors(cards, { id, fingerprint }, deps.clock.nowMs())
  if (!best) return customer
  const chosen = deps.payments.updateCustomer(customer.id, { defaultPaymentMethodId: best.cardId })
  return chosen.catch((error: unknown) => {
    const isGone = error instanceof DomainError && error.code === 'not_found'
    throw isGone ? new ConditionFailed(new Map()) : error
  })
}
