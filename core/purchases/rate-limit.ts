import * as z from 'zod/mini'
import { type RateLimit, rateLimited, rateLimitOf } from '../errors.ts'
import { type Call, callingThrough, patiently } from '../limits/patience.ts'
import type { Clock, MoneyDeps, Payments } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Item } from '../table/table.ts'
import { type Buckets, bucketOf, reserveCalls, slowDown, stepOf, stripeLimits } from './rate-budget.ts'

/** The one method of the provider that calls nobody: it checks a signature. */
const LOCAL = ['readEvent']

/**
 * The provider for requests and webhooks, which wait a moment for a busy provider. Requests take no part in the jobs'
 * budget, which leaves room for them; webhooks are bounded by their reserved concurrency, and each that waits here makes
 * no other call.
 */
export const patientPayments = (payments: Payments, clock: Clock): Payments =>
  callingThrough(payments, patiently(clock), LOCAL)

// --- Jobs ---

/** How often a job sends a refused call again before it leaves the call to a later run. */
const JOB_TRIES = 12

/** A job begins no more work while its calls wait longer than this for their turn. */
const BACKLOG_MS = 2_000

/** Calls may leave their queue at any time, so a job looks again after this time at the earliest. */
const SHORTEST_WAIT_MS = 20

/** The longest time that a job's call waits for its turn, shorter than what is left of a run at its end. */
const TURN_MS = 15_000

/** Waits before a call is repeated that met another call about the same object. */
const OBJECT_WAIT_MS = 500

/**
 * The provider for one run of a job. All jobs of the deployment share one budget in the table, so together
 * they make no more calls than the budget allows, and slow down together when the provider refuses a call.
 * A run pays one write for the calls of up to a second, and none if it makes no call. A call that has to wait
 * too long throws the error of a refused call.
 * @param untilMs the time after which the run begins nothing and repeats no refused call, epoch ms.
 * @returns the provider, and `ready` for the run.
 */
export function pacedPayments(
  { payments, clock, table, paymentScope }: MoneyDeps,
  untilMs: number,
): { payments: Payments; ready(): Promise<boolean> } {
  const limits = stripeLimits(paymentScope.livemode)
  const budget = sharedBudget({ table, clock })
  /** Calls that wait for their turn, by method; a call gets its time only when those before it have gone. */
  const waiting = new Map<string, number>()
  const lanes = new Map<string, Promise<unknown>>()
  const reserved = new Map<string, number[]>()
  // A clock that stands still, as in tests, does not make each call wait for all calls before it.
  let wokenMs = 0
  const nowMs = () => Math.max(clock.nowMs(), wokenMs)
  const waitUntil = async (atMs: number) => {
    const waitMs = atMs - nowMs()
    if (waitMs <= 0) return
    await clock.wait(waitMs)
    wokenMs = Math.max(wokenMs, atMs)
  }
  const stepMs = (method: string) => stepOf(budget.known(), method, limits, nowMs())

  async function nextTime(method: string): Promise<number> {
    const times = reserved.get(method) ?? []
    const known = times.shift()
    if (known !== undefined) return known
    await budget.change((buckets) => {
      const made = reserveCalls(buckets, method, waiting.get(method) ?? 1, limits, nowMs())
      times.splice(0, times.length, ...made.timesMs)
      return made.buckets
    })
    reserved.set(method, times)
    return times.shift() ?? nowMs()
  }

  async function takeTurn(method: string): Promise<void> {
    const ahead = waiting.get(method) ?? 0
    if (ahead * stepMs(method) > TURN_MS) throw tooLate()
    waiting.set(method, ahead + 1)
    const turn = (lanes.get(method) ?? Promise.resolve()).then(async () => {
      const atMs = await nextTime(method)
      if (atMs - nowMs() > TURN_MS) throw tooLate()
      await waitUntil(atMs)
    })
    lanes.set(
      method,
      turn.catch(() => undefined),
    )
    await turn.finally(() => waiting.set(method, (waiting.get(method) ?? 1) - 1))
  }

  async function learn(method: string, { scope, retryAfterSeconds }: RateLimit): Promise<void> {
    const name = bucketOf(scope, method)
    if (name === undefined) return clock.wait(OBJECT_WAIT_MS)
    if (scope === 'all') reserved.clear()
    else reserved.delete(method)
    await budget.change((buckets) => slowDown(buckets, name, retryAfterSeconds, limits, nowMs()))
  }

  const callPaced: Call = async (method, call) => {
    for (let tries = 1; ; tries++) {
      await takeTurn(method)
      try {
        return await call()
      } catch (error) {
        const limit = rateLimitOf(error)
        if (!limit) throw error
        await learn(method, limit)
        if (tries === JOB_TRIES || clock.nowMs() >= untilMs) throw error
      }
    }
  }

  let begunMs = 0
  const isInTime = () => clock.nowMs() < untilMs
  const backlogMs = () => Math.max(0, ...[...waiting].map(([method, calls]) => calls * stepMs(method)))
  /** Work begins at the pace of the slowest endpoint that the run has called, and never while calls queue. */
  async function mayBegin(): Promise<boolean> {
    await waitUntil(begunMs + Math.max(...[...waiting.keys()].map(stepMs), 0))
    for (let late = backlogMs(); late > BACKLOG_MS && isInTime(); late = backlogMs()) {
      await clock.wait(Math.max(late - BACKLOG_MS, SHORTEST_WAIT_MS))
    }
    begunMs = nowMs()
    return isInTime()
  }

  let beginning: Promise<boolean> = Promise.resolve(true)
  return {
    payments: callingThrough(payments, callPaced, LOCAL),
    ready() {
      beginning = beginning.then(mayBegin)
      return beginning
    },
  }
}

