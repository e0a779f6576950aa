import type { RateStanding } from '../../core/errors.ts'

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
