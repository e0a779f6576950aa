import * as z from 'zod/mini'
import { expr } from '../table/expression.ts'
import { dueAt, keys, lotKey } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
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
  /** Sales only: thresholds of the plan, in per cent of `size`, where they are not 10 and 1. */
  lowPercent: z.optional(z.number()),
  renewalPercent: z.optional(z.number()),
  /** Credits only: when what is left of the units expires, epoch ms; absent if they never do. A day (UTC) begins then. */
  expiresAtMs: z.optional(z.number()),
  /** Sales only: the coupon, and what it took off the price, in the minor unit of `currency`. */
  coupon: z.optional(z.string()),
  discountCents: z.optional(z.number()),
})

export type LedgerEntry = z.infer<typeof entrySchema>
export interface NewEntry extends Omit<LedgerEntry, 'seq' | 'atMs' | 'expiresAtMs'> {
  /** Rounded up to the beginning of a day (UTC). */
  expiresAtMs?: number | undefined
  /** When it happened at the provider, if that is earlier than the entry. */
  atMs?: number | undefined
  /** Set if nobody is told before the units expire. */
  quiet?: true | undefined
}

/** How long before its units expire the owner is told. */
export const EXPIRY_NOTICE_MS = 7 * DAY_MS

/** The beginning of the first day (UTC) from this moment on, epoch ms: units expire when a day begins. */
export const expiryAtMs = (atMs: number): number => Math.ceil(atMs / DAY_MS) * DAY_MS

/** When units that last for a number of days expire, epoch ms; undefined if they never do. */
export const expiryAfterDays = (nowMs: number, days: number | undefined): number | undefined =>
  days === undefined ? undefined : expiryAtMs(nowMs + days * DAY_MS)

/** Parses a stored entry. @throws Error if the item is not a ledger entry. */
export const parseEntry = (item: Item): LedgerEntry => z.parse(entrySchema, item)

/**
 * Writes that append entries after number `lastSeq`; each fails if its number is already taken. Units that expire are a
 * lot besides, an item of their own (`core/quota/lots.ts`).
 * @param atMs the time of entries that have none of their own.
 */
export function ledgerWrites(accountId: string, lastSeq: number, atMs: number, entries: NewEntry[]): Write[] {
  return entries.flatMap(({ quiet, ...entry }, at): Write[] => {
    const seq = lastSeq + 1 + at
    const expiresAtMs = entry.expiresAtMs === undefined ? undefined : expiryAtMs(entry.expiresAtMs)
    const stored = { ...entry, ...(expiresAtMs !== undefined && { expiresAtMs }) }
    const put = { ...keys.ledger(accountId, seq), ...stored, seq, atMs: entry.atMs ?? atMs }
    const entryWrite = { put, if: expr`attribute_not_exists(pk)` }
    return expiresAtMs === undefined
      ? [entryWrite]
      : [entryWrite, lotWrite(accountId, seq, { ...entry, expiresAtMs, quiet }, atMs)]
  })
}

/** Stores a lot, which is due when its owner is told, or else when it expires. The number of its entry guards it. */
function lotWrite(
  accountId: string,
  seq: number,
  { units, purchaseId, expiresAtMs, quiet }: NewEntry & { expiresAtMs: number },
  nowMs: number,
): Write {
  const noticeAtMs = expiresAtMs - EXPIRY_NOTICE_MS
  return {
    put: {
      ...lotKey(accountId, expiresAtMs / DAY_MS, seq),
      units,
      ...(purchaseId !== undefined && { purchaseId }),
      ...dueAt('LOT', accountId, quiet || noticeAtMs <= nowMs ? expiresAtMs : noticeAtMs),
    },
  }
}
