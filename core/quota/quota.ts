import * as z from 'zod/mini'
import type { Item } from '../table/table.ts'

/**
 * The hot counter. Names are one letter because the item must stay under 1 KB for a consume to cost one write
 * unit: `l` units left to the next threshold, `f` the floor under it (the balance is their sum), `u` units used
 * in all, `s` number of the last ledger entry that was applied.
 */
const quotaSchema = z.object({ l: z.number(), f: z.number(), u: z.number(), s: z.number() })

export interface Quota {
  /** Units left. */
  left: number
  /** Units used over all application keys, ever. */
  used: number
}

/** Reads a stored counter. @throws Error if it is not one. */
export function parseQuota(item: Item): Quota {
  const { l, f, u } = z.parse(quotaSchema, item)
  return { left: l + f, used: u }
}
