import type { Deps } from '../ports.ts'
import { dayKey, keys, TAGS_PREFIX } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { type TaggedUse, tagCountsIn, tagsIn } from './tags.ts'

/** Longest range of days whose tags are shown. A day may have hundreds of them, by key. */
export const TAGGED_DAYS_MOST = 31

/** Items that one Query reads. Each is under 4 KB, so a page of 1 MB holds them. */
const TAGS_PAGE = 200

/** Units by day, slot of the key and tag. */
export type TagsByDay = ReadonlyMap<number, ReadonlyMap<number, ReadonlyMap<string, number>>>

/** Reads the use by tag of the days from `from` to `to`, both included (days since 1970). */
export async function readTags(
  deps: Deps<'table'>,
  accountId: string,
  from: number,
  to: number,
): Promise<TagsByDay> {
  const pk = keys.account(accountId)
  const byDay = new Map<number, Map<number, Map<string, number>>>()
  let tags: readonly string[] = []
  let after: string | undefined
  do {
    const items: Item[] = await deps.table.list(pk, TAGS_PREFIX, {
      between: [dayKey(from), `${dayKey(to)}#~`],
      limit: TAGS_PAGE,
      ...(after !== undefined && { after: { pk, sk: after } }),
    })
    for (const item of items) {
      const [, day, slot] = String(item.sk).split('#').map(Number)
      // The list of a day's tags comes before the counts of the day's keys.
      if (slot === undefined) {
        tags = tagsIn(item)
        byDay.set(Number(day), new Map())
      } else byDay.get(Number(day))?.set(slot, tagCountsIn(item, tags))
    }
    after = items.length === TAGS_PAGE ? String(items.at(-1)?.sk) : undefined
  } while (after !== undefined)
  return byDay
}

/**
 * Splits the use of a key, or of several, by tag. The last entry has the units without a tag, so the entries add up to
 * `units` in any case: the counts by tag may be newer than `units`, and are cut then.
 * @returns undefined if nothing was counted under a tag
 */
export function splitByTag(
  units: number,
  counts: readonly ReadonlyMap<string, number>[],
): TaggedUse[] | undefined {
  const byTag = new Map<string, number>()
  for (const count of counts)
    for (const [tag, tagged] of count) byTag.set(tag, (byTag.get(tag) ?? 0) + tagged)
  let rest = units
  const split = [...byTag]
    .sort(([, a], [, b]) => b - a)
    .map(([tag, tagged]): TaggedUse => {
      const shown = Math.min(tagged, rest)
      rest -= shown
      return { tag, units: shown }
    })
  if (rest > 0 && split.length > 0) split.push({ units: rest })
  return split.length > 0 ? split.filter((each) => each.units > 0) : undefined
}
