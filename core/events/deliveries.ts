import { createHmac } from 'node:crypto'
import * as z from 'zod/mini'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type WatchfulRun, type Worked } from '../table/due.ts'
import { expr, setRemove } from '../table/expression.ts'
import {
  DELIVERY_PREFIX,
  dueAt,
  eventDeliveryKey,
  eventDeliveryPartition,
  eventEndpointKey,
  type Key,
  msKey,
  PUBLISHED_EVENT_KEPT_MS,
  ttlAt,
} from '../table/keys.ts'
import { leaseDue } from '../table/lease.ts'
import { readPage } from '../table/page.ts'
import { type Item, ignoreRefusal, type Write } from '../table/table.ts'
import { cursorOf, positionOf } from '../table/time-cursor.ts'
import { writeAll } from '../table/write-all.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../time.ts'
import { type EventEndpoint, readEndpoint, secretsOf } from './endpoints.ts'
import { envelopeOf, NO_ACCOUNT, parseEvent, type StoredEvent } from './stored-event.ts'

type DeliverDeps = Deps<'table' | 'keyring' | 'hooks'>

const deliverySchema = z.object({
  pk: z.string(),
  sk: z.string(),
  endpointId: z.string(),
  /** The event's key and id, and what its list shows of it. */
  event: z.object({ pk: z.string(), sk: z.string() }),
  eventId: z.string(),
  type: z.string(),
  /** `waiting` for its next try, `delivered`, `failed` after three days, or `held` while its endpoint is disabled. */
  state: z.enum(['waiting', 'delivered', 'failed', 'held']),
  /** When its tries began, epoch ms; a replay begins again. */
  beganAtMs: z.number(),
  tries: z.number(),
  lastTriedAtMs: z.optional(z.number()),
  /** What came of the last try: a status of HTTP, or why there was none. */
  lastResult: z.optional(z.string()),
})

/** An event on its way to one endpoint. */
export type Delivery = z.infer<typeof deliverySchema>

/** Reads a stored delivery. @throws Error if the item is not a delivery. */
export const parseDelivery = (item: Item): Delivery => z.parse(deliverySchema, item)

/** Whether an endpoint gets events of a type. */
export const wants = ({ types }: EventEndpoint, type: string): boolean =>
  types.length === 0 || types.includes(type)

/** The write that sends an event to an endpoint. For one that is disabled it is held, for a replay. */
export function deliveryOf(deps: Deps, { id, enabled }: EventEndpoint, event: StoredEvent): Write {
  const { pk, sk, id: eventId, type, atMs } = event
  const nowMs = deps.clock.nowMs()
  const delivery: Omit<Delivery, 'pk' | 'sk'> = {
    ...{
      endpointId: id,
      event: { pk, sk },
      eventId,
      type,
      state: enabled ? 'waiting' : 'held',
      beganAtMs: nowMs,
      tries: 0,
    },
  }
  return {
    put: {
      ...eventDeliveryKey(id, atMs, eventId),
      ...delivery,
      ...(enabled && dueAt('DELIVERY', id, nowMs)),
      ...ttlAt(nowMs + PUBLISHED_EVENT_KEPT_MS),
    },
  }
}

/** Tries go on for three days, with growing waits: about 20 in all. */
const TRIED_MS = 3 * DAY_MS
const FIRST_WAIT_MS = MINUTE_MS / 2
const LONGEST_PAUSE_MS = 6 * HOUR_MS

/** An endpoint to which nothing got for this long is disabled. */
const FAILING_MS = 3 * DAY_MS

/** Waits of the tries double, and differ by up to a half, so that an endpoint that is back is not overrun. */
function waitAfter(deps: Deps, tries: number): number {
  const wait = Math.min(FIRST_WAIT_MS * 2 ** Math.min(tries, 20), LONGEST_PAUSE_MS)
  return Math.ceil(wait * (1 - Number.parseInt(deps.ids.hex(2), 16) / 0xffff / 2))
}

/** How long a run has a delivery to itself: longer than its request may take. */
const DELIVERY_LEASE_MS = MINUTE_MS

/**
 * Sends the deliveries that are due, each until its endpoint answers 2xx, at most for three days. An endpoint may get an
 * event more than once, always with the same id.
 * @returns how many have arrived, and how many could not be worked on and stay due
 */
export const deliverEvents = (deps: DeliverDeps, run: WatchfulRun): Promise<Worked> =>
  eachDue(deps, 'DELIVERY', run, async (key) => {
    const item = await leaseDue(deps, key, DELIVERY_LEASE_MS)
    if (!item) return false
    const delivery = parseDelivery(item)
    const endpoint = await readEndpoint(deps, delivery.endpointId)
    const event = await deps.table.get(delivery.event)
    if (!endpoint || !event) return end(deps, delivery, 'failed', 'gone')
    if (!endpoint.enabled) return end(deps, delivery, 'held', 'endpoint disabled')
    return tryDelivery(deps, delivery, endpoint, parseEvent(event), run)
  })

