import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
import { KEPT_MS, keys, spentPrefix, timeKey, ttlAt } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { type Counter, inRing } from './counter.ts'
import { batchEntry, macOf, type RequestId } from './request-id.ts'

/**
 * Ids that left the ring. Timed ones stand many in one item, under the newest time among them, so that an id of time t
 * is found in the items whose newest time lies between t and t plus what an item of their kind spans at most. Kinds
 * differ in that span alone: a busy account's items span seconds, a quiet one's hours, and neither pays for the other.
 */
export const SPANS_MS = [10_000, 160_000, 2_560_000, 40_960_000, 655_360_000] as const

const ARCHIVED_MAC_BYTES = 5
const ITEM_NONCE_BYTES = 4
const ARCHIVE_PAGE = 200
/** Sorts behind every nonce. */
const LAST = '#~'

const archiveSchema = z.object({
  sk: z.string(),
  macs: z.instanceof(Uint8Array),
  /** Absent while only an entry in the ring says that the item counts. */
  valid: z.optional(z.literal(true)),
})

const expiry = (deps: Deps) => ttlAt(deps.clock.nowMs() + KEPT_MS.spentIds)

/** An archive item of timed entries, which are in the order of their times. */
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

/** The item of an entry that no time leads to. */
export const spentIdItem = (deps: Deps, accountId: string, entry: Buffer): Item => ({
  ...keys.spentId(accountId, entry.toString('hex')),
  ...expiry(deps),
})

/** Whether only the archive can say that the id was spent. */
export const isArchivable = (
  { newestArchived }: Pick<Counter, 'newestArchived'>,
  { time }: RequestId,
): boolean => time <= newestArchived

/**
 * Which of these late ids are in the archive. The counter must have been read before: with the same fence `g` it is
 * then certain of each that is not found that it was not archived.
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
          for (const id of range.ids) if (holds(macs, macOf(id.entry))) found.add(id)
        }
      }),
    ),
  ])
  return found
}

/** Items of the shortest span may always be there; of the others the counter knows. */
const hasSpan = ({ archiveSpans }: Counter, span: number): boolean =>
  span === 0 || (archiveSpans & spanBit(span)) !== 0

/** How the counter notes that there are items of a span. */
export const spanBit = (span: number): number => (span === 0 ? 0 : 2 ** (span - 1))

interface Range {
  from: number
  to: number
  ids: RequestId[]
}

/** Where ids, in the order of their times, can stand: ranges that touch are one. */
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

/** The MACs of each item in a range that counts. */
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
    const items = page.map((item) => z.parse(archiveSchema, item))
    for (const { sk, macs, valid } of items) if (valid || counts(counter, sk)) yield Buffer.from(macs)
    after = items.length === ARCHIVE_PAGE ? items.at(-1)?.sk : undefined
  } while (after !== undefined)
}

/** Whether a batch that put the item was committed, as far as the ring tells. */
function counts(counter: Counter, sk: string): boolean {
  const [, , time = '', nonce = ''] = sk.split('#')
  return inRing(counter, batchEntry(Number.parseInt(time, 16), nonce))
}

function holds(macs: Buffer, mac: Buffer): boolean {
  for (let at = macs.indexOf(mac); at >= 0; at = macs.indexOf(mac, at + 1))
    if (at % ARCHIVED_MAC_BYTES === 0) return true
  return false
}
