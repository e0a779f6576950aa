import type { Deps } from '../ports.ts'
import { parseCounter } from '../quota/counter.ts'
import { useFinalAtMs } from '../quota/day-snapshot.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { accountIdIn, DAY_PREFIX, dayKey, type Key, keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import type { Item } from '../table/table.ts'
import { monthOfDay, monthWrites } from './months.ts'
import { totalWrites } from './totals.ts'

/**
 * Counts what accounts have used on days that have ended, in the totals and in the month of each. A snapshot is taken when
 * an account first uses units on another day, and is due once that day has ended: then it tells what was used on that
 * day, from the next snapshot, or from the counter where that still stands.
 * @returns how many days were counted, how many failed and stay due, and the units that were used on them
 */
export async function countUse(
  deps: Deps<'table'>,
  run: Run,
): Promise<Worked & { added?: { unitsUsed: number } }> {
  let unitsUsed = 0
  const worked = await eachDue(deps, 'USE', run, async (key) => {
    // Another day of the account may be added to its month at the same moment.
    const used = await retryRaces(
      deps,
      async () => {
        const snapshot = await deps.table.get(key)
        return snapshot?.due === undefined ? undefined : countDay(deps, key, snapshot)
      },
      'temporarily_unavailable',
    )
    unitsUsed += used ?? 0
    return used !== undefined
  })
  return { ...worked, ...(unitsUsed > 0 && { added: { unitsUsed } }) }
}

/**
 * @returns the units used; undefined for a day whose count is not final yet
 * @throws ConditionFailed if another run was first, with this day or with another one of the month
 */
async function countDay(deps: Deps<'table'>, key: Key, snapshot: Item): Promise<number | undefined> {
  const accountId = accountIdIn(key)
  const since = Number(key.sk.slice(DAY_PREFIX.length))
  const stillDue = expr`#dueAtMs = ${snapshot.dueAtMs}`
  const end = await nextDayOfUse(deps, accountId, since)
  const finalAtMs = end && useFinalAtMs(end.day)
  if (finalAtMs !== undefined && deps.clock.nowMs() < finalAtMs) {
    await deps.table.update(key, expr`SET #dueAtMs = ${finalAtMs}`, stillDue)
    return undefined
  }
  const used = end ? end.used - Number(snapshot.u) : 0
  const day = end?.day ?? since
  const counted = { update: key, set: expr`REMOVE #due, #dueAtMs`, if: stillDue }
  await deps.table.transact([
    counted,
    ...totalWrites(accountId, day, { unitsUsed: used }),
    ...(await monthWrites(deps, accountId, monthOfDay(day), { used })),
  ])
  return used
}

/** The first day after a snapshot on which the counter stood, with the units used until its end; undefined without one. */
async function nextDayOfUse(
  deps: Deps<'table'>,
  accountId: string,
  since: number,
): Promise<{ day: number; used: number } | undefined> {
  const item = await deps.table.get(keys.quota(accountId))
  if (!item) throw new Error('a snapshot of use has no counter')
  const counter = parseCounter(item)
  const [next] = await deps.table.list(keys.account(accountId), DAY_PREFIX, {
    between: [dayKey(since + 1), '~'],
    limit: 1,
  })
  const day = next ? Number(String(next.sk).slice(DAY_PREFIX.length)) : Number.POSITIVE_INFINITY
  // A snapshot of the day on which the counter still stands is of a change of the day that is not finished.
  if (day < counter.day) return { day, used: Number(next?.u) }
  return counter.day > since ? { day: counter.day, used: counter.used } : undefined
}
