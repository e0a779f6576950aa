import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
import { additionsOf, countWrites } from '../reports/count-event.ts'
import { eachDue, type Run } from '../table/due.ts'
import { expr, unchangedSince } from '../table/expression.ts'
import {
  accountIdIn,
  eventNumbersKey,
  keys,
  OUT_EVENT_PREFIX,
  PUBLISHED_EVENT_KEPT_MS,
  ttlAt,
} from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { writeUnlessDone } from '../table/write-all.ts'
import { deliveryOf, wants } from './deliveries.ts'
import { type EventEndpoint, readEndpoints } from './endpoints.ts'
import { envelopeOf, parseEvent, type StoredEvent } from './stored-event.ts'

/** How many events of an account have a number, and the numbers of those that may not be published yet. */
const numbersSchema = z.object({
  last: z._default(z.number(), 0),
  /** By sort key. */
  waiting: z._default(z.record(z.string(), z.number()), {}),
})

type Numbers = z.infer<typeof numbersSchema>

/** What a run did. */
export interface PublishedEvents {
  published: number
  /** Accounts whose events failed; they stay due. */
  failed: number
  /** What the events that were published add to the totals of their days, if anything. */
  added?: Record<string, number>
}

/**
 * Puts the events that are due on the bus, those of an account one after another in the order of their numbers. An
 * event that fails holds back the later ones of its account, and no other account. Each comes at least once, always
 * with the same id and number. Two runs at once are safe.
 */
export async function publishEvents(deps: Deps<'table' | 'events'>, run: Run): Promise<PublishedEvents> {
  const begun = new Set<string>()
  // Read once a run, and only if something is due.
  let endpoints: Promise<EventEndpoint[]> | undefined
  let published = 0
  const added: Record<string, number> = {}
  const count = (event: StoredEvent) => {
    published++
    for (const [name, value] of Object.entries(additionsOf(event)))
      added[name] = (added[name] ?? 0) + (value ?? 0)
  }
  const { failed } = await eachDue(deps, 'EVENT', run, async (key) => {
    const accountId = accountIdIn(key)
    // The first due event of an account stands for all of them.
    if (begun.has(accountId)) return false
    begun.add(accountId)
    for (let isMore = true; isMore && deps.clock.nowMs() < run.untilMs; ) {
      endpoints ??= readEndpoints(deps)
      const done = await publishSome(deps, accountId, key.sk, await endpoints, count)
      isMore = done === 'more'
    }
    return true
  })
  return { published, failed, ...(Object.keys(added).length > 0 && { added }) }
}

/** Events of one account that get their numbers in one write. */
const NUMBERED_AT_ONCE = 50

/** Publishes the next events of an account. @returns whether there may be more. */
async function publishSome(
  deps: Deps<'table' | 'events'>,
  accountId: string,
  dueSk: string,
  endpoints: readonly EventEndpoint[],
  count: (event: StoredEvent) => void,
): Promise<'more' | 'none'> {
  const numbers = z.parse(numbersSchema, (await deps.table.get(eventNumbersKey(accountId))) ?? {})
  const found = await waitingEvents(deps, accountId, [dueSk, ...Object.keys(numbers.waiting)])
  if (found.length === 0) return 'none'
  const numbered = await numberEvents(deps, accountId, numbers, found)
  // A concurrent run numbers them.
  if (!numbered) return 'none'
  for (const { event, sequence } of numbered) {
    await deps.events.publish(event.type, { ...envelopeOf(event, sequence) })
    await markPublished(deps, event, sequence, endpoints)
    count(event)
  }
  return found.length > numbered.length ? 'more' : 'none'
}

/**
 * Events that are not published, in the order of their times. They are read from the earliest key on, because the
 * index may not show the newest ones yet.
 */
async function waitingEvents(
  deps: Deps<'table'>,
  accountId: string,
  known: readonly string[],
): Promise<StoredEvent[]> {
  const [first = ''] = known.toSorted()
  const from = first.slice(OUT_EVENT_PREFIX.length)
  const items = await deps.table.list(keys.account(accountId), OUT_EVENT_PREFIX, { between: [from, '~'] })
  return items.map(parseEvent).filter(({ due }) => due !== undefined)
}

/**
 * Gives events their numbers, which are stored before the first of them is published, so that no run changes them. Those
 * that an earlier run has numbered come first, and alone.
 * @returns the events in the order of their numbers; undefined if a concurrent run was first.
 */
async function numberEvents(
  deps: Deps<'table'>,
  accountId: string,
  { last, waiting }: Numbers,
  events: readonly StoredEvent[],
): Promise<{ event: StoredEvent; sequence: number }[] | undefined> {
  const earlier = events.flatMap((event) => {
    const sequence = waiting[event.sk]
    return sequence === undefined ? [] : [{ event, sequence }]
  })
  if (earlier.length > 0) return earlier.sort((a, b) => a.sequence - b.sequence)
  const fresh = events.slice(0, NUMBERED_AT_ONCE)
  const numbered = fresh.map((event, at) => ({ event, sequence: last + at + 1 }))
  const numbers = Object.fromEntries(numbered.map(({ event, sequence }) => [event.sk, sequence]))
  const set = expr`SET #last = ${last + numbered.length}, #waiting = ${numbers}`
  try {
    await deps.table.update(
      eventNumbersKey(accountId),
      set,
      unchangedSince({ last: last || undefined }, ['last']),
    )
    return numbered
  } catch (error) {
    ignoreRefusal(error)
    return undefined
  }
}

/**
 * The event is kept for a replay, and is not due any more; the endpoints that want it get it, and the totals count it.
 */
async function markPublished(
  deps: Deps<'table'>,
  event: StoredEvent,
  sequence: number,
  endpoints: readonly EventEndpoint[],
): Promise<void> {
  const { pk, sk, type } = event
  const nowMs = deps.clock.nowMs()
  const { ttl } = ttlAt(nowMs + PUBLISHED_EVENT_KEPT_MS)
  const set = expr`SET #sequence = ${sequence}, #publishedAtMs = ${nowMs}, #ttl = ${ttl} REMOVE #due, #dueAtMs`
  await writeUnlessDone(deps, [
    { update: { pk, sk }, set, if: expr`attribute_exists(#due)` },
    ...endpoints.filter((each) => wants(each, type)).map((each) => deliveryOf(deps, each, event)),
    ...(await countWrites(deps, event)),
  ])
}
