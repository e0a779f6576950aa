import type { Table } from '../table/table.ts'

/** What a container remembers between requests. Each map is bounded; nothing in it is ever the truth. */
export interface ContainerCache {
  /** Account ids by the hash of their default key. */
  owners: Map<string, string>
  /** By the hash of a key: how few units were left when a consume was refused. */
  refusals: Map<string, { balance: number; untilMs: number }>
  /** By account: the last dedupe fence seen, so that nobody writes under one that he could know to have moved. */
  fences: Map<string, number>
}

/** It belongs to the table: another connection knows nothing of it. */
const caches = new WeakMap<Table, ContainerCache>()

export function cacheOf(table: Table): ContainerCache {
  const memory = caches.get(table) ?? { owners: new Map(), refusals: new Map(), fences: new Map() }
  caches.set(table, memory)
  return memory
}

/** Sets an entry, and drops the oldest beyond `limit`. */
export function cacheEntry<V>(map: Map<string, V>, key: string, value: V, limit: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= limit) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
