import { AHEAD_MS, isArchivable, SPANS_MS, spanOf } from './archive.ts'
import type { Use } from './consume.ts'
import type { Counter } from './counter.ts'
import type { LimitRefusal } from './key-limits.ts'
import type { RequestId } from './request-id.ts'
import { ringMost, ringSizes } from './ring-size.ts'
import type { TaggedUse } from './tags.ts'

/**
 * Outcome of one request: `exhausted` if the request asks for more units than are left, another one if a limit of the
 * key refuses it.
 */
export interface BatchAnswer extends Use {
  outcome: 'spent' | 'exhausted' | LimitRefusal
  /** Why no renewal and no waiting can help the request. */
  detail?: string | undefined
  /** Units that a refused request asks for. */
  needed?: number
  /** Seconds after which the limit of the key that refuses the request allows it. */
  retryAfterSeconds?: number | undefined
}

/** A request of a batch. Requests with the same id share one. */
export interface DistinctRequest extends TaggedUse {
  id: RequestId | undefined
  /** Whether the reply of a write of ours that spends the units was lost. */
  inDoubt?: boolean
  answer?: BatchAnswer
}

/** Requests whose units one write spends. */
export interface Group {
  /** In the order of the batch, because their answers count the balance down in this order. */
  requests: DistinctRequest[]
  /** The ids of the requests, sorted by time. */
  ids: RequestId[]
  /** The span of the archive item that the ids share; undefined if each id has an entry of the ring. */
  span: number | undefined
}

/** Most entries that one write adds to the ring. */
const RING_GROUP = 24
/** Most entries that one write looks for in the ring: DynamoDB allows 300 operators, and each takes two. */
const ITEM_ENTRIES = 120
/** Least number of ids that are worth an archive item of their own. */
const ITEM_LEAST = 4
/** Longest span of the item of a batch. A batch entry can name no longer one. */
const ITEM_SPAN = 3

/**
 * Chooses requests for the next write: all without an id, and either the newest ids that can share an archive
 * item or some others.
 */
export function nextGroup(
  fitting: readonly DistinctRequest[],
  counter: Counter,
  nowTime: number,
  isCrowded: boolean,
): Group {
  const ids = fitting.flatMap(({ id }) => id ?? [])
  // While the root secret rotates, each id has two entries.
  const most = (entries: number) => Math.floor(entries / (ids[0]?.entries.length ?? 1))
  const sharing = newestTogether(ids.filter((id) => canShareItem(id, counter, nowTime, isCrowded))).slice(
    0,
    most(ITEM_ENTRIES),
  )
  const isItem = sharing.length >= ITEM_LEAST
  const chosen = (isItem ? sharing : ids.slice(0, most(groupMost(counter)))).sort((a, b) => a.time - b.time)
  const members = new Set(chosen)
  const width = (chosen.at(-1)?.time ?? 0) - (chosen[0]?.time ?? 0)
  return {
    requests: fitting.filter(({ id }) => !id || members.has(id)),
    ids: chosen,
    span: isItem ? spanOf(width) : undefined,
  }
}

/** Most entries that one write adds to this ring: those for which an eviction makes room. */
function groupMost({ item }: Counter): number {
  const { most, kept } = ringSizes(ringMost(item))
  return Math.min(RING_GROUP, most - kept)
}

/** The newest of these ids, and those that are close enough to be in the same archive item, the newest first. */
function newestTogether(ids: readonly RequestId[]): RequestId[] {
  const newest = Math.max(...ids.map(({ time }) => time))
  return ids.filter(({ time }) => time >= newest - SPANS_MS[ITEM_SPAN]).toSorted((a, b) => b.time - a.time)
}

/**
 * Whether an id may be in an archive item with others: not ahead of the clock, and not among or beyond ids that
 * were. Where the archive is crowded, only ids that are newer than everything archived may.
 */
function canShareItem(id: RequestId, counter: Counter, nowTime: number, isCrowded: boolean): boolean {
  if (id.time === 0 || id.time > nowTime + AHEAD_MS) return false
  return !isArchivable(counter, id) || (!isCrowded && id.time <= counter.newestArchived)
}
