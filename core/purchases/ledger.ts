import * as z from 'zod/mini'
import type { Account } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { ledgerKinds } from './ledger-kinds.ts'

const entrySchema = z.object({
  seq: z.number(),
  atMs: z.number(),
  kind: z.enum(ledgerKinds),
  units: z.number(),
  amountCents: z.number(),
  purchaseId: z.optional(z.string()),
  /** Sales only: units of the bundle, from which the counter derives its thresholds. */
  size: z.optional(z.number()),
})

export type LedgerEntry = z.infer<typeof entrySchema>
export type NewEntry = Omit<LedgerEntry, 'seq' | 'atMs'>

/** Parses a stored entry. @throws Error if the item is not a ledger entry. */
export const parseEntry = (item: Item): LedgerEntry => z.parse(entrySchema, item)

/** Writes that append entries after number `lastSeq`; each fails if its number is already taken. */
export function ledgerWrites(accountId: string, lastSeq: number, atMs: number, entries: NewEntry[]): Write[] {
  return entries.map((entry, at) => {
    const seq = lastSeq + 1 + at
    return {
      put: { ...keys.ledger(accountId, seq), ...entry, seq, atMs },
      if: expr`attribute_not_exists(pk)`,
    }
  })
}

/**
 * The statement, oldest entry first. All amounts (cents) sum to the account's balance, and all units to the
 * units left plus the units used.
 * @param page.cursor the `seq` of the last entry of the previous page.
 * @returns `next`, the cursor of the next page; undefined on the last page.
 */
export async function listLedger(
  deps: Deps<'table'>,
  account: Account,
  page: { limit: number; cursor?: number | undefined },
): Promise<{ entries: LedgerEntry[]; next: number | undefined }> {
  const items = await deps.table.list(keys.account(account.id), 'LEDGER#', {
    limit: page.limit + 1,
    ...(page.cursor !== undefined && { after: keys.ledger(account.id, page.cursor) }),
  })
  const entries = items.slice(0, page.limit).map(parseEntry)
  return { entries, next: items.length > page.limit ? entries.at(-1)?.seq : undefined }
}
