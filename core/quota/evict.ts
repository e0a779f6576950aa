import type { Deps } from '../ports.ts'
import { expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal } from '../table/table.ts'
import { archiveItem, SPANS_MS, spanBit, spentIdItem } from './archive.ts'
import { cacheEntry, cacheOf } from './container-cache.ts'
import { type Counter, parseCounter } from './counter.ts'
import { type Entry, readEntry } from './request-id.ts'

/**
 * Number of entries at which the ring is full. An eviction then copies the oldest entries to the archive and
 * removes them from the ring afterwards, so that an id is always in at least one of the two. The removal
 * changes the fence `g`, so a request that read the archive earlier fails its condition on `g` and retries.
 */
const RING_LIMIT = 50
/**
 * Number of the newest entries that stay in the ring, so that ids of requests in flight are newer than the
 * archive and need no archive lookup.
 */
const KEPT = 16
/** After a failed eviction, the next try follows when the ring has grown by this many entries. */
const NEXT_TRY = 16

/** Number of accounts whose fence a container remembers. */
const FENCES = 1000

type Timed = Extract<Entry, { kind: 'timed' }>

/**
 * Evicts old entries if the write that led to `counter` and added `added` entries filled the ring. A failure
 * is logged and not thrown.
 */
export async function evictIfFull(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  added: number,
): Promise<void> {
  const { size } = counter.ring
  if (evictionStep(size) <= evictionStep(size - added)) return
  try {
    await evictOldest(deps, accountId, counter)
  } catch (error) {
    // The units are spent and the id is in the ring, even though the eviction failed.
    deps.log.warn('old request ids were not archived; a later consume archives them', error, { accountId })
  }
}

/**
 * How many eviction sizes (50, 66, 82, …) a ring has reached. Exactly one writer reaches each size, so
 * exactly one writer evicts.
 */
const evictionStep = (size: number): number =>
  size < RING_LIMIT ? 0 : 1 + Math.floor((size - RING_LIMIT) / NEXT_TRY)

async function evictOldest(deps: Deps<'table'>, accountId: string, counter: Counter): Promise<void> {
  const leaving = entriesToEvict([...counter.ring].map(readEntry))
  const timed = leaving.filter((entry) => entry.kind === 'timed')
  const groups = groupBySpan(timed)
  await Promise.all([
    deps.table.putAll(
      leaving
        .filter(({ kind }) => kind === 'untimed')
        .map(({ bytes }) => spentIdItem(deps, accountId, bytes)),
    ),
    ...leaving
      .filter((entry) => entry.kind === 'batch')
      .map((entry) => validateBatchItem(deps, accountId, entry)),
    ...groups.map(({ span, ids }) => {
      const { item } = archiveItem(deps, accountId, span, ids, true)
      return deps.table.put(item, expr`attribute_not_exists(pk)`)
    }),
  ])
  const spans = groups.reduce((bits, { span }) => bits | spanBit(span), 0)
  await dropFromRing(deps, accountId, counter, { leaving, newest: timed.at(-1)?.time ?? 0, spans })
}

/**
 * Removes entries from the ring that are now in the archive. A concurrent removal of the same entries does no
 * harm. The conditions protect the newest archived time and the archive spans from being lowered or lost.
 */
async function dropFromRing(
  deps: Deps<'table'>,
  accountId: string,
  { newestArchived, archiveSpans }: Counter,
  evicted: { leaving: readonly Entry[]; newest: number; spans: number },
): Promise<void> {
  const sets = [expr`#g = #g + ${1}`]
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
  const entries = expr` DELETE #a ${new Set(evicted.leaving.map(({ bytes }) => bytes))}`
  try {
    const after = await deps.table.update(
      keys.quota(accountId),
      join([expr`SET `, join(sets, ', '), entries], ''),
      join(conditions, ' AND '),
    )
    cacheEntry(cacheOf(deps.table).fences, accountId, parseCounter(after).fence, FENCES)
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // Both attributes only grow, so the recursion ends.
    await dropFromRing(deps, accountId, parseCounter(error.failed.get(0)), evicted)
  }
}

/** Makes a batch's archive item valid without its ring entry. An item that TTL has deleted stays deleted. */
async function validateBatchItem(
  deps: Deps<'table'>,
  accountId: string,
  { time, nonce }: Extract<Entry, { kind: 'batch' }>,
): Promise<void> {
  const key = keys.spent(accountId, 0, time, nonce)
  await deps.table.update(key, expr`SET #valid = ${true}`, expr`attribute_exists(pk)`).catch(ignoreRefusal)
}

/**
 * Entries that leave a full ring: every untimed entry, because untimed ids are looked up one by one in any
 * case; then the oldest batches and the oldest timed entries, until `KEPT` entries are left. Timed entries
 * come out sorted by time. An id dated in the future is among the newest and stays, because in the archive
 * its time would make every id until that time late.
 */
export function entriesToEvict(ring: readonly Entry[]): Entry[] {
  const timed = ring.filter((entry) => entry.kind === 'timed').sort((a, b) => a.time - b.time)
  const batches = ring.filter((entry) => entry.kind === 'batch').sort((a, b) => a.time - b.time)
  const untimed = ring.filter(({ kind }) => kind === 'untimed')
  const excess = timed.length + batches.length - KEPT
  const oldBatches = batches.slice(0, Math.max(0, excess))
  return [...untimed, ...oldBatches, ...oldestEntries(timed, excess - oldBatches.length)]
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
    const span = SPANS_MS.findIndex((spanMs) => within(spanMs).length * 2 >= rest.length)
    const ids = within(SPANS_MS[span] ?? SPANS_MS[0])
    groups.push({ span: Math.max(span, 0), ids })
    rest = rest.slice(0, rest.length - ids.length)
  }
  return groups
}
