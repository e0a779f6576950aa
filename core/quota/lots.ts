import type { Deps } from '../ports.ts'
import { keys, LOT_PREFIX } from '../table/keys.ts'
import { stored } from '../table/stored.ts'
import type { Item } from '../table/table.ts'

/*
 * Units that expire. Those of one ledger entry are a lot, an item of its own. A lot expires when a day (UTC) begins, and
 * the lots of one day count as one. What expires first is spent first, and units that never expire are spent last.
 *
 * - A consume knows nothing of lots. The counter has the day on which the first lot expires (`E`) and the value of the
 *   units used at which that lot is used up (`M`, its mark). The mark of each further lot is the one before it plus the
 *   units of the lot. So what is left of every lot follows from the units used, which a consume counts anyway.
 * - A consume fails on a counter that is not on its day yet, and whoever moves the counter to a day expires in the same
 *   write what has expired by then (`expiry.ts`). So no unit is spent after its expiry, apart from how much the clocks of
 *   two containers differ. The job expire-lots does the same for accounts that nobody uses.
 * - Units that a reservation holds count as used. If its lot expires before they return, they can be spent until the
 *   next day (UTC) begins, and those of them that are left then expire: out of the units left, whether or not others
 *   are held.
 * - Expired units leave the balance at once and wait in `X` for their ledger entry (`book-expiry.ts`), so that a consume
 *   never has to write to the ledger. At any time `left + used + held + X` are the units credited.
 * - Units that are taken back count as if they were used: those that expire first are taken first.
 * - A new lot that expires before the others is spent before them, although one of these may be used in part by then.
 *   The same write stores the rest of that one in `P`, because only the counter knows how many units are used at that
 *   moment. `flushRest` moves it to the item of the lot.
 * - Items of lots whose day is before `E`, or between `E` and `Q`, or of which there is no `E`, are of lots that have
 *   ended. Entries of the ledger beyond `s` have no part in this: their lots have not begun.
 */

/** The first units that expire, as the counter has them. */
export interface FirstLot {
  /** The day on which they expire: they cannot be spent any more from its beginning on (UTC, days since 1970). */
  day: number
  /** The value of the units used at which they are used up. */
  mark: number
  /** What is left of the lot that expires next. Undefined if its item knows. */
  rest?: { units: number; day: number } | undefined
}

/** What was credited with one ledger entry and expires. */
export interface Lot {
  day: number
  /** Number of the ledger entry. */
  seq: number
  /** Units that are left once all lots before it are used up. Not kept for the first lot. */
  units: number
}

/** The lots of a day: what is left of them and of all before them is their mark less the units used. */
export interface LotGroup {
  day: number
  mark: number
}

/** The attributes of the counter that say which units expire. */
export const LOT_ATTRIBUTES = ['E', 'M', 'P', 'Q']

/** The day of a rest that there is not, after all days. */
export const NO_DAY = 9_999_999

export function firstLot(counter: Item): FirstLot | undefined {
  const { E: day, M: mark, P: units, Q: restDay } = counter
  if (typeof day !== 'number' || typeof mark !== 'number') return undefined
  if (typeof units !== 'number' || typeof restDay !== 'number') return { day, mark }
  return { day, mark, rest: { units: Math.max(0, units), day: restDay } }
}

/** The lots of an account, those that expire first come first. */
export async function readLots(deps: Deps<'table'>, accountId: string): Promise<Lot[]> {
  const items = await deps.table.list(keys.account(accountId), LOT_PREFIX)
  return items.map(readLot)
}

export function readLot(item: Item): Lot {
  const [, day, seq] = stored(item, 'sk', 'string').split('#')
  return { day: Number(day), seq: Number(seq), units: stored(item, 'units', 'number') }
}

/** Whether a lot has begun and has ended. */
export const hasLotEnded = ({ day, seq }: Lot, first: FirstLot | undefined, lastSeq: number): boolean =>
  seq <= lastSeq &&
  (!first || day < first.day || (first.rest !== undefined && day > first.day && day < first.rest.day))

/**
 * The lots that have begun and have not ended, by day.
 * @param lastSeq number of the last ledger entry that the counter includes
 */
export function lotGroups(first: FirstLot | undefined, lots: readonly Lot[], lastSeq: number): LotGroup[] {
  if (!first) return []
  const groups: LotGroup[] = [{ day: first.day, mark: first.mark }]
  const later = lots.filter((lot) => lot.seq <= lastSeq && lot.day > first.day)
  const byDay = Map.groupBy(
    later.filter((lot) => !hasLotEnded(lot, first, lastSeq)),
    ({ day }) => day,
  )
  for (const [day, ofDay] of byDay) {
    const units = day === first.rest?.day ? first.rest.units : ofDay.reduce((sum, lot) => sum + lot.units, 0)
    groups.push({ day, mark: Number(groups.at(-1)?.mark) + units })
  }
  return groups
}

/** Units left of each lot that has units left, those that expire first come first. */
export function unitsByDay(
  groups: readonly LotGroup[],
  { used, held, left }: { used: number; held: number; left: number },
): { units: number; day: number }[] {
  let counted = 0
  return groups.flatMap(({ day, mark }) => {
    const upTo = Math.min(left, Math.max(0, mark - used - held))
    const units = upTo - counted
    counted = Math.max(counted, upTo)
    return units > 0 ? [{ units, day }] : []
  })
}
