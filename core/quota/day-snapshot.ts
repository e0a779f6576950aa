import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Item, ignoreRefusal } from '../table/table.ts'
import { type Counter, parseCounter } from './counter.ts'

/**
 * Moves the counter to another day. Its counters go on: what they stood at is kept first, and a day's use is the
 * difference of two such snapshots.
 * @returns the counter as it is now, which may still be in its old day if somebody consumed meanwhile.
 */
export async function changeDay(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  today: number,
): Promise<Counter> {
  const snapshot = { ...keys.day(accountId, counter.day), u: counter.used, c: usesBySlot(counter.item) }
  await deps.table
    .put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`)
    // Another put the same, or a later one.
    .catch(ignoreRefusal)
  try {
    const moved = await deps.table.update(
      keys.quota(accountId),
      expr`SET #d = ${today}`,
      expr`#d = ${counter.day} AND #u = ${counter.used}`,
    )
    return parseCounter(moved)
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    return parseCounter(error.failed.get(0))
  }
}

/** Units used by slot, of a counter as stored. */
export const usesBySlot = (counter: Item): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counter).flatMap(([name, value]) => {
      const slot = /^c(\d+)$/.exec(name)?.[1]
      return slot !== undefined && typeof value === 'number' ? [[slot, value]] : []
    }),
  )
