import { HASH_BYTES } from '../keys/key-text.ts'
import type { Item } from '../table/table.ts'

/** Most entries of the ring of an account whose keys have no settings, so that the counter stays under 1 KB. */
export const RING_MOST = 59

/**
 * Number of the newest entries that stay in the ring, so that ids of requests in flight are newer than the
 * archive and need no archive lookup.
 */
export const RING_KEPT = 16

const ENTRY_BYTES = 11

/** More than any stored number takes. */
const NUMBER_BYTES = 9

/** Attributes of the counter that have room beside the longest ring, as `h<n>` without a revision and `c<n>` have. */
const USUAL = /^(pk|sk|due|dueAtMs|[abdefgjklmnoqrsuvwxyz]|c\d+)$/

/**
 * Most entries of the ring beside what else this counter holds. A write that would exceed it fails, so the item stays
 * under 1 KB even if no eviction succeeds.
 */
export function ringMost(counter: Item): number {
  const extra = Object.entries(counter).reduce((sum, [name, value]) => sum + extraBytes(name, value), 0)
  return RING_MOST - Math.ceil(extra / ENTRY_BYTES)
}

function extraBytes(name: string, value: unknown): number {
  if (USUAL.test(name)) return 0
  const size = value instanceof Uint8Array || typeof value === 'string' ? value.length : NUMBER_BYTES
  return /^h\d/.test(name) ? size - HASH_BYTES : name.length + size
}
