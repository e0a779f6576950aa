import type { Balance, LeaseUse, SpenderTools, WireAnswer } from './spender.ts'
import { balance } from './wire.ts'

/** A moment on two clocks. One that is set moves alone, so the larger distance counts. */
export interface Moment {
  wallMs: number
  steadyMs: number
}

/** Units used, by tag. */
type Use = Map<string | undefined, number>

export interface Lease {
  id: string
  /** Units that can still be spent. */
  remaining: number
  /** Units that it had when it was made or renewed. */
  granted: number
  /** When the request was sent that made or renewed the lease. */
  since: Moment
  /** Use that no report has. */
  use: Use
  told: Balance
}

/** A customer of which units may be spent in memory. */
export interface Customer {
  key: string
  lease?: Lease | undefined
  /** What asks Bursar about the lease. */
  busy?: Promise<void> | undefined
  /** Units that were taken and not served, and that no lease has. */
  credit: number
  /** Units that the use of some seconds takes. */
  size: number
  /** What the customer had left when Bursar last told. */
  left?: number | undefined
  /** Spends in the second that began at `windowMs`. */
  spends: number
  windowMs: number
  /** No lease before. */
  exactUntilMs: number
  cancelTimer?: (() => void) | undefined
}

/** What the requests need. */
export interface LeaseDesk {
  tools: SpenderTools
  terms: { units: number; ttlSeconds: number; unreported: 'return' | 'charge' }
  now(): Moment
  /** Milliseconds of a clock that is never set. */
  steadyMs(): number
  isClosed(): boolean
}

/** A lease begins with as many units at most, and with as many at least. */
export const FIRST = 100
const LEAST = 16
/** Use for which a lease is to last. */
const AHEAD_MS = 10_000
/** The part of what a customer has left that one process takes at most. */
const SHARE = 8
/** How long a customer is served exactly after a lease had no use or no units. */
const EXACT_MS = 2_000
const RETRY_MS = 250
/** A tag as Bursar takes it. */
const TAG = /^[!-~]{1,64}$/
/** Most entries of a report. */
const MOST_USE = 100

const distance = (from: Moment, to: Moment): number =>
  Math.max(to.steadyMs - from.steadyMs, to.wallMs - from.wallMs)

/** Units that the next lease should have: no more than a share of what is left, so that others find some too. */
function sizeOf({ terms }: LeaseDesk, { size, left, lease }: Customer): number {
  const share = left === undefined ? 0 : Math.ceil((left + (lease?.remaining ?? 0)) / SHARE)
  return Math.min(size, share, terms.units)
}

/** Whether the customer has too little left for a lease. */
export const isSmall = (desk: LeaseDesk, customer: Customer): boolean => sizeOf(desk, customer) < LEAST

/** Takes a lease. Without one, the customer is served exactly for a while. */
export async function beginLease(desk: LeaseDesk, customer: Customer): Promise<void> {
  const { ttlSeconds, unreported } = desk.terms
  const since = desk.now()
  const body = { units: sizeOf(desk, customer), ttlSeconds, unreported, requestId: desk.tools.newId() }
  const answer = await ask(desk, '/v1/usage/leases', customer, body, since)
  if (answer?.status === 201) open(desk, customer, answer, since, new Map())
  else serveExactly(desk, customer, answer?.retryAfterSeconds)
}

/**
 * Reports the use of a lease and keeps it with new units. It is spent while the answer is under way: it asks for at least
 * as many units as remain, and has at least as many then, as report and renewal are one step.
 * @param needed units that a request waits for
 */
export async function renewLease(desk: LeaseDesk, customer: Customer, needed: number): Promise<void> {
  const { lease } = customer
  if (lease === undefined) return
  const { id, use, since: before } = lease
  adapt(desk, customer, lease)
  const size = sizeOf(desk, customer)
  // The last units are spent exactly, so that no process keeps them from another one.
  if (size < LEAST && needed <= lease.remaining) return endLease(desk, customer)
  lease.use = new Map()
  const since = desk.now()
  const units = Math.max(size, needed, lease.remaining)
  const { ttlSeconds } = desk.terms
  const body = { use: entriesOf(use), units, ttlSeconds, requestId: desk.tools.newId() }
  const answer = await ask(desk, `/v1/usage/leases/${id}/renew`, customer, body, before)
  if (answer?.status === 200) {
    noteCovered(desk, answer, total(use))
    open(desk, customer, answer, since, lease.use)
    // The lease had expired before its report came, so what was spent since belongs to none.
    if (customer.lease === undefined) await reportSpends(desk, customer.key, lease.use)
    return
  }
  customer.lease = undefined
  serveExactly(desk, customer)
  for (const [tag, more] of use) lease.use.set(tag, (lease.use.get(tag) ?? 0) + more)
  // If the renewal did take effect, this report is refused, and the units are never counted twice.
  await reportLater(desk, customer.key, id, lease.use, desk.tools.newId())
}

