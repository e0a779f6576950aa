import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { keys, SPENT_ID_PREFIX, SPENT_IDS_KEPT_MS, spentPrefix, timeKey, ttlAt } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import type { ArchiveState } from './container-cache.ts'
import { type Counter, inRing } from './counter.ts'
import { batchEntry, LAST_TIME, MAC_BYTES, macOf, type RequestId } from './request-id.ts'

/**
 * The archive holds ids that left the ring, in two ways.
 *
 * - Ids that came in the order of their times share items. The key of such an item has its span and the
 *   newest time in it, so an id of time t can only be in items whose newest time lies between t and t plus
 *   the span. The items of a busy account span milliseconds and those of a quiet account hours, so that a
 *   lookup reads few items for both: because new items do not overlap with older ones, about eight of a span.
 * - Every other id has an item of its own (`spentId`): untimed ids, ids older than what the archive already
 *   holds, and ids ahead of the clock.
 */
export const SPANS_MS = [
  64, 512, 4_096, 32_768, 262_144, 2_097_152, 16_777_216, 134_217_728, 1_073_741_824,
] as const

/**
 * How far the time of an id may be ahead of the clock. An id further ahead does not share an archive item,
 * whose newest time would make every id until that time late.
 */
export const AHEAD_MS = 60_000

const ITEM_NONCE_BYTES = 5
const ARCHIVE_PAGE = 200
/** Sorts after every nonce, and after every entry in hex. */
const LAST = '~'
/** Most items of single ids that one Query reads. */
const SINGLES_PAGE = 64

interface ArchiveItem {
  sk: string
  macs: Uint8Array
  /** Absent while the item is valid only together with its batch's entry in the ring. */
  valid?: true
}

const expiry = (deps: Deps) => ttlAt(deps.clock.nowMs() + SPENT_IDS_KEPT_MS)

/** Builds the archive item of timed entries, which must be sorted by time. */
export function archiveItem(
  deps: Deps,
  accountId: string,
  span: number,
  ids: readonly { time: number; bytes: Buffer }[],
  valid: boolean,
): { item: Item; time: number; nonce: string } {
  const time = ids.at(-1)?.time ?? 0
  const nonce = deps.ids.hex(ITEM_NONCE_BYTES)
  const macs = Buffer.concat(ids.map(({ bytes }) => macOf(bytes)))
  const item = { ...keys.spent(accountId, span, time, nonce), macs, ...expiry(deps) }
  return { item: valid ? { ...item, valid } : item, time, nonce }
}

/** The archive item of one entry, with the whole entry in its key. */
export const spentIdItem = (deps: Deps, accountId: string, entry: Buffer): Item => ({
  ...keys.spentId(accountId, entry.toString('hex')),
  ...expiry(deps),
})

/** The position in `SPANS_MS` of the shortest span that covers this many milliseconds. */
export const spanOf = (widthMs: number): number => SPANS_MS.findIndex((spanMs) => spanMs >= widthMs)

/** Whether the archive may hold the id. Otherwise the write's conditions (`freshFence`) prove that it does not. */
export const isArchivable = ({ newestArchived, firstAhead }: ArchiveState, { time }: RequestId): boolean =>
  time <= newestArchived || time >= firstAhead

/** Conditions that hold as long as the archive cannot hold an id between these times. */
export const freshFence = (oldest: number, newest: number): Expression =>
  expr`#m < ${oldest} AND (attribute_not_exists(#e) OR #e > ${newest})`

/** What a lookup found. */
interface Lookup {
  /** The ids that are in the archive. */
  spent: Set<RequestId>
  /** Number of items with many ids that the lookup read. */
  items: number
}

/**
 * Finds which of these ids are in the archive. The counter must have been read before the call: as long
 * as its fence `g` does not change, an id that was not found is not in the archive.
 */
export async function findArchived(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  ids: readonly RequestId[],
): Promise<Lookup> {
  const lookup: Lookup = { spent: new Set(), items: 0 }
  const timed = ids.filter(({ time }) => time > 0).sort((a, b) => a.time - b.time)
  const spans = SPANS_MS.flatMap((spanMs, span) =>
    counter.archiveSpans & spanBit(span) ? [{ spanMs, span }] : [],
  )
  await Promise.all([
    ...ids.filter(({ time }) => time === 0).map((id) => findSingles(deps, accountId, [id], lookup)),
    ...ranges(timed, SPANS_MS[3]).map((range) => findSingles(deps, accountId, range.ids, lookup)),
    ...spans.flatMap(({ spanMs, span }) =>
      ranges(timed, spanMs).map(async (range) => {
        for await (const macs of archiveItems(deps, accountId, counter, span, range)) {
          lookup.items++
          for (const id of range.ids)
            if (id.entries.some((entry) => hasMac(macs, macOf(entry)))) lookup.spent.add(id)
        }
      }),
    ),
  ])
  return lookup
}

