import type { Expression } from './expression.ts'
import type { DueKind, Key } from './keys.ts'

/** An item as stored. Whoever reads one parses it with its entity's schema before use. */
export type Item = Record<string, unknown>

/** A write of a transaction: exactly one of put, update, remove or check. */
export type Write =
  | { put: Item; if?: Expression }
  | { update: Key; set: Expression; if?: Expression }
  | { remove: Key; if?: Expression }
  | { check: Key; if: Expression }

/** A condition did not hold, so nothing was written. */
export class ConditionFailed extends Error {
  override readonly name = 'ConditionFailed'
  /** Which writes failed (0 for a single write), each with the item as it stood, if there is one. */
  readonly failed: ReadonlyMap<number, Item | undefined>

  constructor(failed: ReadonlyMap<number, Item | undefined>) {
    super('a condition did not hold')
    this.failed = failed
  }
}

/** For a write that may find its work done already: a condition that did not hold is no error. */
export function ignoreRefusal(error: unknown): void {
  if (!(error instanceof ConditionFailed)) throw error
}

/**
 * The one table. Reads are strongly consistent unless they go through the index. Every call throws
 * `DomainError('temporarily_unavailable')` when DynamoDB cannot say whether it took effect.
 */
export interface Table {
  get(key: Key): Promise<Item | undefined>
  /** Items of one partition whose sort key starts with `prefix`, in order; at most one page of 1 MB. */
  list(
    pk: string,
    prefix: string,
    options?: {
      limit?: number
      newestFirst?: boolean
      after?: Key
      /** Only keys whose part after the prefix lies between these, both included. */
      between?: readonly [string, string]
    },
  ): Promise<Item[]>
  /** Puts up to 100 items, whatever stands in their places; not as one: some may be there when it throws. */
  putAll(items: readonly Item[]): Promise<void>
  /** @throws ConditionFailed */
  put(item: Item, condition?: Expression): Promise<void>
  /**
   * The item as it stands afterwards. `once`: the condition does not tell a repetition, so a request whose answer was
   * lost is not sent again. @throws ConditionFailed
   */
  update(key: Key, set: Expression, condition?: Expression, options?: { once?: boolean }): Promise<Item>
  /** @throws ConditionFailed */
  remove(key: Key, condition?: Expression): Promise<void>
  /** All or nothing. @throws ConditionFailed naming the writes whose conditions did not hold. */
  transact(writes: readonly Write[]): Promise<void>
  /** Keys of up to `limit` items of a kind that are due by `nowMs`, oldest first within each shard. */
  due(kind: DueKind, nowMs: number, limit: number): Promise<Key[]>
}