async function tryDelivery(
  deps: DeliverDeps,
  delivery: Delivery,
  endpoint: EventEndpoint,
  event: StoredEvent,
  run: WatchfulRun,
): Promise<boolean> {
  const body = JSON.stringify(envelopeOf(event, event.sequence ?? 0))
  const result = await sendSigned(deps, endpoint, event.id, body)
  if (hasArrived(result)) {
    if (endpoint.failingSinceMs !== undefined)
      await deps.table
        .update(eventEndpointKey(endpoint.id), expr`REMOVE #failingSinceMs`, expr`#enabled = ${true}`)
        .catch(ignoreRefusal)
    return end(deps, delivery, 'delivered', result)
  }
  await noteFailure(deps, endpoint, run)
  const nowMs = deps.clock.nowMs()
  if (nowMs >= delivery.beganAtMs + TRIED_MS) return end(deps, delivery, 'failed', result)
  const again = nowMs + waitAfter(deps, delivery.tries)
  const tried = expr`SET #tries = ${delivery.tries + 1}, #lastTriedAtMs = ${nowMs}, #lastResult = ${result}, #dueAtMs = ${again}`
  await deps.table.update(keyOf(delivery), tried, stillWaits(delivery)).catch(ignoreRefusal)
  return false
}

const keyOf = ({ pk, sk }: Delivery): Key => ({ pk, sk })

/** A replay begins the delivery again while it is under way. */
const stillWaits = ({ beganAtMs }: Delivery) => expr`#state = ${'waiting'} AND #beganAtMs = ${beganAtMs}`

/** Ends the tries. @returns whether the event has arrived. */
async function end(
  deps: DeliverDeps,
  delivery: Delivery,
  state: 'delivered' | 'failed' | 'held',
  result: string,
): Promise<boolean> {
  const nowMs = deps.clock.nowMs()
  const set = setRemove(
    [
      expr`#state = ${state}, #tries = ${delivery.tries + 1}, #lastTriedAtMs = ${nowMs}, #lastResult = ${result}`,
    ],
    [expr`#due, #dueAtMs`],
  )
  await deps.table.update(keyOf(delivery), set, stillWaits(delivery)).catch(ignoreRefusal)
  return state === 'delivered'
}

/** Notes since when nothing gets to an endpoint, and disables it after days of that. */
async function noteFailure(
  deps: DeliverDeps,
  { id, url, failingSinceMs, revision }: EventEndpoint,
  run: WatchfulRun,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const key = eventEndpointKey(id)
  if (failingSinceMs === undefined) {
    const since = expr`SET #failingSinceMs = ${nowMs}`
    await deps.table
      .update(key, since, expr`attribute_exists(pk) AND attribute_not_exists(#failingSinceMs)`)
      .catch(ignoreRefusal)
    return
  }
  if (nowMs < failingSinceMs + FAILING_MS) return
  await deps.table
    .transact([
      {
        update: key,
        set: expr`SET #enabled = ${false}, #disabledAtMs = ${nowMs}, #revision = ${revision + 1}`,
        if: expr`#enabled = ${true} AND #failingSinceMs = ${failingSinceMs}`,
      },
      ...auditWrites(deps, {
        action: 'endpoint.disabled',
        reason: 'nothing has arrived for three days',
        after: { endpoint: id },
      }),
    ])
    .then(() =>
      run.alarm(
        `event endpoint ${id} (${new URL(url).host}): nothing has arrived for three days, so it is disabled. Repair it, enable it, and replay its events of the last 30 days.`,
      ),
    )
    .catch(ignoreRefusal)
}

/**
 * Sends a body with the headers of Standard Webhooks (https://www.standardwebhooks.com): the id stays in every try, and
 * each secret that is live has a signature of its own.
 * @returns as `Hooks.send`; `no secret` if none is left, and then nothing is sent
 */
async function sendSigned(
  deps: Deps<'table' | 'keyring' | 'hooks'>,
  endpoint: EventEndpoint,
  id: string,
  body: string,
): Promise<string> {
  const secrets = secretsOf(deps, endpoint)
  if (secrets.length === 0) return 'no secret'
  const timestamp = String(Math.floor(deps.clock.nowMs() / 1000))
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
  })
  const headers = {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  }
  return deps.hooks.send(endpoint.url, headers, body)
}

