import type { Deps } from '../ports.ts'
import { type Expression, expr, unchangedSince } from '../table/expression.ts'
import { balanceChange } from './change-balance.ts'
import { balanceOf, type Counter } from './counter.ts'
import {
  type FirstLot,
  firstLot,
  LOT_ATTRIBUTES,
  type LotGroup,
  lotGroups,
  readLots,
  unitsByDay,
} from './lots.ts'
import { dayOf } from './quota.ts'

/** Parts of a write of the counter. */
export interface LotParts {
  sets: Expression[]
  removes: Expression[]
  conditions: Expression[]
}

/**
 * What the write that moves a counter to a day says of units that have expired by then. Takes a read if any have.
 * The write must also have the condition that no more units were used.
 */
export async function expiryOn(
  deps: Deps<'table'>,
  accountId: string,
  seen: Counter,
  today: number,
): Promise<LotParts> {
  const { item, seq } = seen
  const unchanged = unchangedSince(item, LOT_ATTRIBUTES)
  const first = firstLot(item)
  if (!first || first.day > today) return { sets: [], removes: [], conditions: [unchanged] }
  const groups = lotGroups(first, await readLots(deps, accountId), seq)
  const { units, next } = expire(seen, groups, today)
  const change = balanceChange(deps, accountId, -units, seen)
  const parts = firstLotParts(next, first)
  return {
    sets: [
      ...change.sets,
      ...parts.sets,
      ...(units > 0 ? [expr`#X = if_not_exists(#X, ${0}) + ${units}`] : []),
    ],
    removes: parts.removes,
    conditions: [unchanged, unchangedSince(item, ['y']), ...change.conditions],
  }
}

/** How many units have expired by a day, and which lot is the first one then. */
export function expire(
  seen: Pick<Counter, 'aboveFloor' | 'floor' | 'used' | 'held' | 'day'>,
  groups: readonly LotGroup[],
  today: number,
): { units: number; next: LotGroup | undefined } {
  const due = groups.filter(({ day }) => day <= today)
  const [last, later] = [due.at(-1), groups[due.length]]
  if (!last) return { units: 0, next: later }
  const unused = ({ mark }: LotGroup) => Math.max(0, mark - seen.used)
  // Those that were held when their lot expired have had their time.
  const late = due.findLast(({ day }) => day <= seen.day)
  const overdue = late ? unused(late) : 0
  const units = Math.min(balanceOf(seen), Math.max(overdue, unused(last) - seen.held))
  const next = unused(last) > units ? last : later
  return { units, next: next && { day: next.day, mark: next.mark - units } }
}

/** The assignments that make a lot the first one. */
function firstLotParts(next: LotGroup | undefined, before: FirstLot): Pick<LotParts, 'sets' | 'removes'> {
  if (!next) return { sets: [], removes: [expr`#E, #M, #P, #Q`] }
  const isRestLater = before.rest !== undefined && before.rest.day > next.day
  return {
    sets: [expr`#E = ${next.day}, #M = ${next.mark}`],
    removes: isRestLater ? [] : [expr`#P, #Q`],
  }
}

/**
 * Which units left expire, by day, those that expire first come first; and how many of those that the counter has as left
 * have expired, since nobody has moved it to today yet. No read unless units expire.
 */
export async function readExpiring(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
): Promise<{ expired: number; expiring: { units: number; day: number }[] }> {
  const first = firstLot(counter.item)
  if (!first) return { expired: 0, expiring: [] }
  const { used, held, day } = counter
  const groups = lotGroups(first, await readLots(deps, accountId), counter.seq)
  const today = dayOf(deps.clock.nowMs())
  const { units, next } = day < today ? expire(counter, groups, today) : { units: 0, next: groups[0] }
  const later = groups.flatMap((group) =>
    next && group.day >= next.day ? [{ ...group, mark: group.mark - units }] : [],
  )
  return { expired: units, expiring: unitsByDay(later, { used, held, left: balanceOf(counter) - units }) }
}
