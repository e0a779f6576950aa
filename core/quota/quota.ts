import * as z from 'zod/mini'
import { keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { type FirstLot, firstLot } from './lots.ts'
import type { Levels } from './thresholds.ts'

/**
 * The hot counter as stored. Attribute names have one letter, because the item must stay under 1 KB for a
 * consume to cost one write unit.
 *
 * | attribute      | meaning                                                                               |
 * | -------------- | ------------------------------------------------------------------------------------- |
 * | `l`, `f`       | units above the floor; the floor itself (`thresholds.ts`). The balance is their sum   |
 * | `q`            | units of the bundle, which set the thresholds; 0 before the first bundle              |
 * | `L`, `R`       | the plan's thresholds in per cent: of the low-quota notice, and of the renewal;       |
 * |                | absent where they are 10 and 1                                                        |
 * | `b`, `w`       | what the owner chose, absent otherwise: when to renew (`Levels.below`), and the units |
 * |                | of the bundle that a renewal buys                                                     |
 * | `k`, `j`       | value of `s` when a request was last refused for want of units: one that a renewal    |
 * |                | can serve, which called for one; one for more units than a bundle holds               |
 * | `s`            | number of the last ledger entry applied                                               |
 * | `u`, `d`       | units used in all; the day (UTC, days since 1970) on which use is counted now         |
 * | `h<n>`, `c<n>` | stamp of the live application key in slot n: its hash and, once it had settings, their |
 * |                | revision (`keyStamp`); units that this key has used in all                            |
 * | `p<n>`         | units that the key in slot n has used and holds; only while the key has a budget      |
 * | `t<n>`         | when the key's bucket is full again (microseconds since 2020); only while it has a    |
 * |                | rate limit                                                                            |
 * | `a`            | the ring: entries of recent request ids, as one binary set                            |
 * | `m`, `g`, `o`  | newest time of an archived id; dedupe fence; spans that have archive items (bits)     |
 * | `e`            | oldest time above `m` of an archived id that was ahead of the clock; absent if none   |
 * | `x`            | why the account is blocked; absent otherwise                                          |
 * | `v`, `y`       | entries of open reservations, as one binary set; units of all open reservations       |
 * | `z`            | the token of the alarm that makes the job look at `v`; not above 0 without an alarm   |
 * | `i`            | the owner's alerts (`alerts.ts`)                                                      |
 * | `E`, `M`       | the day on which the first units to expire do so; the value of `u` at which they are  |
 * |                | used up (`lots.ts`). Both are absent when no units expire, as are the next three      |
 * | `P`, `Q`       | units of the lot after these that were left when these came; day on which it expires  |
 * | `X`            | units that have expired and have no ledger entry yet                                  |
 * | `n`, `r`       | when the balance crossed the threshold of a pending low-quota notice (epoch ms);      |
 * |                | token of the last call for a renewal.    Both are absent when nothing is pending      |
 * | `kx`, `nx`     | value of `s` when a request was last refused for want of units, first of its cycle;   |
 * |                | and when that was, until it is announced (epoch ms)                                   |
 *
 * `due` and `dueAtMs` list the item in the index `due` while `n`, `r` or `nx` is set, or an alert is crossed.
 */
const quotaSchema = z.object({
  l: z.number(),
  f: z.number(),
  u: z.number(),
  s: z.number(),
  q: z.number(),
  L: z.optional(z.number()),
  R: z.optional(z.number()),
  b: z.optional(z.number()),
  w: z.optional(z.number()),
  k: z.optional(z.number()),
  j: z.optional(z.number()),
  n: z.optional(z.number()),
  r: z.optional(z.number()),
  nx: z.optional(z.number()),
  y: z.optional(z.number()),
  X: z.optional(z.number()),
  i: z.optional(z.instanceof(Uint8Array)),
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

/** Slot of the default key. A rotation does not change the slot. */
export const DEFAULT_KEY_SLOT = 0

/** Attribute with the stamp of the live key in a slot. */
export const keyHashAttribute = (slot: number): string => `h${slot}`

/** Attribute with the units that the key in a slot has used; absent before the key's first consume. */
export const keyUseAttribute = (slot: number): string => `c${slot}`

/** Attribute with the units that the key in a slot has used and holds in reservations; only of a key with a budget. */
export const keyTakenAttribute = (slot: number): string => `p${slot}`

/** Attribute with the time at which the bucket of the key in a slot is full again; only of a key with a rate limit. */
export const keyArrivalAttribute = (slot: number): string => `t${slot}`

/** Day of a moment (UTC, days since 1970). */
export const dayOf = (atMs: number): number => Math.floor(atMs / DAY_MS)

export interface Quota extends Levels {
  /** Units left. */
  left: number
  /** The highest threshold that `left` has not fallen below, in units. */
  floor: number
  /** Units used over all application keys, ever. */
  used: number
  /** Units of open reservations, neither left nor used. */
  held: number
  /** Number of the last ledger entry included in `left`. */
  seq: number
  /** The first units that expire; undefined if none do. */
  lots: FirstLot | undefined
  /** Units that have expired and have no ledger entry yet. They are neither left nor used. */
  unbooked: number
  /** When the balance crossed the threshold of a pending low-quota notice, epoch ms. */
  noticeSinceMs: number | undefined
  /** When the first request since the last ledger entry was refused for want of units, until it is announced, epoch ms. */
  exhaustedSinceMs: number | undefined
  /**
   * Token of the last call for a renewal, unique while `seq` stays the same; 0 if no renewal is pending.
   */
  renewalCall: number
  /** Value of `seq` when a request that a renewal can serve was last refused for want of units. */
  refusedSeq: number | undefined
  /** Value of `seq` when a request for more units than a bundle holds was last refused. */
  oversizeSeq: number | undefined
}

/** Parses a stored counter. @throws Error if the item is not a counter. */
export function parseQuota(item: Item): Quota {
  const { l, f, u, q, s, L, R, b, w, k, j, n, r, nx, y, i, X } = z.parse(quotaSchema, item)
  return {
    left: l + f,
    floor: f,
    used: u,
    held: y ?? 0,
    size: q,
    lowPercent: L,
    renewalPercent: R,
    below: b,
    renewalSize: w,
    alerts: i,
    seq: s,
    lots: firstLot(item),
    unbooked: X ?? 0,
    noticeSinceMs: n,
    exhaustedSinceMs: nx,
    renewalCall: r ?? 0,
    refusedSeq: k,
    oversizeSeq: j,
  }
}
