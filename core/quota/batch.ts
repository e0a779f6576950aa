import { DomainError, type RateStanding } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { ConditionFailed } from '../table/table.ts'
import { limitAnswer, readAllowance, rememberStanding, seenAllowance } from './allowance.ts'
import { findArchived, isArchivable } from './archive.ts'
import { commitGroup, type StagedItem, stageGroup } from './batch-commit.ts'
import { type BatchAnswer, type DistinctRequest, type Group, nextGroup } from './batch-group.ts'
import { admitKey, balanceOf, type Counter, hasId, parseCounter, readCounter } from './counter.ts'
import { changeDay } from './day-snapshot.ts'
import { evictIfFull, makeRoom } from './evict.ts'
import { forKey, type KeyCaller, type KeyOrAccount, type QuotaDeps, type Spender } from './key-caller.ts'
import { type Allowance, allowanceAfter, keyLeftOf, limitRefusal, rateStanding } from './key-limits.ts'
import { dayOf } from './quota.ts'
import { noteRefusal, oversizeDetail, servable } from './refusal.ts'
import { idTimeAt, type RequestId, type RequestName, requestIdOf } from './request-id.ts'
import { countTags, leaveUntagged, type TaggedUse } from './tags.ts'

export interface BatchRequest extends TaggedUse {
  requestId?: RequestName | undefined
}

/** Tries of one write: concurrent batches with late ids make each other's conditions fail. */
const BATCH_ATTEMPTS = 40
/** Longest pause before a further try. */
const BATCH_PAUSE_MS = 25
/**
 * Number of archive items around the ids of a batch from which on the batch adds no further item for ids that
 * are not newer than all others. So a lookup never reads many more items than this.
 */
const CROWD = 100

/**
 * Spends units for many requests as if they came one after the other: a request that exceeds the balance is
 * refused, and a later request that fits is not; the limits of the key refuse each request alike. The cost of an id is at most that of a consume of its own.
 * @returns the answers in the order of the requests
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`, `temporarily_unavailable`
 */
export const consumeBatch = (
  deps: QuotaDeps,
  key: KeyOrAccount,
  requests: readonly BatchRequest[],
): Promise<Spender & { answers: BatchAnswer[]; rate?: RateStanding }> =>
  forKey(deps, key, (caller) => consumeEach(deps, caller, requests))

async function consumeEach(
  deps: QuotaDeps,
  caller: KeyCaller,
  requests: readonly BatchRequest[],
): Promise<{ answers: BatchAnswer[]; rate?: RateStanding }> {
  const { answers, rate, failure } = await answerEach(deps, caller, requests)
  if (failure !== undefined) {
    // A refusal says that nothing was spent, but the writes before it may have spent for others of the requests.
    const hasSpent = answers.some((answer) => answer?.outcome === 'spent' && !answer.replayed)
    throw hasSpent && failure instanceof DomainError ? new DomainError('temporarily_unavailable') : failure
  }
  return {
    answers: answers.map((answer) => {
      if (!answer) throw new DomainError('temporarily_unavailable')
      return answer
    }),
    ...(rate && { rate }),
  }
}

/**
 * @returns the answers in the order of the requests; those that have none failed, for `failure` if that is known. And
 *   where the key stands with its rate afterwards, if it has one.
 */
export async function answerEach(
  deps: QuotaDeps,
  caller: KeyCaller,
  requests: readonly BatchRequest[],
): Promise<{ answers: (BatchAnswer | undefined)[]; rate: RateStanding | undefined; failure: unknown }> {
  const byEntry = new Map<string, DistinctRequest>()
  const asked = requests.map(({ units, tag, requestId }): DistinctRequest => {
    if (requestId === undefined) return { units, tag, id: undefined }
    const id = requestIdOf(deps, caller.accountId, requestId)
    const entry = id.entries[0].toString('hex')
    const request = byEntry.get(entry) ?? { units, tag, id }
    byEntry.set(entry, request)
    return request
  })
  let failure: unknown
  const allowance = await answerAll(deps, caller, [...new Set(asked)]).catch((error) => {
    failure = error
    return undefined
  })
  const answers = asked.map((request, at): BatchAnswer | undefined => {
    const { answer } = request
    if (!answer) return undefined
    // Of requests with the same id, only the first can have spent units.
    const isFirst = asked.indexOf(request) === at
    return isFirst || answer.outcome !== 'spent' ? answer : { ...answer, replayed: true }
  })
  return { answers, rate: allowance && rateStanding(allowance), failure }
}

/**
 * Answers the requests group by group, one write each, until all have an answer or the tries are used up.
 * @returns what the key may spend afterwards
 */
