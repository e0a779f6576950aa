import type { Deps } from '../ports.ts'
import { MINUTE_MS } from '../time.ts'
import { expr } from './expression.ts'
import type { Key } from './keys.ts'
import { ConditionFailed, type Item } from './table.ts'

/** How long a request or a run has an item to itself. Afterwards a job may take the item over. */
export const LEASE_MS = MINUTE_MS

/** Whether the request that created an item may still be working on it. */
export const isLeased = (deps: Deps, { createdAtMs }: { createdAtMs: number }): boolean =>
  deps.clock.nowMs() < createdAtMs + LEASE_MS

/**
 * Leases an item that is due: two runs never work on it at once, and an item whose run fails is due again.
 * @returns the item; undefined if another run has leased it or it is gone.
 */
export async function leaseDue(
  deps: Deps<'table'>,
  key: Key,
  leaseMs: number = LEASE_MS,
): Promise<Item | undefined> {
  const nowMs = deps.clock.nowMs()
  try {
    return await deps.table.update(key, expr`SET #dueAtMs = ${nowMs + leaseMs}`, expr`#dueAtMs <= ${nowMs}`)
  } catch (error) {
    if (error instanceof ConditionFailed) return undefined
    throw error
  }
}
