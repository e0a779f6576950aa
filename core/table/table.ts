import type { Expression } from './expression.ts'
import type { DueKind, Key } from './keys.ts'

/** An item as stored. A reader parses the item with its entity's schema before use. */
export type Item = Record<string, unknown>

/** One write of a transaction: exactly one of put, update, remove or check. */
export type Write =
  | { put: Item; if?: Expression }
  | { update: Key; set: Expression; if?: Expression }
  | { remove: Key; if?: Expression }
  | { check: Key; if: Expression }

/** A condition did not hold, so nothing was written. */
export class ConditionFailed extends Error {
  override readonly name = 'ConditionFailed'
  /**
   * Positions of the writes whose conditions failed (0 for a single write), with the stored items, if any.
   */
  readonly failed: ReadonlyMap<number, Item | undefined>
  /**
   * Whether an earlier try of this very write, whose reply was lost, may have taken effect: then the condition may
   * fail because of the write itself.
   */
  readonly inDoubt: boolean

  constructor(failed: ReadonlyMap<number, Item | undefined>, inDoubt = false) {
    super('a condition did not hold')
    this.failed = failed
    this.inDoubt = inDoubt
  }
}

/** Catch handler for a write that may be done already: ignores a failed condition, rethrows other errors. */
export function ignoreRefusal(error: unknown): void {
  if (!(error instanceof ConditionFailed)) throw error
}

/** Which items of a partition to read, in key order unless `newestFirst`. */
export interface ListOptions {
  limit?: number
  newestFirst?: boolean
  after?: Key
  /** Only items whose sort key, after the prefix, lies between these two texts, both included. */
  between?: readonly [string, string]
}

/** An entry of a list: the key of its item, and the id by which the list is ordered. */
export type ListedEntry = Key & { id: string }

/** The lists of the index `listed`. They may be out of date by moments: check what they find. */
export interface Listing {
  /**
   * Up to `limit` entries of a list whose ids lie between these two texts, both included; the greatest id first.
   */
  listed(list: string, between: readonly [string, string], limit: number): Promise<ListedEntry[]>
}

/**
 * The one table. Reads are strongly consistent unless they go through the index. Every call throws
 * `DomainError('temporarily_unavailable')` if it is unknown whether the call took effect.
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>
  /** The items of these keys, which differ from each other, in their order; a hundred of them with one request. */
  getAll(keys: readonly Key[]): Promise<(Item | undefined)[]>
  /** Items of one partition whose sort key starts with `prefix`, in key order; at most one page of 1 MB. */
  list(pk: string, prefix: string, options?: ListOptions): Promise<Item[]>
  /** As `list`, and whether items follow those that were read: the page was full, or had 1 MB. */
  page(pk: string, prefix: string, options?: ListOptions): Promise<{ items: Item[]; isLast: boolean }>
  /** Puts up to 100 items, replacing existing ones. Not atomic: after an error, some may be stored. */
  putAll(items: readonly Item[]): Promise<void>
  /** @throws ConditionFailed */
  put(item: Item, condition?: Expression): Promise<void>
  /**
   * Returns the item after the update. `once`: a request whose answer was lost is not sent again, because the
   * condition would not detect the repetition.
   * @throws ConditionFailed
   */
  update(key: Key, set: Expression, condition?: Expression, options?: { once?: boolean }): Promise<Item>
  /** @throws ConditionFailed */
  remove(key: Key, condition?: Expression): Promise<void>
  /** Writes all or nothing. @throws ConditionFailed with the writes whose conditions did not hold. */
  transact(writes: readonly Write[]): Promise<void>
  /** Keys of up to `limit` items of a kind that are due by `nowMs`, oldest first within each shard. */
  due(kind: DueKind, nowMs: number, limit: number): Promise<Key[]>
}
