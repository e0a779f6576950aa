import type { Account } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { keys } from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import type { Item } from '../table/table.ts'
import { type LedgerEntry, parseEntry } from './entry.ts'

/** An entry with the currency of its amount: the catalogue's for an entry that names none. */
export type StatementLine = LedgerEntry & { currency: string }

/**
 * The statement, oldest entry first. All amounts sum to the account's balance, and all units to the
 * units left plus the units used.
 * @param page.cursor the `seq` of the last entry of the previous page.
 * @returns `next`, the cursor of the next page; undefined on the last page.
 */
export async function listLedger(
  deps: Deps<'table'>,
  account: Account,
  page: { limit: number; cursor?: number | undefined },
): Promise<{ entries: StatementLine[]; next: number | undefined }> {
  const { limit, cursor } = page
  const after = cursor === undefined ? undefined : keys.ledger(account.id, cursor)
  const read = (item: Item): StatementLine => {
    const entry = parseEntry(item)
    return { ...entry, currency: entry.currency ?? CURRENCY }
  }
  const { items, last } = await readPage(deps, keys.account(account.id), 'LEDGER#', { limit, after }, read)
  return { entries: items, next: last?.seq }
}
