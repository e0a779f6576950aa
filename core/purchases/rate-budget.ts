/**
 * How many calls the jobs of a deployment may make to the payment provider: a pure account of one bucket per
 * endpoint and one for all calls, which `rate-limit.ts` keeps in the table. A bucket is a virtual schedule
 * (GCRA): calls get times at equal distances, so idle time allows no burst later.
 */

/** A bucket as stored. */
export interface Bucket {
  /** The earliest time of the next call, epoch ms. */
  nextMs: number
  /** Calls per second at `slowedAtMs`, when the provider last refused a call; absent before the first time. */
  slowedTo?: number | undefined
  slowedAtMs?: number | undefined
}

/** The buckets by name: `all`, or a method of the port, each of which calls one endpoint. */
export type Buckets = Readonly<Record<string, Bucket>>

/** Calls per second that the provider accepts. */
export interface CallLimits {
  all: number
  endpoint: number
}

/** https://docs.stripe.com/rate-limits. A sandbox accepts as many calls in all as one endpoint does. */
export const stripeLimits = (livemode: boolean): CallLimits => ({ all: livemode ? 100 : 25, endpoint: 25 })

/** The part of the limits that jobs use. The rest is for customers, who wait, and for webhooks. */
const JOBS_PART = 0.85

/** Calls that may go out at once after a pause. With a second's calls they stay below the limit. */
const BURST = 3

/** A refusal lowers the rate to this part, at most once in `SLOW_DOWN_MS`. */
const SLOW_DOWN = 0.8
const SLOW_DOWN_MS = 1000

/** The rate at which calls still try whether an outage is over, per second. */
const SLOWEST = 1

/** The rate grows by this factor each second without a refusal. */
const GROWTH_PER_SECOND = 1.03

/** No call has to wait longer. A later time comes from a clock that was set back since, so it is ignored. */
export const LONGEST_WAIT_MS = 60_000

const ALL = 'all'

/** Calls per second that the jobs may make from a bucket now. */
export function rateOf(name: string, bucket: Bucket | undefined, limits: CallLimits, nowMs: number): number {
  const most = (name === ALL ? limits.all : limits.endpoint) * JOBS_PART
  if (bucket?.slowedTo === undefined || bucket.slowedAtMs === undefined) return most
  const seconds = (nowMs - bucket.slowedAtMs) / 1000
  // A refusal in the future was noted by a clock that was set back since.
  if (seconds < -LONGEST_WAIT_MS / 1000) return most
  return Math.min(most, bucket.slowedTo * GROWTH_PER_SECOND ** seconds)
}

/** The distance of the calls of an endpoint if all of the budget is theirs, ms. */
export const stepOf = (buckets: Buckets, endpoint: string, limits: CallLimits, nowMs: number): number =>
  1000 / Math.min(...[endpoint, ALL].map((name) => rateOf(name, buckets[name], limits, nowMs)))

/**
 * Reserves times for calls of one endpoint.
 * @param count how many calls wait; at most the calls of one second are reserved at once.
 * @returns `timesMs`, one time per reserved call, oldest first, and the buckets afterwards.
 */
export function reserveCalls(
  buckets: Buckets,
  endpoint: string,
  count: number,
  limits: CallLimits,
  nowMs: number,
): { timesMs: number[]; buckets: Buckets } {
  const reserved = Math.max(1, Math.min(count, Math.ceil(rateOf(endpoint, buckets[endpoint], limits, nowMs))))
  const all = nextOf(ALL, buckets, limits, nowMs)
  const own = nextOf(endpoint, buckets, limits, nowMs)
  const timesMs: number[] = []
  for (let at = 0; at < reserved; at++) {
    timesMs.push(Math.max(all.startMs + at * all.stepMs, own.startMs))
    // A call that has to wait for its turn among all calls delays the next of its endpoint.
    own.startMs = Math.max(own.startMs, all.startMs + at * all.stepMs - own.stepMs * (BURST - 1)) + own.stepMs
  }
  return {
    timesMs,
    buckets: {
      ...buckets,
      [ALL]: { ...buckets[ALL], nextMs: all.startMs + reserved * all.stepMs },
      [endpoint]: { ...buckets[endpoint], nextMs: own.startMs },
    },
  }
}

/** The next time of a bucket, and the distance between its calls, ms. */
function nextOf(name: string, buckets: Buckets, limits: CallLimits, nowMs: number) {
  const { nextMs = 0 } = buckets[name] ?? {}
  const stepMs = 1000 / rateOf(name, buckets[name], limits, nowMs)
  const known = nextMs > nowMs + LONGEST_WAIT_MS ? 0 : nextMs
  return { stepMs, startMs: Math.max(known, nowMs - stepMs * (BURST - 1)) }
}

/**
 * Lowers the rate of a bucket after a refusal. Refusals of calls that were on their way together count once.
 * @param retryAfterSeconds the provider wants no call before; undefined if it did not say.
 */
export function slowDown(
  buckets: Buckets,
  name: string,
  retryAfterSeconds: number | undefined,
  limits: CallLimits,
  nowMs: number,
): Buckets {
  const bucket = buckets[name] ?? { nextMs: 0 }
  const pauseMs = Math.min((retryAfterSeconds ?? 0) * 1000, LONGEST_WAIT_MS)
  const nextMs = Math.max(bucket.nextMs, nowMs + pauseMs)
  const isKnown = bucket.slowedAtMs !== undefined && Math.abs(nowMs - bucket.slowedAtMs) < SLOW_DOWN_MS
  if (isKnown) return { ...buckets, [name]: { ...bucket, nextMs } }
  const slowedTo = Math.max(SLOWEST, rateOf(name, bucket, limits, nowMs) * SLOW_DOWN)
  // Times that others have reserved at the old rate stay; new ones follow at the new rate.
  return { ...buckets, [name]: { nextMs, slowedTo, slowedAtMs: nowMs } }
}

/** The bucket that a refusal concerns; undefined if the refusal says nothing about the rate. */
export const bucketOf = (scope: 'all' | 'endpoint' | 'object', endpoint: string): string | undefined =>
  scope === 'all' ? ALL : scope === 'endpoint' ? endpoint : undefined