/** Finds ids that have an archive item of their own. Several ids must be timed and sorted by time. */
async function findSingles(
  deps: Deps<'table'>,
  accountId: string,
  ids: readonly RequestId[],
  { spent }: Lookup,
): Promise<void> {
  const [first, last] = [ids[0]?.time ?? 0, ids.at(-1)?.time ?? 0]
  const page = ids.length > 1 ? await singlesBetween(deps, accountId, first, last, SINGLES_PAGE) : undefined
  const inPage = new Set(page)
  await Promise.all(
    ids.map(async (id) => {
      const entries = id.entries.map((entry) => entry.toString('hex'))
      const isInPage = entries.some((entry) => inPage.has(entry))
      // A page that is full may lack some of the items.
      const isKnown = isInPage || (page && page.length < SINGLES_PAGE)
      const find = (entry: string) => deps.table.get(keys.spentId(accountId, entry))
      if (isKnown ? isInPage : (await Promise.all(entries.map(find))).some(Boolean)) spent.add(id)
    }),
  )
}

/** The entries, in hex, of ids in these times that have an archive item of their own; the oldest come first. */
async function singlesBetween(
  deps: Deps<'table'>,
  accountId: string,
  from: number,
  to: number,
  limit: number,
): Promise<string[]> {
  const between = [timeKey(from), timeKey(to) + LAST] as const
  const items = await deps.table.list(keys.account(accountId), SPENT_ID_PREFIX, { between, limit })
  return items.map(({ sk }) => String(sk).slice(SPENT_ID_PREFIX.length))
}

/**
 * The time of the oldest id newer than `time` that has an archive item of its own: it was ahead of the clock.
 * Infinity if there is none.
 */
export async function findAhead(deps: Deps<'table'>, accountId: string, time: number): Promise<number> {
  const [entry] = await singlesBetween(deps, accountId, time + 1, LAST_TIME, 1)
  return entry === undefined ? Infinity : Number.parseInt(entry.slice(0, timeKey(0).length), 16)
}

/** The bit for a span that has items, in the counter's `archiveSpans`. */
export const spanBit = (span: number): number => 2 ** span

interface Range {
  from: number
  to: number
  ids: RequestId[]
}

/**
 * Finds the ranges of newest times in which items may hold the ids, and merges overlapping ranges. The ids
 * must be sorted by time.
 */
function ranges(timed: readonly RequestId[], spanMs: number): Range[] {
  const all: Range[] = []
  for (const id of timed) {
    const last = all.at(-1)
    if (last && id.time <= last.to) {
      last.to = id.time + spanMs
      last.ids.push(id)
    } else all.push({ from: id.time, to: id.time + spanMs, ids: [id] })
  }
  return all
}

/** Yields the MACs of each valid item in a range. */
async function* archiveItems(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  span: number,
  { from, to }: Range,
): AsyncGenerator<Buffer> {
  const pk = keys.account(accountId)
  const prefix = spentPrefix(span)
  let after: string | undefined
  do {
    const page = await deps.table.list(pk, prefix, {
      between: [timeKey(from), `${timeKey(to)}#${LAST}`],
      limit: ARCHIVE_PAGE,
      ...(after !== undefined && { after: { pk, sk: after } }),
    })
    const items = page as unknown as ArchiveItem[]
    for (const { sk, macs, valid } of items) if (valid || isCommitted(counter, sk)) yield Buffer.from(macs)
    after = items.length === ARCHIVE_PAGE ? items.at(-1)?.sk : undefined
  } while (after !== undefined)
}

/** Whether the ring has the item's entry, which the write of the item's batch adds. */
function isCommitted(counter: Counter, sk: string): boolean {
  const [, span, time = '', nonce = ''] = sk.split('#')
  return inRing(counter, batchEntry(Number(span), Number.parseInt(time, 16), nonce))
}

/** Whether the MAC is among these MACs, which follow each other without separators. */
function hasMac(macs: Buffer, mac: Buffer): boolean {
  for (let at = macs.indexOf(mac); at >= 0; at = macs.indexOf(mac, at + 1))
    if (at % MAC_BYTES === 0) return true
  return false
}
