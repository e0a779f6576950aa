import * as z from 'zod/mini'
import { keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { DAY_MS } from '../time.ts'

/**
 * The hot counter. Names are one letter because the item must stay under 1 KB for a consume to cost one write unit.
 *
 * | attribute    | meaning                                                                            |
 * | ------------ | ---------------------------------------------------------------------------------- |
 * | `l`, `f`     | units to the next threshold, floor under it (`ladder.ts`); the balance is their sum |
 * | `q`          | units of the bundle, on which the thresholds stand; 0 before the first               |
 * | `s`          | number of the last ledger entry that was applied                                   |
 * | `u`, `d`     | units used in all; the day (UTC, since 1970) that they are counted for             |
 * | `h<n>`, `c<n>` | hash of the live application key in slot n; units it has used in all             |
 * | `a`          | the ring: entries of recent request ids, one binary set                            |
 * | `m`, `g`, `o` | newest time of an archived id; dedupe fence; spans of archive items (bits)        |
 * | `x`          | why the account is blocked; absent otherwise                                       |
 * | `n`, `r`     | a low-quota notice waits (when it was crossed, epoch ms); calls for a renewal       |
 *
 * `due`, `dueAtMs` index an item in which `n` or `r` waits.
 */
const quotaSchema = z.object({
  l: z.number(),
  f: z.number(),
  u: z.number(),
  s: z.number(),
  q: z.number(),
  n: z.optional(z.number()),
  r: z.optional(z.number()),
})

/** The counter of a new account, whose default key is in slot 0. */
export const newQuota = (accountId: string, defaultKeyHash: Uint8Array, nowMs: number): Item => ({
  ...keys.quota(accountId),
  l: 0,
  f: 0,
  q: 0,
  s: 0,
  u: 0,
  d: dayOf(nowMs),
  m: 0,
  g: 0,
  o: 0,
  [keyHashAttribute(DEFAULT_KEY_SLOT)]: defaultKeyHash,
})

/** The default key's, however often it is rotated. */
export const DEFAULT_KEY_SLOT = 0

/** Where the counter keeps the hash of the live key in a slot. */
export const keyHashAttribute = (slot: number): string => `h${slot}`

/** Where it counts the units that the key in a slot has used, from its first consume on. */
export const keyUseAttribute = (slot: number): string => `c${slot}`

/** The day of a moment in UTC, counted from 1970. */
export const dayOf = (atMs: number): number => Math.floor(atMs / DAY_MS)

export interface Quota {
  /** Units left. */
  left: number
  /** The floor that they stand on. */
  floor: number
  /** Units used over all application keys, ever. */
  used: number
  /** Units of the bundle held; 0 before the first. */
  size: number
  /** Number of the last ledger entry that is in `left`. */
  seq: number
  /** When the threshold of a low-quota notice was crossed that is still to be given, epoch ms. */
  noticeSinceMs: number | undefined
  /** The last call for a renewal, a number of its own within an `s`; 0 when none waits. */
  renewalCall: number
}

/** Reads a stored counter. @throws Error if it is not one. */
export function parseQuota(item: Item): Quota {
  const { l, f, u, q, s, n, r } = z.parse(quotaSchema, item)
  return { left: l + f, floor: f, used: u, size: q, seq: s, noticeSinceMs: n, renewalCall: r ?? 0 }
}
