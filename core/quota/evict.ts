import type { Deps } from '../ports.ts'
import { expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal } from '../table/table.ts'
import { archiveItem, SPANS_MS, spanBit, spentIdItem } from './archive.ts'
import { cacheEntry, cacheOf } from './container-cache.ts'
import { type Counter, parseCounter } from './counter.ts'
import { type Entry, readEntry } from './request-id.ts'

/**
 * The turn: when the ring is full, its oldest entries go into the archive. First they are put there, then they leave
 * the ring, so that an id is always in one of the two. Whoever looked into the archive before finds the fence `g`
 * changed when he writes.
 */
const RING_LIMIT = 50
/** Entries that stay: those of requests on their way, which should not have to look into the archive. */
const KEPT = 16
/** If a turn fails, the next one is tried when so many entries more are there. */
const NEXT_TRY = 16

/** Accounts whose fence a container remembers. */
const FENCES = 1000

type Timed = Extract<Entry, { kind: 'timed' }>

/** Turns the ring if `counter` is the state after the write that filled it by `added` entries. Failing is no error. */
export async function evictIfFull(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  added: number,
): Promise<void> {
  const { size } = counter.ring
  if (turnNumber(size) <= turnNumber(size - added)) return
  try {
    await evictOldest(deps, accountId, counter)
  } catch (error) {
    // The units are spent and the id is in the ring, whatever became of the eviction.
    deps.log.warn('request ids are not archived; a later consume archives them', error, { accountId })
  }
}

/** Every size of a growing ring is reached by exactly one writer: the marks choose who turns it. */
const turnNumber = (size: number): number =>
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
 * Takes out of the ring what stands in the archive now. Whoever else takes the same out does no harm; only what is
 * noted of the archive must neither be lowered nor lost.
 */
async function dropFromRing(
  deps: Deps<'table'>,
  accountId: string,
  { newestArchived, archiveSpans }: Counter,
  gone: { leaving: readonly Entry[]; newest: number; spans: number },
): Promise<void> {
  const sets = [expr`#g = #g + ${1}`]
  const conditions = [expr`attribute_exists(pk)`]
  if (gone.newest > newestArchived) {
    sets.push(expr`#m = ${gone.newest}`)
    conditions.push(expr`#m < ${gone.newest}`)
  }
  const spans = archiveSpans | gone.spans
  if (spans !== archiveSpans) {
    sets.push(expr`#o = ${spans}`)
    conditions.push(expr`#o = ${archiveSpans}`)
  }
  const entries = expr` DELETE #a ${new Set(gone.leaving.map(({ bytes }) => bytes))}`
  try {
    const after = await deps.table.update(
      keys.quota(accountId),
      join([expr`SET `, join(sets, ', '), entries], ''),
      join(conditions, ' AND '),
    )
    cacheEntry(cacheOf(deps.table).fences, accountId, parseCounter(after).fence, FENCES)
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // Both attributes only grow, so this ends.
    await dropFromRing(deps, accountId, parseCounter(error.failed.get(0)), gone)
  }
}

/** Makes a batch's archive item count without its entry. One that TTL has deleted stays deleted. */
async function validateBatchItem(
  deps: Deps<'table'>,
  accountId: string,
  { time, nonce }: Extract<Entry, { kind: 'batch' }>,
): Promise<void> {
  const key = keys.spent(accountId, 0, time, nonce)
  await deps.table.update(key, expr`SET #valid = ${true}`, expr`attribute_exists(pk)`).catch(ignoreRefusal)
}

/**
 * What leaves a full ring: every untimed entry, since those are looked up one by one anyway, then batches and the
 * oldest timed ones until the newest are left. Timed ones are in the order of their times. An id dated in the future
 * is among the newest and stays: in the archive it would make every id until then late.
 */
export function entriesToEvict(ring: readonly Entry[]): Entry[] {
  const timed = ring.filter((entry) => entry.kind === 'timed').sort((a, b) => a.time - b.time)
  const batches = ring.filter((entry) => entry.kind === 'batch').sort((a, b) => a.time - b.time)
  const untimed = ring.filter(({ kind }) => kind === 'untimed')
  const excess = timed.length + batches.length - KEPT
  const oldBatches = batches.slice(0, Math.max(0, excess))
  return [...untimed, ...oldBatches, ...oldestEntries(timed, excess - oldBatches.length)]
}

/** Those of one millisecond leave together. */
function oldestEntries(timed: readonly Timed[], count: number): Timed[] {
  const last = count > 0 ? timed[count - 1] : undefined
  return last ? timed.filter(({ time }) => time <= last.time) : []
}

/**
 * Parts entries into archive items, each of the shortest span that takes at least half of what is left: one item for
 * an even flow however slow it is, a few for a mixed one.
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
