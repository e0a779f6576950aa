import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal } from '../table/table.ts'
import { AHEAD_MS, archiveItem, findAhead, SPANS_MS, spanBit, spentIdItem } from './archive.ts'
import { cacheEntry, cacheOf, rememberArchive } from './container-cache.ts'
import { type Counter, parseCounter, readCounter } from './counter.ts'
import { type Entry, idTimeAt, readEntry } from './request-id.ts'
import { RING_MOST, type RingSizes, ringMost, ringSizes } from './ring-size.ts'

/** Late entries wait in the ring until there are this many. */
export const LATE_TOGETHER = 8
/** For this long after its time an id may be archived together with newer ones. */
const BEHIND_MS = 1000

/** About as long as an eviction takes, and how often a request waits for another one's before it evicts entries. */
const EVICTION_MS = 15
const EVICTION_LOOKS = 3

type Timed = Extract<Entry, { kind: 'timed' }>
type Batch = Extract<Entry, { kind: 'batch' }>

/**
 * Evicts old entries if the write that led to `counter` and added `added` entries filled the ring.
 */
export async function evictIfFull(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  added: number,
): Promise<void> {
  const { size } = counter.ring
  const sizes = ringSizes(rememberRing(deps, accountId, counter))
  // The units are spent and the id is in the ring, even if the eviction fails.
  if (evictionStep(size, sizes) > evictionStep(size - added, sizes)) await evict(deps, accountId, counter)
}

/**
 * Makes room for `count` entries in the ring, where earlier evictions failed or came too late.
 * @returns the counter after an eviction; undefined if there is room already
 * @throws DomainError `temporarily_unavailable` if the eviction fails
 */
export async function makeRoom(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  count: number,
): Promise<Counter | undefined> {
  const isRoomy = ({ ring, item }: Counter) => ring.size + count <= ringMost(item)
  if (isRoomy(counter)) return undefined
  let now = counter
  // Most likely another request is evicting entries at this moment. A read costs less than a second eviction.
  for (let looks = 0; looks < EVICTION_LOOKS; looks++) {
    await deps.clock.wait(EVICTION_MS * (1 + looks * Math.random()))
    now = await readCounter(deps, accountId)
    if (isRoomy(now)) return now
  }
  const after = await evict(deps, accountId, now)
  if (!after) throw new DomainError('temporarily_unavailable')
  return after
}

/** Evicts entries. @returns the counter afterwards; undefined after a failure, which is logged. */
async function evict(deps: Deps<'table'>, accountId: string, counter: Counter): Promise<Counter | undefined> {
  try {
    const { inOrder, behind, alone, batches } = entriesToEvict(
      [...counter.ring].map(readEntry),
      counter,
      idTimeAt(deps.clock.nowMs()),
      ringSizes(ringMost(counter.item)).kept,
    )
    const timed = [...behind, ...inOrder].sort((a, b) => a.time - b.time)
    const groups = groupBySpan(timed)
    await Promise.all([
      deps.table.putAll(alone.map(({ bytes }) => spentIdItem(deps, accountId, bytes))),
      ...batches.map((entry) => validateBatchItem(deps, accountId, entry)),
      ...groups.map(({ span, ids }) => {
        const { item } = archiveItem(deps, accountId, span, ids, true)
        return deps.table.put(item, expr`attribute_not_exists(pk)`)
      }),
    ])
    return await dropFromRing(deps, accountId, counter, {
      leaving: [...timed, ...alone, ...batches],
      isFresh: behind.length + alone.length === 0 && counter.firstAhead === Infinity,
      newest: timed.at(-1)?.time ?? 0,
      spans: groups.reduce((bits, { span }) => bits | spanBit(span), 0),
    })
  } catch (error) {
    deps.log.warn('old request ids were not archived; a later consume archives them', error, { accountId })
    return undefined
  }
}

/**
 * How many eviction sizes (35, 47, 59) a ring has reached, or two of its own if it is smaller. Exactly one writer
 * reaches each size, so exactly one writer evicts.
 */
