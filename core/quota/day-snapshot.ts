import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Item, ignoreRefusal } from '../table/table.ts'
import { type Counter, parseCounter } from './counter.ts'

/**
 * Moves the counter to another day. A snapshot of the use counters is stored first. The use counters are not
 * reset: a day's use is the difference of two snapshots.
 * @returns the current counter, which may still be on the old day after a concurrent consume.
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
    // A concurrent request stored the same snapshot or a later one.
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

/** Units used by key slot, from a counter as stored. */
export const usesBySlot = (counter: Item): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counter).flatMap(([name, value]) => {
      const slot = /^c(\d+)$/.exec(name)?.[1]
      return slot !== undefined && typeof value === 'number' ? [[slot, value]] : []
    }),
  )
