import { type Expression, expr } from '../table/expression.ts'
import { ConditionFailed } from '../table/table.ts'
import { archiveItem, freshFence, isArchivable, spanBit } from './archive.ts'
import type { Group } from './batch-group.ts'
import { type Counter, spendUnits } from './counter.ts'
import type { KeyCaller, QuotaDeps } from './key-caller.ts'
import type { Allowance } from './key-limits.ts'
import { dayOf } from './quota.ts'
import { batchEntry, type RequestId } from './request-id.ts'

/**
 * An archive item that is stored but not valid yet. It becomes valid when the write that spends adds the item's
 * entry to the ring; without that write the item is ignored.
 */
export interface StagedItem {
  ids: readonly RequestId[]
  entry: Buffer
}

/**
 * Stores the archive item of a group whose ids share one.
 * @param before the item of an earlier try, which serves again if its ids are the same
 * @returns undefined if the ids share no item
 */
export async function stageGroup(
  deps: QuotaDeps,
  accountId: string,
  group: Group,
  before: StagedItem | undefined,
): Promise<StagedItem | undefined> {
  const { ids, span } = group
  if (span === undefined) return undefined
  if (before?.ids.length === ids.length && before.ids.every((id, at) => id === ids[at])) return before
  const entries = ids.flatMap(({ time, entries: all }) => all.map((bytes) => ({ time, bytes })))
  const { item, time, nonce } = archiveItem(deps, accountId, span, entries, false)
  try {
    await deps.table.put(item, expr`attribute_not_exists(pk)`)
    return { ids, entry: batchEntry(span, time, nonce) }
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // The key is taken, by this item if the reply was lost or by another item with the same nonce. A new
    // nonce helps in both cases.
    return stageGroup(deps, accountId, group, before)
  }
}

/**
 * Spends the units of a group in one write.
 * @throws ConditionFailed
 */
export async function commitGroup(
  deps: QuotaDeps,
  caller: KeyCaller,
  { requests, ids, span }: Group,
  staged: StagedItem | undefined,
  seen: Counter,
  allowance: Allowance,
): Promise<Counter> {
  const nowMs = deps.clock.nowMs()
  const entries = ids.flatMap((id) => id.entries)
  const { fence, sets } = archiveChange(ids, staged && span, seen)
  const spending = {
    caller,
    allowance,
    units: requests.reduce((sum, { units }) => sum + units, 0),
    today: dayOf(nowMs),
    ids: entries,
    entries: staged ? [staged.entry] : entries,
    fence,
    sets,
    seen,
    nowMs,
  }
  return spendUnits(
    deps,
    spending,
    requests.some(({ id }) => !id),
  )
}

/**
 * What the write of a group says about the archive. For ids newer than everything archived, a condition checks
 * that they still are. Older ids were looked up in the archive, and the condition on `g` checks that the lookup
 * is still valid: `g` grows whenever ids are archived, except by a batch whose ids are all newer than `m`.
 * @param span of the archive item that becomes valid
 */
function archiveChange(ids: readonly RequestId[], span: number | undefined, seen: Counter) {
  const fresh = ids.filter((id) => !isArchivable(seen, id))
  const hasLate = fresh.length < ids.length
  const [oldest, newest] = [fresh[0], fresh.at(-1)]
  const fence: Expression[] = []
  const sets: Expression[] = []
  if (oldest && newest) fence.push(freshFence(oldest.time, newest.time))
  if (hasLate) fence.push(expr`#g = ${seen.fence}`)
  if (span === undefined) return { fence, sets }
  if (newest) sets.push(expr`#m = ${newest.time}`)
  if (hasLate) sets.push(expr`#g = #g + ${1}`)
  const spans = seen.archiveSpans | spanBit(span)
  if (spans !== seen.archiveSpans) {
    fence.push(expr`#o = ${seen.archiveSpans}`)
    sets.push(expr`#o = ${spans}`)
  }
  return { fence, sets }
}
