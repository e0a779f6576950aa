import { type Fault as DoubleFault, type FaultQueue, faultQueue } from '../faults.ts'
import { DECLINES, type DeclineCode } from './cards.ts'

/** The faults of requests and webhooks. */
export const FAULTS = [
  /** The connection is reset before the work. */
  'lose-reply-before-commit',
  /** The connection is reset after the work. */
  'lose-reply-after-commit',
  /** The answer for an idempotency key in use; no work is done. */
  '409',
  /**
   * The answer for too many requests, or with `code: "lock_timeout"` for an object in use; no work is done.
   */
  '429',
  /** Stored under the idempotency key. The work is done only with `code: "after-commit"`. */
  '500',
  /** The work starts `delayMs` later; the idempotency key is in use meanwhile. */
  'delay',
  /** The bank declines with the decline code `code`; the default is `generic_decline`. */
  'decline',
  /** The connection is reset after the work and after half of the body. */
  'torn-body',
  /** The events of the request are delivered twice. */
  'duplicate-webhooks',
  /** The events of the request are delivered a second later, newest first. */
  'reorder-webhooks',
  /** The events of the request are never delivered, though an endpoint subscribes to them. */
  'drop-webhooks',
  /** No endpoint subscribes to the events of the request: none is delivered, and no delivery is pending. */
  'no-endpoint',
  /** The secret key is that of another account, which has no objects. */
  'other-account',
] as const

export type FaultName = (typeof FAULTS)[number]

/**
 * `match` is a prefix of `METHOD /path`, with `*` for a segment and `$` for the end of the path. `times`
 * counts retries too: stripe-node retries once after a reset or a 409.
 */
export interface Fault extends DoubleFault<FaultName> {
  /** For `decline` a decline code, for `500` optionally `after-commit`, for `429` `lock_timeout`. */
  code?: string
  /** For `429` the answer's `Retry-After`, seconds; Stripe itself sends none. */
  retryAfterSeconds?: number
}

export type FaultList = FaultQueue<Fault>

export const faultList = (): FaultList =>
  faultQueue<Fault>(FAULTS, ({ fault, match = '', code }) => {
    if (fault === 'decline' && code !== undefined && !isDeclineCode(code)) {
      throw new Error(`No such decline: ${code}. There are: ${Object.keys(DECLINES).join(', ')}.`)
    }
    const pattern = patternOf(match)
    return (request) => pattern.test(request)
  })

export const isDeclineCode = (code: string): code is DeclineCode => Object.hasOwn(DECLINES, code)

function patternOf(match: string): RegExp {
  const source = match
    .replace(/[.+?^{}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]+')
    .replace(/\$(?!$)/g, '\\$')
  return new RegExp(`^${source}`)
}
