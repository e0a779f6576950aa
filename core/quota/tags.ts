import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, join } from '../table/expression.ts'
import { tagCountsKey, tagsKey } from '../table/keys.ts'
import { ConditionFailed, type Item } from '../table/table.ts'
import { cacheEntry, cacheOf } from './container-cache.ts'
import type { Counter } from './counter.ts'
import type { KeyCaller } from './key-caller.ts'

/*
 * Use by tag is counted after the units are spent, in a write of its own, so that spending without a tag costs what
 * it costs without tags. A day has one item that numbers the account's tags, and for each key one item of units by
 * these numbers, which stays under 1 KB whatever the tags are.
 *
 * A tag is never counted twice, and not for a repeat: a write whose reply is lost is not sent again. Whatever was
 * not counted under a tag is the difference to the key's use, which is exact.
 */

/** Most tags of an account and day that are counted one by one. */
export const TAGS_MOST = 50

/** The tag that stands for all beyond `TAGS_MOST`, and for itself. */
const OTHER = 'other'

/** Number of accounts whose tags a container remembers. */
const REMEMBERED_TAGS = 1000

/** Units that were used, with what for. */
export interface TaggedUse {
  tag?: string | undefined
  units: number
}

/** Whose use it is. */
type User = Pick<KeyCaller, 'accountId' | 'slot'>

/**
 * Counts units that were spent under their tags: no call without a tag, usually one write. A failure is logged and not
 * thrown, because the units are spent: they count as use without a tag then.
 * @param day the counter after the write that spent the units: the day on which they count as used.
 */
export async function countTags(
  deps: Deps<'table'>,
  { accountId, slot }: User,
  { day }: Pick<Counter, 'day'>,
  use: readonly TaggedUse[],
): Promise<void> {
  const byTag = new Map<string, number>()
  for (const { tag, units } of use)
    if (tag !== undefined && units > 0) byTag.set(tag, (byTag.get(tag) ?? 0) + units)
  if (byTag.size === 0) return
  try {
    const numbered = await numberTags(deps, accountId, day, [...byTag.keys()])
    const byName = new Map<string, number>()
    for (const [tag, units] of byTag) {
      const name = countName(numbered.indexOf(tag))
      byName.set(name, (byName.get(name) ?? 0) + units)
    }
    const adds = [...byName].map(([name, units]) => expr`${attr(name)} ${units}`)
    const set = join([expr`ADD `, join(adds, ', ')], '')
    await deps.table.update(tagCountsKey(accountId, day, slot), set, undefined, { once: true })
  } catch (error) {
    leaveUntagged(deps, accountId, use, error)
  }
}

/** Logs that units which were spent are not counted under their tags, for example because a reply was lost. */
export function leaveUntagged(
  deps: Deps,
  accountId: string,
  use: readonly TaggedUse[],
  error?: unknown,
): void {
  if (use.some(({ tag }) => tag !== undefined))
    deps.log.warn('units may count as used without their tag', error, { accountId })
}

/** Attribute with the units of a tag, by its number in the day's list; -1 stands for `OTHER`. */
const countName = (number: number): string => (number < 0 ? OTHER : `t${number}`)

/** The day's tags by number, with as many of these as there is room for. */
async function numberTags(
  deps: Deps<'table'>,
  accountId: string,
  day: number,
  tags: readonly string[],
): Promise<readonly string[]> {
  const cache = cacheOf(deps.table).tags
  const remembered = cache.get(accountId)
  const key = tagsKey(accountId, day)
  let known = remembered?.day === day ? remembered.tags : undefined
  // A lost race means that the list has grown, so the loop ends.
  for (;;) {
    const missing = tags.filter((tag) => tag !== OTHER && !known?.includes(tag))
    if (missing.length === 0 || known?.length === TAGS_MOST) break
    known = known
      ? await appendTags(deps, key, known, missing.slice(0, TAGS_MOST - known.length))
      : tagsIn(await deps.table.get(key))
  }
  if (known) cacheEntry(cache, accountId, { day, tags: known }, REMEMBERED_TAGS)
  return known ?? []
}

/** @returns the list as it is afterwards, which has other tags instead if another request added some */
async function appendTags(
  deps: Deps<'table'>,
  key: ReturnType<typeof tagsKey>,
  known: readonly string[],
  missing: readonly string[],
): Promise<readonly string[]> {
  const unchanged: Expression =
    known.length > 0 ? expr`size(#tags) = ${known.length}` : expr`attribute_not_exists(#tags)`
  try {
    return tagsIn(await deps.table.update(key, expr`SET #tags = ${[...known, ...missing]}`, unchanged))
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    return tagsIn(error.failed.get(0))
  }
}

/** The tags of a day's item. The list only grows at its end. */
export const tagsIn = (item: Item | undefined): readonly string[] =>
  (item?.tags as string[] | undefined) ?? []

/** Units by the numbers of their tags, from a key's item of a day. */
export function tagCountsIn(item: Item, tags: readonly string[]): Map<string, number> {
  const counts = [OTHER, ...tags].map((tag, at) => [tag, Number(item[countName(at - 1)] ?? 0)] as const)
  return new Map(counts.filter(([, units]) => units > 0))
}