async function answerAll(
  deps: QuotaDeps,
  found: KeyCaller,
  requests: readonly DistinctRequest[],
): Promise<Allowance> {
  let caller = found
  const { accountId } = caller
  let counter = await readCounter(deps, accountId)
  let staged: StagedItem | undefined
  const absence: Absence = { fence: counter.fence, ids: new Set(), items: 0 }
  for (let tries = 0; tries < BATCH_ATTEMPTS; tries++) {
    if (tries > 0) await deps.clock.wait(Math.random() * BATCH_PAUSE_MS)
    const open = requests.filter(({ answer }) => !answer)
    const inDoubt = open.some((request) => request.inDoubt)
    caller = await admitKey(deps, counter, caller, inDoubt)
    const spent = await findSpent(deps, caller.accountId, open, counter, absence)
    const allowance = await readAllowance(deps, caller, counter)
    const fitting = answerWithoutWrite(deps, open, counter, spent, allowance)
    leaveUntagged(
      deps,
      accountId,
      open.filter(({ answer, inDoubt }) => inDoubt && answer?.outcome === 'spent'),
    )
    if (fitting.length === 0) {
      await noteRefusals(deps, accountId, requests, counter)
      return allowance
    }
    const nowMs = deps.clock.nowMs()
    const group = nextGroup(fitting, counter, idTimeAt(nowMs), absence.items >= CROWD)
    const moved =
      counter.day < dayOf(nowMs)
        ? await changeDay(deps, accountId, counter, dayOf(nowMs))
        : await makeRoom(deps, accountId, counter, entryCount(group))
    if (moved) {
      counter = moved
      continue
    }
    try {
      staged = await stageGroup(deps, accountId, group, staged)
      counter = await commitGroup(deps, caller, group, staged, counter, allowance)
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = parseCounter(error.failed.get(0))
      if (error.inDoubt) for (const request of group.requests) request.inDoubt = true
      continue
    }
    rememberStanding(deps, caller, counter)
    answerGroup(group, counter, seenAllowance(caller, counter, allowance))
    await evictIfFull(deps, accountId, counter, entryCount(group))
    await countTags(deps, caller, counter, group.requests)
    tries = -1
  }
  throw new DomainError('temporarily_unavailable')
}

/** Number of entries that the write of a group adds to the ring. */
const entryCount = ({ ids, span }: Group): number =>
  span === undefined ? ids.reduce((sum, { entries }) => sum + entries.length, 0) : 1

/** What is known of the archive as long as the counter's fence does not change. */
interface Absence {
  fence: number
  /** Ids that are not in the archive. */
  ids: Set<RequestId>
  /** The most archive items that a lookup has read. */
  items: number
}

/** Finds the ids that the archive holds, without a lookup of those that it is known not to hold. */
async function findSpent(
  deps: QuotaDeps,
  accountId: string,
  open: readonly DistinctRequest[],
  counter: Counter,
  absence: Absence,
): Promise<Set<RequestId>> {
  if (absence.fence !== counter.fence) absence.ids.clear()
  absence.fence = counter.fence
  const late = open.flatMap(({ id }) =>
    id && isArchivable(counter, id) && !absence.ids.has(id) && !hasId(counter, id) ? [id] : [],
  )
  const { spent, items } = await findArchived(deps, accountId, counter, late)
  for (const id of late) if (!spent.has(id)) absence.ids.add(id)
  absence.items = Math.max(absence.items, items)
  return spent
}

/**
 * Answers the requests that need no write: spent ids, and requests that exceed the balance or a limit of the key.
 * @returns the other requests, whose units are still to be spent
 */
function answerWithoutWrite(
  deps: Deps,
  open: readonly DistinctRequest[],
  counter: Counter,
  spent: ReadonlySet<RequestId>,
  allowance: Allowance,
): DistinctRequest[] {
  const now = { left: balanceOf(counter), used: counter.used, keyLeft: keyLeftOf(allowance) }
  let allowed = allowance
  const fitting: DistinctRequest[] = []
  for (const request of open) {
    const { id, units, inDoubt } = request
    if (id && (spent.has(id) || hasId(counter, id)))
      request.answer = { outcome: 'spent', ...now, ...(!inDoubt && { replayed: true }) }
    else if (units === 0) request.answer = { outcome: 'spent', ...now }
    else if (limitRefusal(allowed, units)) request.answer = { ...limitAnswer(deps, allowed, units), ...now }
    else if (units > now.left) {
      const detail = oversizeDetail(units, servable(counter))
      request.answer = { outcome: 'exhausted', ...now, needed: units, detail }
    } else {
      fitting.push(request)
      allowed = allowanceAfter(allowed, units)
      now.left -= units
      now.used += units
      now.keyLeft = keyLeftOf(allowed)
    }
  }
  return fitting
}

/** Notes the smallest of the requests that were refused and that the balance still cannot serve. */
async function noteRefusals(
  deps: QuotaDeps,
  accountId: string,
  requests: readonly DistinctRequest[],
  counter: Counter,
): Promise<void> {
  const [least] = requests
    .filter(({ answer, units }) => answer?.outcome === 'exhausted' && units > balanceOf(counter))
    .sort((a, b) => a.units - b.units)
  if (least) await noteRefusal(deps, accountId, counter, least.units)
}

/** Answers each request of a committed group with the balance and use after that request. */
function answerGroup({ requests }: Group, after: Counter, allowance: Allowance): void {
  const total = requests.reduce((sum, { units }) => sum + units, 0)
  let left = balanceOf(after) + total
  let used = after.used - total
  let taken = allowance.taken - total
  for (const request of requests) {
    left -= request.units
    used += request.units
    taken += request.units
    request.answer = { outcome: 'spent', left, used, keyLeft: keyLeftOf({ ...allowance, taken }) }
  }
}
