import { DomainError, type RateStanding } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { ConditionFailed } from '../table/table.ts'
import {
  guessAllowance,
  limitError,
  limitedLately,
  readAllowance,
  rememberStanding,
  seenAllowance,
} from './allowance.ts'
import { findArchived, freshFence, isArchivable } from './archive.ts'
import { type ArchiveState, cacheEntry, cacheOf, type Refused, rememberArchive } from './container-cache.ts'
import { admitKey, balanceOf, type Counter, hasId, parseCounter, readCounter, spendUnits } from './counter.ts'
import { changeDay } from './day-snapshot.ts'
import { evictIfFull, makeRoom } from './evict.ts'
import {
  callerId,
  forKey,
  type KeyCaller,
  type KeyOrAccount,
  type QuotaDeps,
  type Spender,
} from './key-caller.ts'
import { type Allowance, keyLeftOf, limitRefusal, rateStanding } from './key-limits.ts'
import { dayOf } from './quota.ts'
import { noteRefusal, quotaExhausted, refusedBy } from './refusal.ts'
import { type RequestId, requestIdOf } from './request-id.ts'
import { countTags, leaveUntagged, type TaggedUse } from './tags.ts'

/** Current numbers of units left and units used over all keys. */
export interface Use {
  left: number
  used: number
  /** Units that the key may still use in the period of its budget; undefined without one. */
  keyLeft: number | undefined
  /** Set if the key has a rate limit. */
  rate?: RateStanding
  /** Set if an earlier request with the same id has spent its units, so this request has spent none. */
  replayed?: true
}

/**
 * Tries of one consume. After a lost race, the next try starts from the counter that made the condition fail.
 */
export const CONSUME_ATTEMPTS = 20
/** Number of tries that start without a pause. */
const PATIENCE = 2
/** Longest pause before the first try that waits; the limit grows by this much with every further try. */
const CONSUME_PAUSE_MS = 10

/** How long a container remembers that a key's account was exhausted, and for how many keys. */
const REFUSED_MS = 1000
const REFUSALS = 1000

/** A request to spend units, 0 for a check. */
export interface ConsumeRequest extends TaggedUse {
  requestId?: string | undefined
}

/** What an answer says of a counter. */
export function useOf(counter: Counter, allowance: Allowance): Use {
  const rate = rateStanding(allowance)
  return {
    left: balanceOf(counter),
    used: counter.used,
    keyLeft: keyLeftOf(allowance),
    ...(rate && { rate }),
  }
}

/** Waits for a random time before a later try, so that competing requests do not retry together. */
export async function pauseBetween(deps: Deps, tries: number): Promise<void> {
  if (tries >= PATIENCE) await deps.clock.wait(Math.random() * CONSUME_PAUSE_MS * (tries - 1))
}

/**
 * Spends units, usually in one write, and only once per request id however often the request is repeated. A
 * retry of a spent id gets the current numbers, whatever units the retry asks for. 0 units are a check: it reads
 * the counter, and spends and records nothing.
 *
 * The cost is bounded whatever ids come, on average over a thousand requests and with everything that they
 * cause: time-ordered ids of now take 1.1 write units and no read, and all other ids take 2.1 write units and
 * 16 read units at most, usually 2 or 3. Requests that lose a race take another write unit. In a batch an id
 * takes no more, and time-ordered ids of now take 0.05 write units. A tag takes another write unit (`tags.ts`). A
 * key with limits takes no more writes, unless containers that share it overtake each other where its bucket gets full
 * (`takeWithin`); eight keys with all limits shorten the ring (`ringMost`), so that time-ordered ids take 1.15.
 * @throws DomainError `unauthorized`, `account_deactivated`, `account_suspended`; `quota_exhausted`,
 *   `key_budget_exhausted`, `rate_limited`, `over_burst`, which spend and record nothing; `temporarily_unavailable`
 */
export const consumeUnits = (
  deps: QuotaDeps,
  key: KeyOrAccount,
  request: ConsumeRequest,
): Promise<Use & Spender> => forKey(deps, key, (caller) => spendOrCheck(deps, caller, request))

