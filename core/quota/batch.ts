import { DomainError } from '../errors.ts'
import { type Expression, expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { archiveItem, findArchived, isArchivable, SPANS_MS } from './archive.ts'
import type { Use } from './consume.ts'
import {
  balanceOf,
  type Counter,
  inRing,
  parseCounter,
  readCounter,
  requireAdmitted,
  spendUpdate,
} from './counter.ts'
import { changeDay } from './day-snapshot.ts'
import { evictIfFull } from './evict.ts'
import { type KeyCaller, type QuotaDeps, readKeyCaller } from './key-caller.ts'
import { dayOf } from './quota.ts'
import { batchEntry, idTimeAt, type RequestId, requestIdOf } from './request-id.ts'

export interface BatchRequest {
  units: number
  requestId?: string | undefined
}

/** Outcome of one request: `exhausted` if the request asks for more units than are left. */
interface BatchOutcome extends Use {
  outcome: 'spent' | 'exhausted'
}

export interface BatchAnswer extends BatchOutcome {
  requestId?: string
}

/** Tries of one write: concurrent batches with late ids make each other's conditions fail. */
const BATCH_ATTEMPTS = 40
/** Longest pause before a further try. */
const BATCH_PAUSE_MS = 25

/** Most ids that one write adds to the ring. */
const RING_GROUP = 24
/**
 * How far an id's time may be ahead of our clock. An id further ahead is kept out of archive items, where its
 * time would make every id until that time late.
 */
const AHEAD_MS = 60_000
/** Least number of ids that are worth an archive item of their own. */
const ARCHIVE_LEAST = 4

/** A request of the batch. Requests with the same id share one. */
interface DistinctRequest {
  units: number
  id: RequestId | undefined
  answer?: BatchOutcome
}

/** Requests whose units one write spends. */
interface Group {
  asks: DistinctRequest[]
  ids: RequestId[]
  /** Whether the ids go into an archive item instead of the ring. */
  archive: boolean
}

/**
 * Spends units for many requests as if they came one after the other: a request that exceeds the balance is
 * refused, and a later request that fits is not. Many time-ordered ids share one archive item, which becomes
 * valid when the spending write adds the item's entry to the ring. If a batch is interrupted before that
 * write, the item is ignored.
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`, `temporarily_unavailable`
 */
export async function consumeBatch(
  deps: QuotaDeps,
  key: string,
  requests: readonly BatchRequest[],
): Promise<BatchAnswer[]> {
  const caller = await readKeyCaller(deps, key)
  const byEntry = new Map<string, DistinctRequest>()
  const asked = requests.map(({ units, requestId }): DistinctRequest => {
    if (requestId === undefined) return { units, id: undefined }
    const id = requestIdOf(deps, caller.accountId, requestId)
    const ask = byEntry.get(id.entry.toString('hex')) ?? { units, id }
    byEntry.set(id.entry.toString('hex'), ask)
    return ask
  })
  await answerAll(deps, caller, [...new Set(asked)])
  return requests.map(({ requestId }, at) => batchAnswer(requestId, asked[at]))
}

function batchAnswer(requestId: string | undefined, ask: DistinctRequest | undefined): BatchAnswer {
  if (!ask?.answer) throw new DomainError('temporarily_unavailable')
  return { ...(requestId !== undefined && { requestId }), ...ask.answer }
}

async function answerAll(
  deps: QuotaDeps,
  caller: KeyCaller,
  asks: readonly DistinctRequest[],
): Promise<void> {
  let counter = await readCounter(deps, caller.accountId)
  let staged: Staged | undefined
  for (let tries = 0; tries < BATCH_ATTEMPTS; ) {
    if (tries > 0) await deps.clock.wait(Math.random() * BATCH_PAUSE_MS)
    const fitting = await fittingRequests(
      deps,
      caller,
      asks.filter(({ answer }) => !answer),
      counter,
    )
    if (fitting.length === 0) return
    const today = dayOf(deps.clock.nowMs())
    if (counter.day < today) {
      counter = await changeDay(deps, caller.accountId, counter, today)
      tries++
      continue
    }
    const group = nextGroup(fitting, idTimeAt(deps.clock.nowMs()))
    try {
      if (group.archive && !isStaged(staged, group))
        staged = await stageArchiveItem(deps, caller.accountId, group)
      counter = await commitGroup(deps, caller, group, group.archive ? staged : undefined, counter)
      answerGroup(group, counter)
      tries = 0
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = parseCounter(error.failed.get(0))
      tries++
      continue
    }
    await evictIfFull(deps, caller.accountId, counter, group.archive ? 1 : group.ids.length)
  }
}

/**
 * Answers the requests that need no write: spent ids, and requests that exceed the balance.
 * @returns the other requests, whose units are still to be spent.
 */
async function fittingRequests(
  deps: QuotaDeps,
  caller: KeyCaller,
  open: readonly DistinctRequest[],
  counter: Counter,
): Promise<DistinctRequest[]> {
  requireAdmitted(counter, caller)
  const late = open.flatMap(({ id }) =>
    id && !inRing(counter, id.entry) && isArchivable(counter, id) ? [id] : [],
  )
  const archived =
    late.length > 0 ? await findArchived(deps, caller.accountId, counter, late) : new Set<RequestId>()
  const now = { left: balanceOf(counter), used: counter.used }
  const fitting: DistinctRequest[] = []
  for (const ask of open) {
    if (ask.id && (archived.has(ask.id) || inRing(counter, ask.id.entry)))
      ask.answer = { outcome: 'spent', ...now }
    else if (ask.units > now.left) ask.answer = { outcome: 'exhausted', ...now }
    else {
      fitting.push(ask)
      now.left -= ask.units
      now.used += ask.units
    }
  }
  return fitting
}

/**
 * Chooses requests for the next write: all without an id, and either the ids close in time or some others.
 */
function nextGroup(fitting: DistinctRequest[], nowTime: number): Group {
  const without = fitting.filter(({ id }) => !id)
  const withId = fitting.flatMap((ask) => (ask.id ? [{ ask, id: ask.id }] : []))
  const dated = withId.filter(({ id }) => id.time > 0 && id.time <= nowTime + AHEAD_MS)
  const newest = Math.max(0, ...dated.map(({ id }) => id.time))
  const close = dated.filter(({ id }) => id.time >= newest - SPANS_MS[0])
  const archive = close.length >= ARCHIVE_LEAST
  const chosen = archive ? close : withId.slice(0, RING_GROUP)
  const ids = chosen.map(({ id }) => id).sort((a, b) => a.time - b.time)
  // Keep the requests' order, because their answers count the balance down in this order.
  const members = new Set([...without, ...chosen.map(({ ask }) => ask)])
  return { asks: fitting.filter((ask) => members.has(ask)), ids, archive }
}

/** An archive item that is stored but not valid yet. */
interface Staged {
  ids: RequestId[]
  entry: Buffer
}

const isStaged = (staged: Staged | undefined, { ids }: Group): staged is Staged =>
  staged?.ids.length === ids.length && staged.ids.every((id, at) => id === ids[at])

async function stageArchiveItem(deps: QuotaDeps, accountId: string, group: Group): Promise<Staged> {
  const { ids } = group
  const entries = ids.map(({ time, entry }) => ({ time, bytes: entry }))
  const { item, time, nonce } = archiveItem(deps, accountId, 0, entries, false)
  try {
    await deps.table.put(item, expr`attribute_not_exists(pk)`)
    return { ids, entry: batchEntry(time, nonce) }
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // The key is taken, by this item if the reply was lost or by another item with the same nonce. A new
    // nonce helps in both cases.
    return stageArchiveItem(deps, accountId, group)
  }
}

/**
 * Spends the units of a group. For ids newer than everything archived, the condition on `m` checks that they
 * still are. Older ids were looked up in the archive, and the condition on `g` checks that the lookup is
 * still valid: `g` grows whenever ids are archived, except by a batch whose ids are all newer than `m`.
 */
async function commitGroup(
  deps: QuotaDeps,
  caller: KeyCaller,
  { asks, ids }: Group,
  staged: Staged | undefined,
  seen: Counter,
): Promise<Counter> {
  const nowMs = deps.clock.nowMs()
  const late = ids.filter((id) => isArchivable(seen, id))
  const oldestFresh = ids.find((id) => !isArchivable(seen, id))
  const newest = ids.at(-1)
  const fence: Expression[] = []
  const sets: Expression[] = []
  if (oldestFresh) fence.push(expr`#m < ${oldestFresh.time}`)
  if (late.length > 0) fence.push(expr`#g = ${seen.fence}`)
  if (staged && oldestFresh && newest) sets.push(expr`#m = ${newest.time}`)
  if (staged && late.length > 0) sets.push(expr`#g = #g + ${1}`)
  const { set, condition } = spendUpdate({
    caller,
    units: asks.reduce((sum, { units }) => sum + units, 0),
    today: dayOf(nowMs),
    ids: ids.map(({ entry }) => entry),
    entries: staged ? [staged.entry] : ids.map(({ entry }) => entry),
    fence,
    sets,
    seen,
    nowMs,
  })
  return parseCounter(
    await deps.table.update(keys.quota(caller.accountId), set, condition, {
      once: asks.some(({ id }) => !id),
    }),
  )
}

/** Answers each request of a committed group with the balance and use after that request. */
function answerGroup({ asks }: Group, after: Counter): void {
  const units = asks.reduce((sum, ask) => sum + ask.units, 0)
  let left = balanceOf(after) + units
  let used = after.used - units
  for (const ask of asks) {
    left -= ask.units
    used += ask.units
    ask.answer = { outcome: 'spent', left, used }
  }
}
