import type { Deps } from '../ports.ts'
import { type Key, listedKey } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import type { Profile } from './account.ts'

/*
 * By what operators find accounts without reading them all. DynamoDB keeps the index `listed` from two attributes:
 * `status`, the list, and `id`, the place in it.
 *
 * - Each profile has both from its registration on, so every account is in the list of its status, also one that was
 *   made before the index. No write can forget it, and no write costs more unless it changes the status.
 * - What else accounts are looked for by is a mark, an item of its own (`LISTED#<mark>`), written in the transaction
 *   that makes it true. So a list has every account that belongs to it. It may have more, because a mark is removed
 *   where that costs nothing: whoever reads a list checks what it finds.
 * - A mark is in the index by the account's id. Ids are ordered by the time of registration.
 */

/** What a mark says. `low`: less than a tenth of the bundle is left. `owed`: the account owes units or money. */
export type Mark = 'paid' | 'owed' | 'low' | 'undeliverable' | 'bundle'

/** The lists that have every account that was not erased. */
export const EVERY_ACCOUNT = ['active', 'pending', 'suspended', 'deactivated'] as const

/** The list of the accounts that hold a bundle. */
export const bundleList = (bundle: string): string => `bundle:${bundle}`

/** The list of the invoices, by the purchase's id. */
export const INVOICES = 'invoice'

/** The list of the keys that begin and end so. Many accounts may have such keys, and none is told by this list. */
export const keyList = (prefix: string, last4: string): string => `key:${prefix}...${last4}`

/** Lists an account by a mark. */
export const mark = (accountId: string, by: Mark, list: string = by): Write => ({
  put: { ...listedKey(accountId, by), status: list, id: accountId },
})

/** Takes an account off a list. */
export const unmark = (accountId: string, by: Mark): Write => ({ remove: listedKey(accountId, by) })

type Marked = Pick<Profile, 'id' | 'status' | 'paid' | 'owed' | 'balanceCents' | 'bundle'>

/** Whether an account owes units or money. */
export const owes = ({ owed, balanceCents }: Pick<Profile, 'owed' | 'balanceCents'>): boolean =>
  owed !== undefined || balanceCents < 0

/**
 * The writes that keep the lists up with a change of what an account has bought or owes, for its transaction. What
 * stays true is written again, so that accounts which were there before the lists get into them.
 * @param to the members that change; `owed: undefined` if nothing is owed any more.
 */
export function listChange(before: Marked, to: Partial<Marked>): Write[] {
  const { id, status } = before
  // Of an erased account nothing stays but its books.
  if (status === 'erased') return []
  const after = { ...before, ...to }
  return [
    ...(to.paid ? [mark(id, 'paid')] : []),
    ...(to.bundle === undefined ? [] : [mark(id, 'bundle', bundleList(to.bundle))]),
    ...(owes(after) ? [mark(id, 'owed')] : []),
    ...(owes(before) && !owes(after) ? [unmark(id, 'owed')] : []),
  ]
}

/** Lists an account whose units run low, or takes it off that list. */
export async function listLow(deps: Deps<'table'>, accountId: string, isLow: boolean): Promise<void> {
  const item: Item = { ...listedKey(accountId, 'low'), status: 'low', id: accountId }
  if (isLow) await deps.table.put(item)
  else await deps.table.remove(item as Item & Key)
}
