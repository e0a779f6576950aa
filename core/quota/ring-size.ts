import type { Item } from '../table/table.ts'

/** Most entries of the ring. */
export const RING_MOST = 59

/**
 * Number of entries at which, in a ring of `RING_MOST`, an eviction copies the oldest entries to the archive and removes
 * them from the ring afterwards, so that an id is always in at least one of the two. A request that saw an id in neither
 * fails its condition and retries: the removal of a late entry changes the fence `g`, and that of any other makes its id
 * late.
 */
export const RING_LIMIT = 35

/** After a failed eviction, the next try follows when the ring has grown by this many entries. */
export const NEXT_TRY = 12

/**
 * Number of the newest entries that stay in the ring when an eviction begins. Until it ends, as many come again as
 * there are requests in flight, so ids of these are newer than the archive and need no archive lookup.
 */
const KEPT = 6

/** An entry of the ring in a set. */
const ENTRY_BYTES = 12

/** Bytes of the counter without the ring, so that a write that adds a reservation still stays under 1 KB. */
const OTHER_MOST_BYTES = 1023 - 24

/** Below this the ring is of no use, so that the counter rather takes more than 1 KB. */
const RING_LEAST = 12

/**
 * Most entries of the ring beside what else this counter holds, so that the item stays under 1 KB. A write that would
 * exceed it fails, which holds even if no eviction succeeds.
 */
export function ringMost({ a, ...others }: Item): number {
  const room = Math.floor((OTHER_MOST_BYTES - sizeOf(others)) / ENTRY_BYTES)
  return Math.max(RING_LEAST, Math.min(RING_MOST, room))
}

/** About the bytes that DynamoDB counts for a value ("Item sizes and formats"), rounded up. */
function sizeOf(value: unknown): number {
  if (typeof value === 'number') return Math.ceil(String(value).length / 2) + 2
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length
  if (value instanceof Set) return [...value].reduce((sum: number, each) => sum + 1 + sizeOf(each), 3)
  return Object.entries(value ?? {}).reduce((sum, [name, each]) => sum + name.length + sizeOf(each), 0)
}

/** Sizes of a ring with at most this many entries. */
export interface RingSizes {
  most: number
  /** Number of entries at which an eviction begins. */
  limit: number
  /** Number of further entries after which the next eviction begins if one fails. */
  step: number
  /** Number of the newest entries that stay. */
  kept: number
}

export function ringSizes(most: number): RingSizes {
  const step = Math.min(NEXT_TRY, Math.floor(most / 4))
  return { most, step, limit: Math.min(RING_LIMIT, most - step), kept: Math.min(KEPT, Math.floor(most / 3)) }
}