const evictionStep = (size: number, { limit, step }: RingSizes): number =>
  size < limit ? 0 : 1 + Math.floor((size - limit) / step)

/** Number of accounts with a smaller ring that a container remembers. */
const SMALL_RINGS = 10_000

/** Remembers how many entries the ring may have, for writes without a look at the counter. @returns that number */
function rememberRing(deps: Deps<'table'>, accountId: string, { item }: Counter): number {
  const { ringMosts } = cacheOf(deps.table)
  const most = ringMost(item)
  if (most < RING_MOST) cacheEntry(ringMosts, accountId, most, SMALL_RINGS)
  else ringMosts.delete(accountId)
  return most
}

/** Entries that are now in the archive. */
interface Evicted {
  leaving: readonly Entry[]
  /**
   * Whether all ids with a time are newer than everything that was archived when they were seen in the ring. Then no
   * request can have looked for one of them in the archive before it was spent: at that time the id was newer than the
   * archive, and its write fails by `freshFence`.
   */
  isFresh: boolean
  /** Newest time in the items that hold many ids; 0 without such an item. */
  newest: number
  /** Spans of these items, as bits. */
  spans: number
}

/**
 * Removes entries from the ring that are now in the archive. A concurrent removal of the same entries does no
 * harm. The conditions protect the newest archived time, the archive spans and the first id ahead from being
 * changed by what another eviction knows nothing of.
 */
async function dropFromRing(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  evicted: Evicted,
): Promise<Counter> {
  const { newestArchived, archiveSpans } = counter
  const sets = evicted.isFresh ? [] : [expr`#g = #g + ${1}`]
  const conditions = [expr`attribute_exists(pk)`]
  if (evicted.newest > newestArchived) {
    sets.push(expr`#m = ${evicted.newest}`)
    conditions.push(expr`#m < ${evicted.newest}`)
  }
  const spans = archiveSpans | evicted.spans
  if (spans !== archiveSpans) {
    sets.push(expr`#o = ${spans}`)
    conditions.push(expr`#o = ${archiveSpans}`)
  }
  const ahead = await aheadAfter(deps, accountId, counter, evicted)
  // Every eviction of ids ahead of the clock changes `g`, so none comes between.
  if (ahead.isFenced) conditions.push(expr`#g = ${counter.fence}`)
  if (ahead.first < Infinity && ahead.first !== counter.firstAhead) sets.push(expr`#e = ${ahead.first}`)
  const isPassed = ahead.first === Infinity && counter.firstAhead < Infinity
  const parts = [
    setRemove(sets, isPassed ? [expr`#e`] : []),
    expr`DELETE #a ${new Set(evicted.leaving.map(({ bytes }) => bytes))}`,
  ]
  try {
    const after = await deps.table.update(keys.quota(accountId), join(parts, ' '), join(conditions, ' AND '))
    return rememberArchive(deps, accountId, parseCounter(after))
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // Each time another eviction has succeeded, so the recursion ends.
    return dropFromRing(deps, accountId, parseCounter(error.failed.get(0)), evicted)
  }
}

/**
 * The first id ahead after an eviction, and whether that is true only as long as no other eviction succeeds. The
 * first one is looked up when the shared items have passed the one known so far.
 */
async function aheadAfter(
  deps: Deps<'table'>,
  accountId: string,
  { newestArchived, firstAhead }: Counter,
  { leaving, newest }: Evicted,
): Promise<{ first: number; isFenced: boolean }> {
  const last = Math.max(newest, newestArchived)
  const evictedAhead = leaving.flatMap((entry) =>
    entry.kind === 'timed' && entry.time > last ? [entry.time] : [],
  )
  const known = firstAhead > last ? firstAhead : await findAhead(deps, accountId, last)
  return {
    first: Math.min(known, ...evictedAhead),
    isFenced: evictedAhead.length > 0 || known !== firstAhead,
  }
}

