import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { isLiveCard, type LiveCard, parseStoredCard, type StoredCard } from './stored.ts'

/** Every entry of a card of the account, the marks of removed cards included. */
export async function readCardEntries(deps: Deps<'table'>, accountId: string): Promise<StoredCard[]> {
  return (await deps.table.list(keys.account(accountId), 'CARD#')).map(parseStoredCard)
}

/** The account's cards on file. */
export const listLiveCards = async (deps: Deps<'table'>, accountId: string): Promise<LiveCard[]> =>
  (await readCardEntries(deps, accountId)).filter(isLiveCard)
