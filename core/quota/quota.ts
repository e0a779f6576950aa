import * as z from 'zod/mini'
import { keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'

/**
 * The hot counter. Names are one letter because the item must stay under 1 KB for a consume to cost one write
 * unit: `l` units left to the next threshold, `f` the floor under it (the balance is their sum), `u` units used
 * in all, `s` number of the last ledger entry that was applied, `h<n>` hash of the live application key in slot n.
 */
const quotaSchema = z.object({ l: z.number(), f: z.number(), u: z.number(), s: z.number() })

/** The counter of a new account, whose default key is in slot 0. */
export const newQuota = (accountId: string, defaultKeyHash: Uint8Array): Item => ({
  ...keys.quota(accountId),
  l: 0,
  f: 0,
  u: 0,
  s: 0,
  [keyHashAttribute(0)]: defaultKeyHash,
})

/** Where the counter keeps the hash of the live key in a slot. */
export const keyHashAttribute = (slot: number): string => `h${slot}`

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
