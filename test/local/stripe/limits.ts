import { rateLimited, type StripeProblem } from './errors.ts'

/** How many calls the double accepts in any second of the stack's clock. */
export interface CallLimits {
  /** Calls of one endpoint. */
  perEndpoint: number
  /** Calls in all. */
  inAll: number
  /** The `Retry-After` of a refusal; Stripe itself sends none. */
  retryAfterSeconds?: number
}

export interface CallLimiter {
  /** Sets the limits; undefined accepts every call. @throws Error for limits that are not numbers above 0. */
  set(limits: CallLimits | undefined): void
  /** Counts a call of an endpoint and accepts it, or returns the refusal. */
  refusal(endpoint: string, nowMs: number): StripeProblem | undefined
}

const WINDOW_MS = 1000

/** A limiter with a sliding window: a refused call does not count. */
export function callLimiter(): CallLimiter {
  let limits: CallLimits | undefined
  let accepted: { endpoint: string; atMs: number }[] = []
  return {
    set(next) {
      const isLimit = (value: unknown) => typeof value === 'number' && value > 0
      if (next && !(isLimit(next.perEndpoint) && isLimit(next.inAll))) {
        throw new Error('perEndpoint and inAll must be numbers of calls a second above 0.')
      }
      limits = next
      accepted = []
    },
    refusal(endpoint, nowMs) {
      if (!limits) return undefined
      accepted = accepted.filter(({ atMs }) => atMs > nowMs - WINDOW_MS && atMs <= nowMs)
      const { perEndpoint, inAll, retryAfterSeconds } = limits
      if (accepted.length >= inAll) return rateLimited('global-rate', retryAfterSeconds)
      const ofEndpoint = accepted.filter((call) => call.endpoint === endpoint).length
      if (ofEndpoint >= perEndpoint) return rateLimited('endpoint-rate', retryAfterSeconds)
      accepted.push({ endpoint, atMs: nowMs })
      return undefined
    },
  }
}
