import { DomainError } from '../errors.ts'
import type { KeyBudget } from '../keys/settings.ts'
import type { Deps } from '../ports.ts'
import { cacheEntry, cacheOf } from './container-cache.ts'
import { balanceOf, type Counter } from './counter.ts'
import { readEarlierDay } from './day-snapshot.ts'
import { callerId, type KeyCaller } from './key-caller.ts'
import {
  type Allowance,
  keyLeftOf,
  type LimitRefusal,
  limitRefusal,
  microsecondsAt,
  periodEndMs,
  periodStart,
  rateStanding,
  waitSeconds,
} from './key-limits.ts'
import { dayOf, keyArrivalAttribute, keyTakenAttribute, keyUseAttribute } from './quota.ts'

/** How long a container refuses by what it has seen of a key, and how many keys it remembers. */
const REFUSED_MS = 1000
const STANDINGS = 10_000

/** A key and its limits. */
type LimitedKey = Pick<KeyCaller, 'accountId' | 'slot' | 'limits'>

/** Of a key without limits. */
export const UNLIMITED: Allowance = {
  limits: {},
  ceiling: Infinity,
  taken: 0,
  periodEndMs: undefined,
  arrivalUs: 0,
  nowUs: 0,
}

const isLimited = ({ limits }: LimitedKey): boolean => Boolean(limits.budget || limits.rate)

/**
 * What the key may spend, according to a counter that was just read. A budget by day or month takes one read, once in
 * a period and container.
 */
export async function readAllowance(
  deps: Deps<'table'>,
  caller: LimitedKey,
  counter: Counter,
): Promise<Allowance> {
  if (!isLimited(caller)) return UNLIMITED
  const { budget } = caller.limits
  const day = Math.max(counter.day, dayOf(deps.clock.nowMs()))
  const base = budget ? await readBase(deps, caller, budget, counter, day) : 0
  return seenAllowance(caller, counter, allowanceOn(deps, caller, base, day))
}

/** The allowance as a later counter of the same period says it. */
export const seenAllowance = ({ slot }: LimitedKey, { item }: Counter, allowance: Allowance): Allowance => ({
  ...allowance,
  taken: Number(item[keyTakenAttribute(slot)] ?? 0),
  arrivalUs: Number(item[keyArrivalAttribute(slot)] ?? 0),
})

function allowanceOn(deps: Deps, { limits }: LimitedKey, base: number, day: number): Allowance {
  const { budget } = limits
  return {
    ...UNLIMITED,
    limits,
    ceiling: budget ? base + budget.units : Infinity,
    periodEndMs: budget && periodEndMs(budget, day),
    nowUs: microsecondsAt(deps.clock.nowMs()),
  }
}

const baseName = ({ accountId, slot }: LimitedKey, start: number): string => `${accountId}/${slot}/${start}`

/** Units that the key had used before the period that a day is in. */
async function readBase(
  deps: Deps<'table'>,
  caller: LimitedKey,
  budget: KeyBudget,
  counter: Counter,
  day: number,
): Promise<number> {
  const start = periodStart(budget, day)
  if (start === undefined) return 0
  // Nothing was used in the period yet, and the snapshot of the days before it is not complete.
  if (counter.day < start) return Number(counter.item[keyUseAttribute(caller.slot)] ?? 0)
  const { bases } = cacheOf(deps.table)
  const name = baseName(caller, start)
  const known = bases.get(name)
  if (known !== undefined) return known
  const snapshot = await readEarlierDay(deps, caller.accountId, start)
  const base = Number((snapshot?.c as Record<string, number> | undefined)?.[caller.slot] ?? 0)
  cacheEntry(bases, name, base, STANDINGS)
  return base
}

/**
 * What the key may probably spend, without a look at the counter: by the last one that this container has seen. The
 * write that relies on it fails where the key has taken more meanwhile.
 * @returns undefined if the container knows too little for such a write
 */
export function guessAllowance(deps: Deps<'table'>, caller: KeyCaller): Allowance | undefined {
  if (!isLimited(caller)) return UNLIMITED
  const { bases, standings } = cacheOf(deps.table)
  const { budget } = caller.limits
  const standing = standings.get(callerId(caller))
  const day = Math.max(standing?.day ?? 0, dayOf(deps.clock.nowMs()))
  const start = budget && periodStart(budget, day)
  const base = start === undefined ? 0 : bases.get(baseName(caller, start))
  if (base === undefined) return undefined
  const { taken = 0, arrivalUs = 0 } = standing ?? {}
  return { ...allowanceOn(deps, caller, base, day), taken, arrivalUs }
}

/** Remembers what a counter says of the key, for guesses. */
export function rememberStanding(deps: Deps<'table'>, caller: KeyCaller, counter: Counter): void {
  if (!isLimited(caller)) return
  const { taken, arrivalUs } = seenAllowance(caller, counter, UNLIMITED)
  const { day, used } = counter
  const standing = { taken, arrivalUs, day, used, left: balanceOf(counter), seenAtMs: deps.clock.nowMs() }
  cacheEntry(cacheOf(deps.table).standings, callerId(caller), standing, STANDINGS)
}

/** The refusal of a request by what the container has seen of the key within the last second. */
export function limitedLately(
  deps: Deps<'table'>,
  caller: KeyCaller,
  guess: Allowance | undefined,
  units: number,
): DomainError | undefined {
  const standing = cacheOf(deps.table).standings.get(callerId(caller))
  const ageMs = deps.clock.nowMs() - (standing?.seenAtMs ?? 0)
  // A clock that is set back must not prolong the refusal.
  if (!standing || !guess || units === 0 || ageMs < 0 || ageMs >= REFUSED_MS) return undefined
  return limitError(deps, guess, units, standing)
}

/** The error of a request that a limit of the key refuses; undefined if none does. */
export function limitError(
  deps: Deps,
  allowance: Allowance,
  units: number,
  { left, used }: { left: number; used: number },
): DomainError | undefined {
  const refusal = limitRefusal(allowance, units)
  if (!refusal) return undefined
  return new DomainError(refusal, {
    ...adviceOf(deps, allowance, units, refusal),
    members: { left, used, needed: units, keyLeft: keyLeftOf(allowance) },
    rate: rateStanding(allowance),
  })
}

/** The answer to a request of a batch that a limit of the key refuses. */
export function limitAnswer(deps: Deps, allowance: Allowance, units: number) {
  const outcome = limitRefusal(allowance, units) ?? 'rate_limited'
  return { outcome, needed: units, ...adviceOf(deps, allowance, units, outcome) }
}

/** When the units can pass; or if no waiting helps, what does. */
function adviceOf(
  deps: Deps,
  allowance: Allowance,
  units: number,
  refusal: LimitRefusal,
): { retryAfterSeconds?: number; detail?: string } {
  const { budget, rate } = allowance.limits
  const retryAfterSeconds = waitSeconds(allowance, units, refusal, deps.clock.nowMs())
  if (retryAfterSeconds !== undefined) return { retryAfterSeconds }
  if (refusal === 'over_burst')
    return {
      detail: `The application key may use ${rate?.burst} units at once, and nothing was spent. Send smaller requests, or ask its owner for a larger burst.`,
    }
  return budget && units > budget.units
    ? {
        detail: `The application key has a budget of ${budget.units} units, and nothing was spent. Send smaller requests, or ask its owner for a larger budget.`,
      }
    : {}
}