/** Returns a lease. It is not spent while the answer is under way. */
export async function endLease(desk: LeaseDesk, customer: Customer): Promise<void> {
  const { lease, key } = customer
  if (lease === undefined) return
  customer.lease = undefined
  serveExactly(desk, customer)
  const { call, clock, newId, timeoutMs } = desk.tools
  const requestId = newId()
  const body = { use: entriesOf(lease.use), requestId }
  const deadlineMs = clock.nowMs() + timeoutMs
  const answer = await call({ path: `/v1/usage/leases/${lease.id}/return`, key, body, deadlineMs })
  if (answer?.status !== 200) return reportLater(desk, key, lease.id, lease.use, requestId)
  noteCovered(desk, answer, total(lease.use))
  if (typeof answer.body.left === 'number') customer.left = answer.body.left
}

/** Sends the same request until it is answered, or the lease must have expired. */
async function ask(
  { tools, terms, now, isClosed }: LeaseDesk,
  path: string,
  { key }: Customer,
  body: object,
  since: Moment,
): Promise<WireAnswer | undefined> {
  const { call, clock, timeoutMs } = tools
  for (;;) {
    const deadlineMs = clock.nowMs() + timeoutMs
    const answer = await call({ path, key, body, deadlineMs })
    // A 429 is about the frequency of calls. It leaves the lease as it is.
    if (answer !== undefined && answer.status !== 429) return answer
    if (isClosed() || distance(since, now()) >= terms.ttlSeconds * 1000) return undefined
    await new Promise<void>((resolve) => void clock.after(RETRY_MS, resolve))
  }
}

/** Follows the use since the lease was made or renewed. */
function adapt({ now, terms }: LeaseDesk, customer: Customer, { granted, remaining, since }: Lease): void {
  const elapsedMs = Math.max(1, distance(since, now()))
  const wanted = Math.ceil(((granted - remaining) * AHEAD_MS) / elapsedMs)
  customer.size = Math.max(FIRST, Math.min(wanted, customer.size * 8, terms.units))
}

function serveExactly({ tools }: LeaseDesk, customer: Customer, retryAfterSeconds = 0): void {
  const ms = Math.max(EXACT_MS, Math.min(retryAfterSeconds * 1000, 5 * EXACT_MS))
  customer.exactUntilMs = tools.clock.nowMs() + ms
}

function open(desk: LeaseDesk, customer: Customer, { body }: WireAnswer, since: Moment, use: Use): void {
  const granted = Number(body.units)
  const told = balance(body)
  customer.left = told.left
  const lease = { id: String(body.id), granted, remaining: granted - total(use), since, use, told }
  customer.lease = granted > 0 ? lease : undefined
  if (granted === 0) serveExactly(desk, customer)
}

/** What Bursar did not cover was served, and nobody pays for it. */
function noteCovered({ tools }: LeaseDesk, { body }: WireAnswer, units: number): void {
  const covered = typeof body.covered === 'number' ? body.covered : 0
  if (covered < units) tools.measure('uncollected', units - covered, { code: 'lease' })
}

/** Reports through the journal, whose entry outlives this request, and this process if its store does. */
async function reportLater(
  { tools }: LeaseDesk,
  key: string,
  leaseId: string,
  use: Use,
  id: string,
): Promise<void> {
  const units = total(use)
  const entry = { kind: 'return' as const, id, key, units, leaseId, use: entriesOf(use) }
  await tools.journal
    .add({ ...entry, atMs: tools.clock.nowMs() })
    .catch(() => tools.measure('uncollected', units, { code: 'journal_failed' }))
}

/** Use that belongs to no lease is spent under ids of its own, as far as units are left. */
async function reportSpends({ tools }: LeaseDesk, key: string, use: Use): Promise<void> {
  const { journal, clock, newId, measure } = tools
  for (const [tag, units] of use) {
    if (units === 0) continue
    const entry = { kind: 'spend' as const, id: newId(), key, units, tag, atMs: clock.nowMs() }
    await journal.add(entry).catch(() => measure('uncollected', units, { code: 'journal_failed' }))
  }
}

const total = (use: Use): number => [...use.values()].reduce((sum, units) => sum + units, 0)

/** The entries of a report. A tag that Bursar would not take, or that is one too many, must not hold the report up. */
function entriesOf(use: Use): LeaseUse[] {
  const entries: LeaseUse[] = []
  let untagged = 0
  for (const [tag, units] of use) {
    const isShown = tag !== undefined && TAG.test(tag) && entries.length < MOST_USE - 1
    if (isShown && units > 0) entries.push({ tag, units })
    if (!isShown) untagged += units
  }
  return untagged > 0 ? [...entries, { units: untagged }] : entries
}