const tooLate = () =>
  rateLimited(
    { scope: 'endpoint', retryAfterSeconds: TURN_MS / 1000 },
    new Error('the budget of calls to the provider is used up'),
  )

// --- The budget in the table ---

const bucketSchema = z.object({
  nextMs: z.number(),
  slowedTo: z.optional(z.number()),
  slowedAtMs: z.optional(z.number()),
})
const budgetSchema = z.object({ version: z.number(), buckets: z.record(z.string(), bucketSchema) })

/** Attempts of a change that loses races: each renewal that a request starts is a run of its own. */
const BUDGET_TRIES = 60
/** Attempts that start without a pause. */
const BUDGET_PATIENCE = 2
/** The longest pause before the first attempt that waits; it grows by as much, to a limit, ms. */
const BUDGET_PAUSE_MS = 25
const LONGEST_BUDGET_PAUSE_MS = 1_500

function sharedBudget({ table, clock }: Pick<MoneyDeps, 'table' | 'clock'>) {
  const key = keys.callBudget('stripe')
  // A run often is the only one that changes the budget, so it need not read what it wrote itself.
  let known: { version: number; buckets: Buckets } | undefined
  let last: Promise<void> = Promise.resolve()
  const parsed = (item: Item | undefined) =>
    item ? z.parse(budgetSchema, item) : { version: 0, buckets: {} }

  /** Waits for a random time, so that competing runs do not try again together. */
  const pause = async (tries: number): Promise<void> => {
    const longestMs = Math.min(BUDGET_PAUSE_MS * (tries - 1), LONGEST_BUDGET_PAUSE_MS)
    if (tries >= BUDGET_PATIENCE) await clock.wait(Math.random() * longestMs)
  }

  /**
   * Changes the buckets by an optimistic write, which is tried again after a lost race.
   * @throws DomainError `temporarily_unavailable` with a `RateLimit` after too many: no call was made.
   */
  async function write(decide: (buckets: Buckets) => Buckets): Promise<void> {
    known ??= parsed(await table.get(key))
    for (let tries = 0; ; tries++) {
      const { version, buckets } = known
      const next = { version: version + 1, buckets: decide(buckets) }
      const isSame = version === 0 ? expr`attribute_not_exists(pk)` : expr`#version = ${version}`
      try {
        await table.put({ ...key, ...next }, isSame)
        known = next
        return
      } catch (error) {
        if (!(error instanceof ConditionFailed)) throw error
        known = parsed(error.failed.get(0))
        // The caller must not take the lost race for one about its own items.
        if (tries === BUDGET_TRIES) throw tooLate()
        await pause(tries)
      }
    }
  }
  return {
    known: (): Buckets => known?.buckets ?? {},
    /** One change of this run at a time. @throws DomainError `temporarily_unavailable` */
    change(decide: (buckets: Buckets) => Buckets): Promise<void> {
      const change = last.then(() => write(decide))
      last = change.catch(() => undefined)
      return change
    },
  }
}
