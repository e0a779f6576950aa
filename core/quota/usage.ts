import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import { keyIdsBySlot } from '../keys/stored-keys.ts'
import type { Deps } from '../ports.ts'
import { DAY_PREFIX, dayKey, keys } from '../table/keys.ts'
import { DAY_MS } from '../time.ts'
import { readCounter } from './counter.ts'
import { usesBySlot } from './day-snapshot.ts'
import { dayOf } from './quota.ts'
import type { TaggedUse } from './tags.ts'
import { readTags, splitByTag, TAGGED_DAYS_MOST, type TagsByDay } from './usage-tags.ts'

/** Days that are shown by default, and at most. */
const DAYS = 30
const MOST_DAYS = 366

const snapshotSchema = z.object({
  sk: z.string(),
  u: z.number(),
  c: z.record(z.string(), z.number()),
})

/** The use counters as they stood at the end of a day, or now for the current day. */
interface Snapshot {
  day: number
  used: number
  bySlot: Record<string, number>
}

export interface DayRange {
  fromMs?: number | undefined
  toMs?: number | undefined
  /** Whether to read the use by tag as well. */
  withTags?: boolean
}

/** What a key has used on a day. */
export interface KeyDayUse {
  id: string | undefined
  units: number
  /**
   * By tag, the most units first; the units without a tag are the last entry. Absent if none has a tag, if tags were
   * not asked for, or if the range is longer than 31 days.
   */
  tags?: TaggedUse[]
}

export interface DayUse {
  /** When the day begins (UTC), epoch ms. */
  startMs: number
  units: number
  /** Use by key. The use of all deleted keys is one entry without an id. */
  keys: KeyDayUse[]
}

export interface Usage {
  /** Units used over all keys, ever. */
  used: number
  /** Days with use, oldest first. */
  days: DayUse[]
}

/**
 * Use by day (UTC) and key.
 * @param range any moment of the first day and of the last one, epoch ms, in the years 1971 to 2243, for which sort keys
 *   have a form; both days are included.
 * @throws DomainError `invalid_request` for a range that is empty or longer than 366 days
 */
export async function readUsage(deps: Deps<'table'>, accountId: string, range: DayRange): Promise<Usage> {
  const { from, to } = daysOf(range, dayOf(deps.clock.nowMs()))
  const pk = keys.account(accountId)
  const isTagged = range.withTags === true && to - from < TAGGED_DAYS_MOST
  const [counter, ids, before, within, tags] = await Promise.all([
    readCounter(deps, accountId),
    keyIdsBySlot(deps, accountId),
    deps.table.list(pk, DAY_PREFIX, { between: ['', dayKey(from - 1)], newestFirst: true, limit: 1 }),
    deps.table.list(pk, DAY_PREFIX, { between: [dayKey(from), dayKey(to)] }),
    isTagged ? readTags(deps, accountId, from, to) : new Map(),
  ])
  const ended = [...before, ...within].map(readSnapshot)
  const now = { day: counter.day, used: counter.used, bySlot: usesBySlot(counter.item) }
  // If a change of the day is unfinished, the current day already has a snapshot, whose numbers are too low.
  const snapshots = [...ended.filter(({ day }) => day < now.day), now].filter(({ day }) => day <= to)
  const days = snapshots.flatMap((snapshot, at) => {
    const last = snapshots[at - 1]
    if (snapshot.day < from || snapshot.used === (last?.used ?? 0)) return []
    return [dayUse(snapshot, last, ids, tags.get(snapshot.day))]
  })
  return { used: counter.used, days }
}

function dayUse(
  end: Snapshot,
  start: Snapshot | undefined,
  ids: Map<number, string>,
  tagsBySlot: ReturnType<TagsByDay['get']>,
): DayUse {
  const units = end.used - (start?.used ?? 0)
  const tagged = [...(tagsBySlot ?? [])]
  const keyUse = (id: string | undefined, units: number, isOf: (slot: number) => boolean): KeyDayUse => {
    const tags = splitByTag(
      units,
      tagged.filter(([slot]) => isOf(slot)).map(([, counts]) => counts),
    )
    return { id, units, ...(tags && { tags }) }
  }
  const live = [...ids].map(([slot, id]) =>
    keyUse(id, (end.bySlot[slot] ?? 0) - (start?.bySlot[slot] ?? 0), (each) => each === slot),
  )
  const deletedUnits = units - live.reduce((sum, key) => sum + key.units, 0)
  const deleted = keyUse(undefined, deletedUnits, (slot) => !ids.has(slot))
  return {
    startMs: end.day * DAY_MS,
    units,
    keys: [...live, deleted].filter((key) => key.units > 0),
  }
}

function readSnapshot(item: unknown): Snapshot {
  const { sk, u, c } = z.parse(snapshotSchema, item)
  return { day: Number(sk.slice(DAY_PREFIX.length)), used: u, bySlot: c }
}

function daysOf({ fromMs, toMs }: DayRange, today: number) {
  const given = fromMs === undefined ? undefined : dayOf(fromMs)
  const asked = toMs === undefined ? undefined : dayOf(toMs)
  const to = asked ?? (given === undefined ? today : Math.max(today, given))
  const from = given ?? to - DAYS + 1
  const days = to - from + 1
  const message = `must make a range of 1 to ${MOST_DAYS} days, both ends included`
  if (days < 1 || days > MOST_DAYS)
    throw new DomainError('invalid_request', { fields: [{ field: 'to', message }] })
  return { from, to }
}
