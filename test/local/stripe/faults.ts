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

export interface Fault {
  fault: FaultName
  /** A prefix of `METHOD /path`, with `*` for a segment and `$` for its end. Left out: every request. */
  match?: string
  /** How often; left out: until the faults are cleared. stripe-node asks again once after a reset and a 409. */
  times?: number
  /** For `delay`; 1000 if left out. */
  delayMs?: number
  code?: string
}

export interface FaultList {
  /** @throws Error with a sentence for the person who asked, if there is no such fault. */
  add(fault: Fault): void
  clear(): void
  /** The oldest fault of those names in force for the request, used up by one. */
  take(names: readonly FaultName[], request: string): Fault | undefined
}

export function faultList(): FaultList {
  let inForce: (Fault & { pattern: RegExp; left: number })[] = []
  return {
    add(fault) {
      check(fault)
      inForce.push({
        ...fault,
        pattern: patternOf(fault.match ?? ''),
        left: fault.times ?? Number.POSITIVE_INFINITY,
      })
    },
    clear() {
      inForce = []
    },
    take(names, request) {
      const found = inForce.find((fault) => names.includes(fault.fault) && fault.pattern.test(request))
      if (!found) return undefined
      found.left -= 1
      if (found.left <= 0) inForce = inForce.filter((fault) => fault !== found)
      return found
    },
  }
}

function check({ fault, times, delayMs, code }: Fault): void {
  if (!FAULTS.includes(fault)) throw new Error(`No such fault: ${fault}. There are: ${FAULTS.join(', ')}.`)
  if (times !== undefined && !(Number.isInteger(times) && times > 0)) {
    throw new Error('times is a whole number above 0.')
  }
  if (delayMs !== undefined && !(delayMs >= 0)) throw new Error('delayMs is a number of milliseconds.')
  if (fault === 'decline' && code !== undefined && !isDeclineCode(code)) {
    throw new Error(`No such decline: ${code}. There are: ${Object.keys(DECLINES).join(', ')}.`)
  }
}

export const isDeclineCode = (code: string): code is DeclineCode => Object.hasOwn(DECLINES, code)

function patternOf(match: string): RegExp {
  const source = match
    .replace(/[.+?^{}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]+')
    .replace(/\$(?!$)/g, '\\$')
  return new RegExp(`^${source}`)
}
