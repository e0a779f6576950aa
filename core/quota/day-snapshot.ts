import type { Deps } from '../ports.ts'
import { expr, join, setRemove } from '../table/expression.ts'
import { DAY_PREFIX, dayKey, dueAt, keys } from '../table/keys.ts'
import { ConditionFailed, type Item, ignoreRefusal } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'
import { type Counter, parseCounter, readCounter } from './counter.ts'
import { expiryOn } from './expiry.ts'

/**
 * Moves the counter to another day, and expires the units whose lots end by then. A snapshot of the use counters is
 * stored first. The use counters are not reset: a day's use is the difference of two snapshots. A snapshot also has the
 * last day of use by key, which it takes from the snapshot before it where a key was not used.
 * @returns the current counter, which may still be on the old day after a concurrent consume.
 */
export async function changeDay(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  today: number,
): Promise<Counter> {
  const snapshot = {
    ...keys.day(accountId, counter.day),
    u: counter.used,
    c: usesBySlot(counter.item),
    t: lastUseDays(counter, await readEarlierDay(deps, accountId, counter.day)),
    // Once the day has ended that begins now, its use is counted in the totals.
    ...dueAt('USE', accountId, useFinalAtMs(today)),
  }
  await deps.table
    .put(snapshot, expr`attribute_not_exists(pk) OR #u < ${counter.used}`)
    // A concurrent request stored the same snapshot or a later one.
    .catch(ignoreRefusal)
  const expiry = await expiryOn(deps, accountId, counter, today)
  try {
    const moved = await deps.table.update(
      keys.quota(accountId),
      setRemove([expr`#d = ${today}`, ...expiry.sets], expiry.removes),
      join([expr`#d = ${counter.day} AND #u = ${counter.used}`, ...expiry.conditions], ' AND '),
    )
    return parseCounter(moved)
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    return parseCounter(error.failed.get(0))
  }
}

/** When the use of a day is final: no function that has begun on the day is still running. Epoch ms. */
export const useFinalAtMs = (day: number): number => (day + 1) * DAY_MS + HOUR_MS

/** Units used by key slot, from a counter as stored. */
export const usesBySlot = (counter: Item): Record<string, number> =>
  Object.fromEntries(
    Object.entries(counter).flatMap(([name, value]) => {
      const slot = /^c(\d+)$/.exec(name)?.[1]
      return slot !== undefined && typeof value === 'number' ? [[slot, value]] : []
    }),
  )

/** The last snapshot before a day. */
export async function readEarlierDay(
  deps: Deps<'table'>,
  accountId: string,
  day: number,
): Promise<Item | undefined> {
  const before = { between: ['', dayKey(day - 1)], newestFirst: true, limit: 1 } as const
  const [snapshot] = await deps.table.list(keys.account(accountId), DAY_PREFIX, before)
  return snapshot
}

/** The last day of use (UTC, days since 1970) by key slot: the counter's day for keys whose use differs from `before`. */
function lastUseDays({ item, day }: Counter, before: Item | undefined): Record<string, number> {
  const { c: used = {}, t: days = {} } = (before ?? {}) as Record<'c' | 't', Record<string, number>>
  return Object.fromEntries(
    Object.entries(usesBySlot(item)).flatMap(([slot, units]) => {
      const last = units === (used[slot] ?? 0) ? days[slot] : day
      return last === undefined ? [] : [[slot, last]]
    }),
  )
}

/** When the last day on which each key has used units began (UTC, epoch ms), by slot, exact. */
export async function readLastUse(deps: Deps<'table'>, accountId: string): Promise<Record<string, number>> {
  const counter = await readCounter(deps, accountId)
  const days = lastUseDays(counter, await readEarlierDay(deps, accountId, counter.day))
  return Object.fromEntries(Object.entries(days).map(([slot, day]) => [slot, day * DAY_MS]))
}