/** Makes a batch's archive item valid without its ring entry. An item that TTL has deleted stays deleted. */
async function validateBatchItem(
  deps: Deps<'table'>,
  accountId: string,
  { span, time, nonce }: Batch,
): Promise<void> {
  const key = keys.spent(accountId, span, time, nonce)
  await deps.table.update(key, expr`SET #valid = ${true}`, expr`attribute_exists(pk)`).catch(ignoreRefusal)
}

/** Entries that leave the ring. */
export interface Leaving {
  /** Timed entries that came in order, newer than the archive. They share archive items. */
  inOrder: Timed[]
  /** Timed entries that came a little late. They share the items of those in order. */
  behind: Timed[]
  /** Entries that get an archive item of their own. */
  alone: Entry[]
  batches: Batch[]
}

/**
 * Entries that leave a full ring: the oldest batches and the oldest other entries, until `kept` are left; and the late
 * ones, which are looked up in the archive in any case. Of these, the ones that are archived alone are untimed ids, ids
 * older than the archive, and ids more than a minute ahead of the clock, whose time in a shared item would make every
 * id until that time late.
 */
export function entriesToEvict(
  ring: readonly Entry[],
  { newestArchived }: Pick<Counter, 'newestArchived'>,
  nowTime: number,
  kept: number,
): Leaving {
  const isInOrder = (entry: Entry): entry is Timed =>
    entry.kind === 'timed' && entry.time > newestArchived && entry.time <= nowTime + AHEAD_MS
  const timed = ring.filter(isInOrder).sort((a, b) => a.time - b.time)
  const all = ring.filter((entry) => entry.kind === 'batch').sort((a, b) => a.time - b.time)
  const excess = timed.length + all.length - kept
  const batches = all.slice(0, Math.max(0, excess))
  const oldest = oldestEntries(timed, excess - batches.length)
  const late: readonly Entry[] = ring.filter((entry) => entry.kind !== 'batch' && !isInOrder(entry))
  // Evicting late entries changes the fence, and then the write of every late id in flight fails. So a few wait for more
  // of them. Ids ahead of the clock do not come in crowds.
  const isAhead = late.some((entry) => entry.kind === 'timed' && entry.time > newestArchived)
  if (late.length < LATE_TOGETHER && !isAhead && oldest.length + batches.length >= LATE_TOGETHER)
    return { inOrder: oldest, behind: [], alone: [], batches }
  // Ids of requests that ran at the same time come out of order. They join the others if they are no further behind the
  // archive than the others go beyond it, or if their time was just now: then few items overlap.
  const advance = (oldest.at(-1)?.time ?? newestArchived) - newestArchived
  const since = Math.min(newestArchived - advance, nowTime - BEHIND_MS)
  const isBehind = (entry: Entry): entry is Timed =>
    entry.kind === 'timed' && entry.time <= newestArchived && entry.time > since
  return {
    inOrder: oldest,
    behind: late.filter(isBehind),
    alone: late.filter((entry) => !isBehind(entry)),
    batches,
  }
}

/** The oldest `count` entries; entries of the same millisecond leave together. */
function oldestEntries(timed: readonly Timed[], count: number): Timed[] {
  const last = count > 0 ? timed[count - 1] : undefined
  return last ? timed.filter(({ time }) => time <= last.time) : []
}

/**
 * Groups entries into archive items. Each item has the shortest span that covers at least half of the
 * remaining entries: an even flow needs one item, however slow the flow is, and a mixed flow needs a few.
 */
export function groupBySpan(timed: readonly Timed[]): { span: number; ids: Timed[] }[] {
  const groups: { span: number; ids: Timed[] }[] = []
  let rest = [...timed]
  while (rest.length > 0) {
    const newest = rest.at(-1)?.time ?? 0
    const within = (spanMs: number) => rest.filter(({ time }) => time >= newest - spanMs)
    const span = Math.max(
      0,
      SPANS_MS.findIndex((spanMs) => within(spanMs).length * 2 >= rest.length),
    )
    const ids = within(SPANS_MS[span] ?? 0)
    groups.push({ span, ids })
    rest = rest.slice(0, rest.length - ids.length)
  }
  return groups
}
