import type { RateStanding } from '../../core/errors.ts'
import type { LimitState } from '../../core/limits/limits.ts'

/**
 * The headers of an answer to a key with a rate limit (draft-ietf-httpapi-ratelimit-headers-11). The effective window
 * `t` ends when there is another unit.
 */
export const rateHeaders = ({ rate }: { rate?: RateStanding | undefined }): Record<string, string> =>
  rate
    ? {
        'ratelimit-policy': `"key";q=${rate.burst};w=${rate.windowSeconds}`,
        ratelimit: `"key";r=${rate.left};t=${rate.nextSeconds}`,
      }
    : {}

/** The same for the limits of a network address: how many requests each limit allows, and when its next window begins. */
export const limitHeaders = (states: readonly LimitState[]): Record<string, string> =>
  states.length === 0
    ? {}
    : {
        'ratelimit-policy': states
          .map(({ what, most, windowSeconds }) => `"${what}";q=${most};w=${windowSeconds}`)
          .join(', '),
        ratelimit: states
          .map(({ what, left, resetSeconds }) => `"${what}";r=${left};t=${resetSeconds}`)
          .join(', '),
      }