/** @param seen the counter as read after the request came, if it was read. @throws DomainError as `consumeUnits` */
export async function spendOrCheck(
  deps: QuotaDeps,
  found: KeyCaller,
  { units, requestId, tag }: ConsumeRequest,
  seen?: Counter,
): Promise<Use> {
  let caller = found
  const id = requestId === undefined ? undefined : requestIdOf(deps, caller.accountId, requestId)
  const guess = guessAllowance(deps, caller)
  const refused = limitedLately(deps, caller, guess, units) ?? refusedLately(deps, caller, units)
  if (refused && !id) throw refused
  // The id may be spent already, so read the counter before a remembered refusal is answered. An id that the
  // archive may hold needs the counter for its lookup in any case.
  const archive = cacheOf(deps.table).archives.get(caller.accountId) ?? NOTHING_ARCHIVED
  const reads = units === 0 || (id && (refused || isArchivable(archive, id)))
  const unread = !seen && !reads && guess && !limitRefusal(guess, units) && unreadStep(id, guess)
  let counter = seen ?? (unread ? undefined : await readCounter(deps, caller.accountId))
  // Once the reply of our own write is lost, the id in the ring may be the trace of that write.
  let inDoubt = false
  for (let tries = 0; tries < CONSUME_ATTEMPTS; tries++) {
    await pauseBetween(deps, tries)
    if (counter) caller = await admitKey(deps, counter, caller, inDoubt)
    const step = counter ? await decideConsume(deps, caller, units, id, counter) : unread
    if (!step) {
      counter = await readCounter(deps, caller.accountId)
      continue
    }
    if ('known' in step) {
      if (inDoubt) leaveUntagged(deps, caller.accountId, [{ tag, units }])
      return { ...useOf(step.known, step.allowance), ...(step.replayed && !inDoubt && { replayed: true }) }
    }
    if ('moved' in step) {
      counter = step.moved
      continue
    }
    const { fence } = cacheOf(deps.table).archives.get(caller.accountId) ?? NOTHING_ARCHIVED
    if (counter && step.late && fence > counter.fence) {
      // An eviction changed the fence meanwhile. The write would fail and still cost a write unit.
      counter = await readCounter(deps, caller.accountId)
      continue
    }
    try {
      const after = await writeSpend(deps, caller, units, id, step, counter)
      rememberStanding(deps, caller, after)
      if (id) await evictIfFull(deps, caller.accountId, after, id.entries.length)
      await countTags(deps, caller, after, [{ tag, units }])
      return useOf(after, seenAllowance(caller, after, step.allowance))
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      counter = parseCounter(error.failed.get(0))
      inDoubt ||= error.inDoubt
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** What is assumed of an archive of which the container knows nothing. */
const NOTHING_ARCHIVED: ArchiveState = { fence: 0, newestArchived: 0, firstAhead: Infinity }

/** The condition under which the archive cannot hold an id that is newer than everything in it. */
export const fenceOf = (id: RequestId | undefined): Expression[] => (id ? [freshFence(id.time, id.time)] : [])

async function writeSpend(
  deps: QuotaDeps,
  caller: KeyCaller,
  units: number,
  id: RequestId | undefined,
  { fence, allowance }: WriteStep,
  seen: Counter | undefined,
): Promise<Counter> {
  const nowMs = deps.clock.nowMs()
  const entries = id?.entries ?? []
  const ringMost = cacheOf(deps.table).ringMosts.get(caller.accountId)
  const spending = { caller, allowance, units, ids: entries, entries, fence, seen, ringMost, nowMs }
  return spendUnits(deps, { ...spending, today: dayOf(nowMs) }, !id)
}

/** A write that can be tried. */
interface WriteStep {
  fence: Expression[]
  /** Whether the fence is that of an id that was looked up in the archive. */
  late: boolean
  allowance: Allowance
}

/** The write without a look at the counter. */
const unreadStep = (id: RequestId | undefined, allowance: Allowance): WriteStep => ({
  fence: fenceOf(id),
  late: false,
  allowance,
})

/** Decides what to do with a counter just read. If several refusals apply, the first in this order wins. */
async function decideConsume(
  deps: QuotaDeps,
  caller: KeyCaller,
  units: number,
  id: RequestId | undefined,
  counter: Counter,
): Promise<{ known: Counter; allowance: Allowance; replayed: boolean } | { moved: Counter } | WriteStep> {
  const allowance = await readAllowance(deps, caller, counter)
  rememberStanding(deps, caller, counter)
  if (id && hasId(counter, id)) return { known: counter, allowance, replayed: true }
  const late = id && isArchivable(counter, id)
  if (late) {
    rememberArchive(deps, caller.accountId, counter)
    const { spent } = await findArchived(deps, caller.accountId, counter, [id])
    if (spent.size > 0) return { known: counter, allowance, replayed: true }
  }
  if (units === 0) return { known: counter, allowance, replayed: false }
  // First, so that a request that the key may not make calls for no renewal.
  const limited = limitError(deps, allowance, units, useOf(counter, allowance))
  if (limited) throw limited
  if (units > balanceOf(counter)) {
    await noteRefusal(deps, caller.accountId, counter, units)
    throw rememberRefusal(deps, caller, units, refusedBy(counter, allowance))
  }
  const today = dayOf(deps.clock.nowMs())
  if (counter.day < today) return { moved: await changeDay(deps, caller.accountId, counter, today) }
  const roomy = id && (await makeRoom(deps, caller.accountId, counter, id.entries.length))
  if (roomy) return { moved: roomy }
  return late
    ? { fence: [expr`#g = ${counter.fence}`], late, allowance }
    : { fence: fenceOf(id), late: false, allowance }
}

function refusedLately(deps: QuotaDeps, caller: KeyCaller, units: number): DomainError | undefined {
  const { refusals } = cacheOf(deps.table)
  const refusal = refusals.get(callerId(caller))
  const nowMs = deps.clock.nowMs()
  // A clock that is set back must not prolong the refusal.
  const holds = refusal && nowMs < refusal.untilMs && nowMs >= refusal.untilMs - REFUSED_MS
  return holds && units > refusal.above ? quotaExhausted(units, refusal.refused) : undefined
}

/**
 * Remembers a refusal for a second. While only a request that no renewal can serve was refused, smaller
 * requests still reach the counter, where their refusal calls for a renewal.
 */
function rememberRefusal(deps: QuotaDeps, caller: KeyCaller, units: number, refused: Refused): DomainError {
  const above = Math.max(refused.left, units > refused.servable ? refused.servable : 0)
  const untilMs = deps.clock.nowMs() + REFUSED_MS
  cacheEntry(cacheOf(deps.table).refusals, callerId(caller), { above, refused, untilMs }, REFUSALS)
  return quotaExhausted(units, refused)
}
