import * as z from 'zod/mini'
import { type RateLimit, rateLimited, rateLimitOf } from '../errors.ts'
import type { Clock, MoneyDeps, Payments } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Item } from '../table/table.ts'
import {
  type Buckets,
  bucketOf,
  LONGEST_WAIT_MS,
  reserveCalls,
  slowDown,
  stripeLimits,
} from './rate-budget.ts'

/** Calls a method of the provider by name. */
type Call = (method: string, call: () => Promise<unknown>) => Promise<unknown>

/** The same provider, whose calls over the network all go through `around`. */
const callingThrough = (payments: Payments, around: Call): Payments =>
  new Proxy(payments, {
    get(target, name) {
      const call = Reflect.get(target, name)
      // `readEvent` checks a signature and calls nobody.
      if (typeof call !== 'function' || name === 'readEvent') return call
      return (...args: unknown[]) => around(String(name), () => Reflect.apply(call, target, args))
    },
  })

// --- Requests and webhooks ---

/** Waits before a refused call is repeated while somebody waits for the answer, ms; `JITTER` varies them. */
const SHORT_WAITS_MS = [300, 800, 1600]
const JITTER = 0.5

/** A longer `Retry-After` than this is left to the caller, seconds. */
const SHORT_SECONDS = 2

/**
 * The provider for requests and webhooks: a call that a rate limit refused is repeated for three seconds at
 * most, then its error says when to try again. Requests take no part in the jobs' budget, which leaves room
 * for them; webhooks are bounded by their reserved concurrency, and each that waits here makes no other call.
 */
export const patientPayments = (payments: Payments, clock: Clock): Payments =>
  callingThrough(payments, async (_method, call) => {
    for (const waitMs of SHORT_WAITS_MS) {
      try {
        return await call()
      } catch (error) {
        const limit = rateLimitOf(error)
        const seconds = limit?.retryAfterSeconds ?? 0
        if (!limit || seconds > SHORT_SECONDS) throw error
        const jitterMs = (clock.nowMs() % 1000) * (waitMs / 1000) * JITTER
        await clock.wait(Math.max(waitMs + jitterMs, seconds * 1000))
      }
    }
    return call()
  })

// --- Jobs ---

/** How often a job sends a refused call again before it leaves the call to a later run. */
const JOB_TRIES = 4

/** A job begins no more items while its calls wait longer than this for their turn. */
const BACKLOG_MS = 3_000

/** The longest time that a job's call waits for its turn, shorter than what is left of a run at its end. */
const TURN_MS = 15_000

/** Waits before a call is repeated that met another call about the same object. */
const OBJECT_WAIT_MS = 500

export interface PacedPayments {
  payments: Payments
  /** Resolves when the next item may begin: the calls of the items before it hardly have to wait. */
  ready(): Promise<void>
}

/**
 * The provider for one run of a job. All jobs of the deployment share one budget in the table, so together
 * they make no more calls than the budget allows, and slow down together when the provider refuses a call.
 * A run pays one write for the calls of up to a second, and none if it makes no call. A call that has to wait
 * too long throws the error of a refused call.
 */
export function pacedPayments({ payments, clock, table, webhooks }: MoneyDeps): PacedPayments {
  const limits = stripeLimits(webhooks.livemode)
  const budget = sharedBudget({ table })
  const waiting = new Map<string, number>()
  const reserved = new Map<string, number[]>()
  let newestMs = 0
  // A clock that stands still, as in tests, does not make each call wait for all calls before it.
  let wokenMs = 0
  const nowMs = () => Math.max(clock.nowMs(), wokenMs)
  let queue: Promise<unknown> = Promise.resolve()

  /** The time for the next call of an endpoint. Calls ask one after the other, so that one write serves many. */
  function nextTime(method: string): Promise<number> {
    const next = queue.then(async () => {
      const known = reserved.get(method) ?? []
      if (known.length === 0) {
        await budget.change((buckets) => {
          const made = reserveCalls(buckets, method, waiting.get(method) ?? 1, limits, nowMs())
          known.splice(0, known.length, ...made.timesMs)
          return made.buckets
        })
        reserved.set(method, known)
      }
      const atMs = known.shift() ?? nowMs()
      newestMs = Math.max(newestMs, atMs)
      return atMs
    })
    queue = next.catch(() => undefined)
    return next
  }

  async function takeTurn(method: string): Promise<void> {
    waiting.set(method, (waiting.get(method) ?? 0) + 1)
    const atMs = await nextTime(method).finally(() => waiting.set(method, (waiting.get(method) ?? 1) - 1))
    const waitMs = atMs - nowMs()
    if (waitMs > TURN_MS) throw tooLate(waitMs)
    if (waitMs <= 0) return
    await clock.wait(waitMs)
    wokenMs = Math.max(wokenMs, atMs)
  }

  async function learn(method: string, { scope, retryAfterSeconds }: RateLimit): Promise<void> {
    const name = bucketOf(scope, method)
    if (name === undefined) return clock.wait(OBJECT_WAIT_MS)
    reserved.delete(method)
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
        if (tries === JOB_TRIES) throw error
      }
    }
  }

  return {
    payments: callingThrough(payments, callPaced),
    async ready() {
      for (let backlogMs = newestMs - nowMs(); backlogMs > BACKLOG_MS; backlogMs = newestMs - nowMs()) {
        await clock.wait(Math.min(backlogMs - BACKLOG_MS, LONGEST_WAIT_MS))
        wokenMs = Math.max(wokenMs, newestMs - BACKLOG_MS)
      }
    },
  }
}

const tooLate = (waitMs: number) =>
  rateLimited(
    { scope: 'endpoint', retryAfterSeconds: Math.ceil(waitMs / 1000) },
    new Error('the budget of calls to the provider is used up'),
  )

// --- The budget in the table ---

const bucketSchema = z.object({
  nextMs: z.number(),
  slowedTo: z.optional(z.number()),
  slowedAtMs: z.optional(z.number()),
})
const budgetSchema = z.object({ version: z.number(), buckets: z.record(z.string(), bucketSchema) })

/** Attempts of a change that loses races with other jobs. There are only a few jobs. */
const BUDGET_TRIES = 20

function sharedBudget({ table }: Pick<MoneyDeps, 'table'>) {
  const key = keys.callBudget('stripe')
  // A run often is the only one that changes the budget, so it need not read what it wrote itself.
  let known: { version: number; buckets: Buckets } | undefined
  const parsed = (item: Item | undefined) =>
    item ? z.parse(budgetSchema, item) : { version: 0, buckets: {} }

  /** Changes the buckets by an optimistic write, which is tried again after a lost race. */
  async function change(decide: (buckets: Buckets) => Buckets): Promise<void> {
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
        if (!(error instanceof ConditionFailed) || tries === BUDGET_TRIES) throw error
        known = parsed(error.failed.get(0))
      }
    }
  }
  return { change }
}
