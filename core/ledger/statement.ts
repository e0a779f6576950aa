import type { Account } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { keys } from '../table/keys.ts'
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
  const items = await deps.table.list(keys.account(account.id), 'LEDGER#', {
    limit: page.limit + 1,
    ...(page.cursor !== undefined && { after: keys.ledger(account.id, page.cursor) }),
  })
  const entries = items.slice(0, page.limit).map((item) => {
    const entry = parseEntry(item)
    return { ...entry, currency: entry.currency ?? CURRENCY }
  })
  return { entries, next: items.length > page.limit ? entries.at(-1)?.seq : undefined }
}
