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

/**
 * The one table. Reads are strongly consistent unless they go through the index. Every call throws
 * `DomainError('temporarily_unavailable')` if it is unknown whether the call took effect.
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>
  /** Items of one partition whose sort key starts with `prefix`, in key order; at most one page of 1 MB. */
  list(
    pk: string,
    prefix: string,
    options?: {
      limit?: number
      newestFirst?: boolean
      after?: Key
      /** Only items whose sort key, after the prefix, lies between these two texts, both included. */
      between?: readonly [string, string]
    },
  ): Promise<Item[]>
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
