import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
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
import { type Item, ignoreRefusal } from '../table/table.ts'

/** An event as `announce` stores it, and the publisher numbers it. */
const storedEventSchema = z.object({
  pk: z.string(),
  sk: z.string(),
  id: z.string(),
  /** A text, because events outlive the types that the code knows. */
  type: z.string(),
  version: z.number(),
  atMs: z.number(),
  data: z.record(z.string(), z.unknown()),
  /** Set once the event is published. */
  sequence: z.optional(z.number()),
  publishedAtMs: z.optional(z.number()),
  due: z.optional(z.string()),
})

export type StoredEvent = z.infer<typeof storedEventSchema>

/** Reads a stored event. @throws Error if the item is not an event. */
export const parseEvent = (item: Item): StoredEvent => z.parse(storedEventSchema, item)

/** An event as other systems receive it. */
export interface Envelope {
  /** The same in every repeat of the event. */
  id: string
  type: string
  version: number
  /** Numbers the events of an account, from 1 on without a gap. */
  sequence: number
  accountId: string
  /** When it happened, epoch ms. */
  atMs: number
  data: Record<string, unknown>
}

/** The event as other systems receive it under this number. */
export const envelopeOf = (event: StoredEvent, sequence: number): Envelope => {
  const { id, type, version, atMs, data } = event
  return { id, type, version, sequence, accountId: accountIdIn(event), atMs, data }
}

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
}

/**
 * Puts the events that are due on the bus, those of an account one after another in the order of their numbers. An
 * event that fails holds back the later ones of its account, and no other account. Each comes at least once, always
 * with the same id and number. Two runs at once are safe.
 */
export async function publishEvents(deps: Deps<'table' | 'events'>, run: Run): Promise<PublishedEvents> {
  const begun = new Set<string>()
  let published = 0
  const { failed } = await eachDue(deps, 'EVENT', run, async (key) => {
    const accountId = accountIdIn(key)
    // The first due event of an account stands for all of them.
    if (begun.has(accountId)) return false
    begun.add(accountId)
    for (let isMore = true; isMore && deps.clock.nowMs() < run.untilMs; ) {
      const done = await publishSome(deps, accountId, key.sk, () => published++)
      isMore = done === 'more'
    }
    return true
  })
  return { published, failed }
}

/** Events of one account that get their numbers in one write. */
const NUMBERED_AT_ONCE = 50

/** Publishes the next events of an account. @returns whether there may be more. */
async function publishSome(
  deps: Deps<'table' | 'events'>,
  accountId: string,
  dueSk: string,
  count: () => void,
): Promise<'more' | 'none'> {
  const numbers = z.parse(numbersSchema, (await deps.table.get(eventNumbersKey(accountId))) ?? {})
  const found = await waitingEvents(deps, accountId, [dueSk, ...Object.keys(numbers.waiting)])
  if (found.length === 0) return 'none'
  const numbered = await numberEvents(deps, accountId, numbers, found)
  // A concurrent run numbers them.
  if (!numbered) return 'none'
  for (const { event, sequence } of numbered) {
    await deps.events.publish(event.type, { ...envelopeOf(event, sequence) })
    await markPublished(deps, event, sequence)
    count()
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

/** The event is kept for a replay, and is not due any more. */
async function markPublished(deps: Deps<'table'>, { pk, sk }: StoredEvent, sequence: number): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const { ttl } = ttlAt(nowMs + PUBLISHED_EVENT_KEPT_MS)
  const set = expr`SET #sequence = ${sequence}, #publishedAtMs = ${nowMs}, #ttl = ${ttl} REMOVE #due, #dueAtMs`
  await deps.table.update({ pk, sk }, set, expr`attribute_exists(#due)`).catch(ignoreRefusal)
}
