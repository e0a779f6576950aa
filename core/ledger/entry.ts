import * as z from 'zod/mini'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { ledgerKinds } from './kinds.ts'

const entrySchema = z.object({
  seq: z.number(),
  atMs: z.number(),
  kind: z.enum(ledgerKinds),
  units: z.number(),
  /** In the minor unit of `currency`. */
  amountCents: z.number(),
  /** ISO 4217, as in the purchase; absent in entries without an amount and in those of older versions. */
  currency: z.optional(z.string()),
  purchaseId: z.optional(z.string()),
  /** Sales only: units of the bundle, from which the counter derives its thresholds. */
  size: z.optional(z.number()),
})

export type LedgerEntry = z.infer<typeof entrySchema>
/** `atMs`: when it happened at the provider, if that is earlier than the entry. */
export type NewEntry = Omit<LedgerEntry, 'seq' | 'atMs'> & { atMs?: number | undefined }

/** Parses a stored entry. @throws Error if the item is not a ledger entry. */
export const parseEntry = (item: Item): LedgerEntry => z.parse(entrySchema, item)

/**
 * Writes that append entries after number `lastSeq`; each fails if its number is already taken.
 * @param atMs the time of entries that have none of their own.
 */
export function ledgerWrites(accountId: string, lastSeq: number, atMs: number, entries: NewEntry[]): Write[] {
  return entries.map((entry, at) => {
    const seq = lastSeq + 1 + at
    return {
      put: { ...keys.ledger(accountId, seq), ...entry, seq, atMs: entry.atMs ?? atMs },
      if: expr`attribute_not_exists(pk)`,
    }
  })
}
