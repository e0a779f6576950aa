import type { KeyRecord } from '../keys/key-record.ts'
import type { Deps } from '../ports.ts'
import type { Table } from '../table/table.ts'

/** What a counter says about its account's archive. */
export interface ArchiveState {
  fence: number
  newestArchived: number
  firstAhead: number
}

/** What a refusal for want of units is told with. */
export interface Refused {
  /** Units left. */
  left: number
  /** Units used in all. */
  used: number
  /** Most units of one request for which a renewal is bought; 0 before the first bundle. */
  servable: number
  /** Units that the key may still use in the period of its budget; undefined without one. */
  keyLeft: number | undefined
}

/** What a container remembers between requests. Each map is bounded, and its entries may be out of date. */
export interface ContainerCache {
  /** Account ids by the hash of their default key. */
  owners: Map<string, string>
  /** Records of keys by account id and slot. A write that spends fails if a record is out of date. */
  keyRecords: Map<string, KeyRecord>
  /**
   * By key hash, after a consume was refused: more units than `above` are refused until `untilMs` (epoch ms);
   * `refused` says what the refused consume was told.
   */
  refusals: Map<string, { above: number; refused: Refused; untilMs: number }>
  /**
   * By account id: what the counter last said about the archive. A request reads the counter before a write that
   * would certainly or probably fail.
   */
  archives: Map<string, ArchiveState>
  /**
   * By the stamp of a key with limits: what the last counter that was seen says of the key (`Allowance`), and when it
   * was seen.
   */
  standings: Map<
    string,
    { taken: number; arrivalUs: number; day: number; left: number; used: number; seenAtMs: number }
  >
  /** By key and first day of a period: units that the key had used before. They do not change any more. */
  bases: Map<string, number>
  /** By account id, where it is not `RING_MOST`: most entries of the ring. */
  ringMosts: Map<string, number>
  /** By account id: a day and the tags of that day, by number. */
  tags: Map<string, { day: number; tags: readonly string[] }>
}

/** One cache per table connection, so that connections do not share a cache. */
const caches = new WeakMap<Table, ContainerCache>()

export function cacheOf(table: Table): ContainerCache {
  const cache = caches.get(table) ?? {
    owners: new Map(),
    keyRecords: new Map(),
    refusals: new Map(),
    archives: new Map(),
    standings: new Map(),
    bases: new Map(),
    ringMosts: new Map(),
    tags: new Map(),
  }
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

/** Number of accounts whose archive a container remembers. */
const ARCHIVES = 1000

/** Remembers what a counter says about its account's archive. @returns the counter */
export function rememberArchive<C extends ArchiveState>(
  deps: Deps<'table'>,
  accountId: string,
  counter: C,
): C {
  const { fence, newestArchived, firstAhead } = counter
  cacheEntry(cacheOf(deps.table).archives, accountId, { fence, newestArchived, firstAhead }, ARCHIVES)
  return counter
}