/** Most deliveries that one replay begins again. */
const MOST_REPLAYED = 1000
const PUT_AT_ONCE = 100

/**
 * Sends the events of a time span to an endpoint again, or one of them, whatever became of them before.
 * @param span when the events happened, epoch ms, both included
 * @returns how many, and `nextMs` if there are more: then begin again with it as `sinceMs`
 * @throws DomainError `not_found` without such an endpoint, `conflict` while it is disabled, `invalid_request` for a span
 *   that ends before it begins
 */
export async function replayEvents(
  deps: Deps<'table'>,
  id: string,
  span: { sinceMs: number; untilMs: number; eventId?: string | undefined },
  reason: string,
): Promise<{ replayed: number; nextMs: number | undefined }> {
  if (span.untilMs < span.sinceMs) {
    const message = 'must not be before `since`; left out, it is now'
    throw new DomainError('invalid_request', { fields: [{ field: 'until', message }] })
  }
  const endpoint = await readEndpoint(deps, id)
  if (!endpoint) throw new DomainError('not_found')
  if (!endpoint.enabled)
    throw new DomainError('conflict', { detail: 'The endpoint is disabled. Enable it first.' })
  const between = [msKey(span.sinceMs), `${msKey(span.untilMs)}~`] as const
  const found = await deps.table.list(eventDeliveryPartition(id), DELIVERY_PREFIX, {
    between,
    limit: MOST_REPLAYED,
  })
  const chosen = found.map(parseDelivery).filter(({ eventId }) => (span.eventId ?? eventId) === eventId)
  const nowMs = deps.clock.nowMs()
  const again = chosen.map((delivery) => ({
    ...{ ...delivery, state: 'waiting', beganAtMs: nowMs, tries: 0 },
    ...dueAt('DELIVERY', id, nowMs),
    ...ttlAt(nowMs + PUBLISHED_EVENT_KEPT_MS),
  }))
  const after = { endpoint: id, events: again.length }
  await writeAll(deps, auditWrites(deps, { action: 'operator.events_replayed', reason, after }))
  for (let at = 0; at < again.length; at += PUT_AT_ONCE)
    await deps.table.putAll(again.slice(at, at + PUT_AT_ONCE))
  const last = found.length === MOST_REPLAYED ? found.at(-1) : undefined
  return { replayed: again.length, nextMs: last && happenedAtMs(last) }
}

/** When the event of a delivery happened, epoch ms. */
const happenedAtMs = ({ sk }: Item): number => Number(String(sk).split('#')[1])

/**
 * One page of what was sent to an endpoint, the newest event first.
 * @param page.cursor `next` of the page before; undefined for the first page.
 * @returns `next` is undefined on the last page.
 * @throws DomainError `not_found` without such an endpoint
 */
export async function listDeliveries(
  deps: Deps<'table'>,
  id: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ deliveries: (Delivery & { atMs: number })[]; next: string | undefined }> {
  if (!(await readEndpoint(deps, id))) throw new DomainError('not_found')
  const { atMs, id: eventId } = positionOf(cursor ?? '')
  const after = cursor === undefined ? undefined : eventDeliveryKey(id, atMs, eventId)
  const page = { limit, after, newestFirst: true }
  const { items, last } = await readPage(deps, eventDeliveryPartition(id), DELIVERY_PREFIX, page, (item) => ({
    ...parseDelivery(item),
    atMs: happenedAtMs(item),
  }))
  return { deliveries: items, next: last && cursorOf({ atMs: last.atMs, id: last.eventId }) }
}

/**
 * Sends an event of the type `endpoint.tested` to an endpoint, once, and notes nothing of what came of it but in the audit
 * log.
 * @returns the HTTP status of the answer, or why there was none
 * @throws DomainError `not_found` without such an endpoint
 */
export async function testEndpoint(
  deps: DeliverDeps,
  id: string,
  reason: string,
): Promise<{ delivered: boolean; result: string }> {
  const endpoint = await readEndpoint(deps, id)
  if (!endpoint) throw new DomainError('not_found')
  const eventId = deps.ids.uuid()
  const about = { type: 'endpoint.tested', version: 1, sequence: 0, accountId: NO_ACCOUNT }
  const body = JSON.stringify({ id: eventId, ...about, atMs: deps.clock.nowMs(), data: { endpoint: id } })
  const result = await sendSigned(deps, endpoint, eventId, body)
  const after = { endpoint: id, result }
  await writeAll(deps, auditWrites(deps, { action: 'operator.endpoint_tested', reason, after }))
  return { delivered: hasArrived(result), result }
}

/** Whether an endpoint has answered 2xx. */
const hasArrived = (result: string): boolean => /^2\d\d$/.test(result)
