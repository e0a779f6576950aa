import type { Deps } from '../ports.ts'
import { keys, SPENT_IDS_KEPT_MS, spentPrefix, timeKey, ttlAt } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { type Counter, inRing } from './counter.ts'
import { batchEntry, macOf, type RequestId } from './request-id.ts'

/**
 * Longest spans of archive items, ms. The archive holds ids that left the ring. One item holds many timed
 * ids, and its key has the newest time among them. An id of time t can therefore only be in items whose
 * newest time lies between t and t plus the item's span. Items of a busy account span seconds and items of a
 * quiet account hours, so that a lookup reads few items for both.
 */
export const SPANS_MS = [10_000, 160_000, 2_560_000, 40_960_000, 655_360_000] as const

const ARCHIVED_MAC_BYTES = 5
const ITEM_NONCE_BYTES = 4
const ARCHIVE_PAGE = 200
/** Sorts after every nonce. */
const LAST = '#~'

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

/** The archive item of one untimed entry, with the whole entry in its key. */
export const spentIdItem = (deps: Deps, accountId: string, entry: Buffer): Item => ({
  ...keys.spentId(accountId, entry.toString('hex')),
  ...expiry(deps),
})

/** Whether the id is late: not newer than everything archived, so that it may be in the archive. */
export const isArchivable = (
  { newestArchived }: Pick<Counter, 'newestArchived'>,
  { time }: RequestId,
): boolean => time <= newestArchived

/**
 * Finds which of these late ids are in the archive. The counter must have been read before the call: as long
 * as its fence `g` does not change, an id that was not found is not in the archive.
 */
export async function findArchived(
  deps: Deps<'table'>,
  accountId: string,
  counter: Counter,
  ids: readonly RequestId[],
): Promise<Set<RequestId>> {
  const found = new Set<RequestId>()
  const timed = ids.filter(({ time }) => time > 0).sort((a, b) => a.time - b.time)
  const spans = SPANS_MS.flatMap((spanMs, span) => (hasSpan(counter, span) ? [{ spanMs, span }] : []))
  await Promise.all([
    ...ids
      .filter(({ time }) => time === 0)
      .map(async (id) => {
        const key = keys.spentId(accountId, id.entry.toString('hex'))
        if (await deps.table.get(key)) found.add(id)
      }),
    ...spans.flatMap(({ spanMs, span }) =>
      ranges(timed, spanMs).map(async (range) => {
        for await (const macs of archiveItems(deps, accountId, counter, span, range)) {
          for (const id of range.ids) if (hasMac(macs, macOf(id.entry))) found.add(id)
        }
      }),
    ),
  ])
  return found
}

/** Whether items of a span may exist. The counter has a bit for every span but the shortest. */
const hasSpan = ({ archiveSpans }: Counter, span: number): boolean =>
  span === 0 || (archiveSpans & spanBit(span)) !== 0

/** The counter's bit for a span that has items. The shortest span has no bit. */
export const spanBit = (span: number): number => (span === 0 ? 0 : 2 ** (span - 1))

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
      between: [timeKey(from), timeKey(to) + LAST],
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
  const [, , time = '', nonce = ''] = sk.split('#')
  return inRing(counter, batchEntry(Number.parseInt(time, 16), nonce))
}

/** Whether the MAC is among these MACs, which follow each other without separators. */
function hasMac(macs: Buffer, mac: Buffer): boolean {
  for (let at = macs.indexOf(mac); at >= 0; at = macs.indexOf(mac, at + 1))
    if (at % ARCHIVED_MAC_BYTES === 0) return true
  return false
}
