import type { Table } from '../table/table.ts'

/** What a container remembers between requests. Each map is bounded, and its entries may be out of date. */
export interface ContainerCache {
  /** Account ids by the hash of their default key. */
  owners: Map<string, string>
  /**
   * By key hash: the balance when a consume was refused, and until when the refusal is remembered (epoch ms).
   */
  refusals: Map<string, { balance: number; untilMs: number }>
  /** By account id: the last dedupe fence seen. A request skips a write whose fence is known to be stale. */
  fences: Map<string, number>
}

/** One cache per table connection, so that connections do not share a cache. */
const caches = new WeakMap<Table, ContainerCache>()

export function cacheOf(table: Table): ContainerCache {
  const cache = caches.get(table) ?? { owners: new Map(), refusals: new Map(), fences: new Map() }
  caches.set(table, cache)
  return cache
}

/** Sets an entry, and drops the oldest beyond `limit`. */
export function cacheEntry<V>(map: Map<string, V>, key: string, value: V, limit: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limit) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
