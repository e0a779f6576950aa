import { type Fault as DoubleFault, type FaultQueue, faultQueue } from '../faults.ts'
import { DECLINES, type DeclineCode } from './cards.ts'

/** What can be made to go wrong, for requests and for webhooks. */
export const FAULTS = [
  /** The connection is reset and nothing has happened. */
  'lose-reply-before-commit',
  /** Everything has happened, and the connection is reset. */
  'lose-reply-after-commit',
  /** As if the idempotency key were in use; nothing has happened. */
  '409',
  /** Nothing has happened. */
  '429',
  /** Remembered under the idempotency key. `code: "after-commit"`: everything has happened. */
  '500',
  /** The request is taken up `delayMs` later; its idempotency key is in use meanwhile. */
  'delay',
  /** The bank declines with `code`, a decline code; the generic one if there is none. */
  'decline',
  /** Everything has happened; half of the body arrives and the connection is reset. */
  'torn-body',
  /** The events that the request brings about are delivered twice, */
  'duplicate-webhooks',
  /** or a second later and the newest first, */
  'reorder-webhooks',
  /** or never. */
  'drop-webhooks',
] as const

export type FaultName = (typeof FAULTS)[number]

/**
 * `match` is a prefix of `METHOD /path`, with `*` for a segment and `$` for its end. As for `times`: stripe-node asks
 * again once after a reset and a 409.
 */
export interface Fault extends DoubleFault<FaultName> {
  /** For `decline` a decline code, for `500` possibly `after-commit`. */
  code?: string
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
