import type { Account } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { listLiveCards } from './on-file.ts'
import type { Card } from './stored.ts'
import type { StoredCustomer } from './stored-customer.ts'

/** The account's cards, newest first: one read, and no call to Stripe. */
export async function listStoredCards(deps: Deps<'table'>, account: Account): Promise<Card[]> {
  const cards = await listLiveCards(deps, account.id)
  return cards.map(({ card }) => card).sort((a, b) => b.createdMs - a.createdMs)
}

/** The account's customer. @throws DomainError `not_found` if no card was ever put on file. */
export function customerOf(account: Account): StoredCustomer {
  if (!account.customer)
    throw new DomainError('not_found', { detail: 'The account has no card on file yet.' })
  return account.customer
}
