import { hasEnded, sendSettle } from './journal.ts'
import type { Outage } from './outage.ts'
import type {
  Decision,
  JournalEntry,
  Refused,
  Reserved,
  Settled,
  Spender,
  SpenderTools,
  SpendRequest,
} from './spender.ts'
import type { Unserved } from './unserved.ts'
import { BATCH_MOST, balance, type NamedRequest, refusedReservation, sendSpends } from './wire.ts'

/** A request that waits for its group to be sent. */
interface Waiting extends NamedRequest {
  sinceMs: number
  /** Its id is of an earlier request, which has spent it or may still do so. */
  isReused: boolean
  answer(decision: Decision): void
}

/** Requests that may share a batch, in their order. */
interface Lane {
  waiting: Waiting[]
  underWay: number
}

export interface ExactParts {
  /** Requests that come at once share batches. */
  isGrouped: boolean
  outage: Outage
  unserved: Unserved
}

/** Batches under way at once: of one customer one, since two would compete for the customer's counter. */
const MOST_OF_ONE = 1
const MOST_OF_ALL = 8

export const CLOSED: Refused = { allowed: false, status: 503, code: 'meter_closed' }
const UNAVAILABLE: Refused = { allowed: false, status: 503, code: 'unavailable', retryAfterSeconds: 1 }

/**
 * Takes units on the wire for each request, by group commit: the first request of a customer goes at once, and those
 * that come while it is under way share the next batch of up to 100. Each keeps an id of its own, under which it is sent
 * however often, and gets an answer of its own. A batch that is slow holds up nobody longer than the time after which its
 * second try is sent.
 */
export function exactSpender(tools: SpenderTools, parts: ExactParts): Spender {
  const { unserved } = parts
  /** What `close` waits for. */
  const underWay = new Set<Promise<unknown>>()
  let isClosed = false
  function track<T>(work: Promise<T>): Promise<T> {
    underWay.add(work)
    const done = () => void underWay.delete(work)
    work.then(done, done)
    return work
  }

  const lanes = openLanes((group, free) => track(sendGroup(tools, parts, group, free)))
  return {
    spend(request) {
      if (isClosed) return CLOSED
      const isShared = tools.byService
      const name = JSON.stringify([isShared ? '' : request.key, request.requires ?? []])
      const kept = request.requestId === undefined ? unserved.take(request) : undefined
      const id = request.requestId ?? kept ?? tools.newId()
      const sinceMs = tools.clock.nowMs()
      return track(
        new Promise<Decision>((answer) => {
          const waiting = { request, id, isReused: kept !== undefined, sinceMs, answer }
          if (parts.isGrouped) lanes.add(name, waiting, isShared ? MOST_OF_ALL : MOST_OF_ONE)
          else void track(sendGroup(tools, parts, [waiting], () => {}))
        }),
      )
    },
    giveBack(request, { requestId, unavailable }) {
      if (requestId !== undefined) unserved.keep(request, requestId, !unavailable)
    },
    reserve: (request, ttlSeconds) =>
      isClosed
        ? CLOSED
        : track(reserveOnWire({ ...tools, outage: parts.outage, track }, request, ttlSeconds)),
    async close() {
      isClosed = true
      while (underWay.size > 0) await Promise.allSettled(underWay)
    },
  }
}

/** Forms groups. `send` calls `free` when the next group may go, at the latest when its own has been answered. */
function openLanes(send: (group: readonly Waiting[], free: () => void) => unknown) {
  const lanes = new Map<string, Lane>()

  function pump(name: string, lane: Lane, room: number): void {
    const mayGo = () => lane.underWay === 0 || (lane.underWay < room && lane.waiting.length >= BATCH_MOST)
    while (lane.waiting.length > 0 && mayGo()) {
      lane.underWay += 1
      let isFree = false
      send(lane.waiting.splice(0, BATCH_MOST), () => {
        if (isFree) return
        isFree = true
        lane.underWay -= 1
        pump(name, lane, room)
      })
    }
    // Keys come from customers, so a lane must not outlive its requests.
    if (lane.waiting.length === 0 && lane.underWay === 0) lanes.delete(name)
  }

  return {
    add(name: string, waiting: Waiting, room: number): void {
      const lane = lanes.get(name) ?? { waiting: [], underWay: 0 }
      lanes.set(name, lane)
      lane.waiting.push(waiting)
      pump(name, lane, room)
    },
  }
}

async function sendGroup(
  tools: SpenderTools,
  parts: ExactParts,
  group: readonly Waiting[],
  free: () => void,
): Promise<void> {
  const { clock, timeoutMs } = tools
  const nowMs = clock.nowMs()
  const isLate = ({ sinceMs }: Waiting) => sinceMs + timeoutMs <= nowMs
  const sent = group.filter((each) => !isLate(each))
  // Not `sinceMs` alone: a clock that was set back meanwhile would make the group wait for so long.
  const deadlineMs = Math.min(sent[0]?.sinceMs ?? nowMs, nowMs) + timeoutMs
  const decisions = await sendSpends(tools, sent, { deadlineMs, onSlow: free }).catch(() => [])
  free()
  const answers = group.map(async (each) => {
    const decision = decisions[sent.indexOf(each)]
    if (decision === undefined) each.answer(await missed(tools, parts, each, !isLate(each)))
    else each.answer(answered(tools, parts, each, decision))
  })
  await Promise.all(answers)
}

