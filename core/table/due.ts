import type { Deps } from '../ports.ts'
import type { DueKind, Key } from './keys.ts'

/** What a job did with the items of one kind that were due. */
export interface Worked {
  /** Items of which `work` said that something came of them. */
  done: number
  /** Items on which it threw: they stay due, and one of them does not keep the others waiting. */
  failed: number
}

/** Does `work` on up to `limit` items of a kind that are due, one after the other. */
export async function eachDue(
  deps: Deps<'table'>,
  kind: DueKind,
  limit: number,
  work: (key: Key) => Promise<boolean>,
): Promise<Worked> {
  const worked = { done: 0, failed: 0 }
  for (const key of await deps.table.due(kind, deps.clock.nowMs(), limit)) {
    try {
      if (await work(key)) worked.done++
    } catch {
      worked.failed++
    }
  }
  return worked
}