function answered(
  { journal }: SpenderTools,
  { outage, unserved }: ExactParts,
  { request, id, isReused }: Waiting,
  decision: Decision,
): Decision {
  const isOfCustomer = decision.allowed || decision.status !== 503
  if (isOfCustomer) outage.answered(request, decision)
  journal.answered()
  // A refusal spends nothing, but the earlier request with this id has, or may still do so.
  if (!decision.allowed && isReused) unserved.keep(request, id, false)
  return decision
}

/** No answer came: the request passes on account, or is refused and its id kept for the customer's next one. */
async function missed(
  { clock, journal, measure }: SpenderTools,
  { outage, unserved }: ExactParts,
  { request, id, isReused }: Waiting,
  isSent: boolean,
): Promise<Decision> {
  const { key, units, tag, ip } = request
  outage.missed()
  await journal.ready
  if (outage.mayPass(request)) {
    try {
      if (units > 0) await journal.add({ kind: 'spend', id, key, units, tag, ip, atMs: clock.nowMs() })
      measure('allowed_unavailable', units)
      return { allowed: true, unavailable: true, ...(units > 0 && { requestId: id }) }
    } catch {
      // What cannot be journalled cannot be told to Bursar later.
    }
  }
  const isUnknown = (isSent || isReused) && units > 0
  if (isUnknown) unserved.keep(request, id, false)
  return { ...UNAVAILABLE, ...(isUnknown && { unknown: true as const }) }
}

type Reserving = SpenderTools & Pick<ExactParts, 'outage'> & { track<T>(work: Promise<T>): Promise<T> }

async function reserveOnWire(tools: Reserving, request: SpendRequest, ttlSeconds: number): Promise<Reserved> {
  const { clock, outage, journal, timeoutMs } = tools
  const { key, units, requires, ip } = request
  const requestId = request.requestId ?? tools.newId()
  const answer = await tools.call({
    path: '/v1/usage/reservations',
    key,
    ip,
    body: {
      units,
      requestId,
      ttlSeconds,
      ...(requires?.length && { requires }),
    },
    deadlineMs: clock.nowMs() + timeoutMs,
  })
  if (answer === undefined) {
    outage.missed()
    await journal.ready
    // What an unheard reservation holds returns at its expiry; the work is then paid for by a spend.
    if (!outage.mayPass(request)) return UNAVAILABLE
    tools.measure('allowed_unavailable', units)
    const release = outage.hold(units)
    return {
      allowed: true,
      unavailable: true,
      units,
      settle: onlyOnce(unheardSettle(tools, request, release)),
    }
  }
  const isReserved = answer.status === 201 || answer.status === 200
  journal.answered()
  const { id } = answer.body
  if (!isReserved || typeof id !== 'string') {
    const refused = refusedReservation(answer, units)
    if (refused.status !== 503) outage.answered(request, refused)
    return refused
  }
  const allowed = { allowed: true as const, requestId, ...balance(answer.body, answer) }
  outage.answered(request, allowed)
  return { ...allowed, units, settle: onlyOnce((used) => settleOnWire(tools, request, id, used)) }
}

/** Only the first settle counts, and others get its answer. */
function onlyOnce(settle: (units: number) => Promise<Settled>): (units: number) => Promise<Settled> {
  let settled: Promise<Settled> | undefined
  return (units) => {
    settled ??= settle(units)
    return settled
  }
}

/** Ends work that passed while Bursar did not answer. */
function unheardSettle(tools: Reserving, { key, tag, ip }: SpendRequest, release: () => void) {
  return async (units: number): Promise<Settled> => {
    const entry: JournalEntry = {
      kind: 'spend',
      id: tools.newId(),
      key,
      units,
      tag,
      ip,
      atMs: tools.clock.nowMs(),
    }
    if (units > 0) await tools.track(keep(tools, entry))
    release()
    return {}
  }
}

function settleOnWire(
  tools: Reserving,
  { key, tag, ip }: SpendRequest,
  reservationId: string,
  units: number,
): Promise<Settled> {
  const { clock, timeoutMs, journal } = tools
  const atMs = clock.nowMs()
  const id = tools.newId()
  const entry: JournalEntry = { kind: 'settle', id, key, units, tag, ip, reservationId, atMs }
  return tools.track(settleNow())

  async function settleNow(): Promise<Settled> {
    const answer = await sendSettle(tools, entry, atMs + timeoutMs)
    if (answer?.status === 200) {
      const { covered } = answer.body
      return { ...balance(answer.body), ...(typeof covered === 'number' && { covered }) }
    }
    if (answer !== undefined && hasEnded(answer) && units === 0) return { covered: 0 }
    // Unknown, or expired and to be spent: the journal does both, under the same id.
    await keep(tools, entry)
    if (answer !== undefined) journal.answered()
    return {}
  }
}

/** The work is done and its answer may be out, so a store that fails must not fail the request. */
async function keep({ journal, measure }: SpenderTools, entry: JournalEntry): Promise<void> {
  try {
    await journal.add(entry)
  } catch {
    measure('uncollected', entry.units, { code: 'journal_failed' })
  }
}
