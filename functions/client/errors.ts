import type { ErrorCode } from './wire.ts'

/**
 * Codes that the client itself gives. `connection_lost` and `timed_out`: no answer came, so the request may or may not
 * have taken effect. `unexpected_answer`: something that is not Bursar answered, such as a proxy.
 */
export type ClientErrorCode = 'connection_lost' | 'timed_out' | 'unexpected_answer'

/** A refused field of the request, by its dotted path, and the reason. */
export interface RefusedField {
  field: string
  message: string
}

/** What an error has beyond its code. Fields that an answer does not have are undefined. */
export interface ErrorDetails {
  /** The HTTP status; 0 without an answer. */
  status: number
  /** What happened and what to do next, in English. */
  message: string
  /** The id of the request in Bursar's logs. */
  requestId?: string | undefined
  /** Seconds to wait before the request can succeed. */
  retryAfter?: number | undefined
  /** The Idempotency-Key that was sent. Give it to the next call to repeat this request safely. */
  idempotencyKey?: string | undefined
  /** The fields to correct. */
  errors?: RefusedField[] | undefined
  /** With this Stripe.js finishes 3-D Secure. */
  clientSecret?: string | undefined
  /** With this a page shows the challenge that the request needs an answer to. */
  siteKey?: string | undefined
  left?: number | undefined
  used?: number | undefined
  needed?: number | undefined
  /** The path with which the owner gets more units. */
  refill?: string | undefined
  account?: string | undefined
  key?: { id: string; name?: string | undefined } | undefined
  /** An earlier copy of the request got this answer. */
  replayed?: true | undefined
  /** The whole answer as parsed, with members that this version of the client does not know. */
  body?: unknown
  cause?: unknown
}

class CodedError extends Error {
  override readonly name = 'BursarError'
  readonly code: ErrorCode | ClientErrorCode

  constructor(code: ErrorCode | ClientErrorCode, details: ErrorDetails) {
    const { message, cause, clientSecret, body, ...shown } = details
    super(message, { cause })
    Object.assign(this, shown)
    // A logged error shows its enumerable fields, and the secret of a payment belongs into no log.
    for (const [name, value] of Object.entries({ clientSecret, body })) {
      Object.defineProperty(this, name, { value })
    }
    this.code = code
  }
}

/** The fields that the answers of a code always have. */
interface FieldsByCode {
  invalid_request: { errors: RefusedField[] }
  payment_action_required: { clientSecret: string }
  challenge_required: { siteKey: string }
  quota_exhausted: { left: number; used: number; needed: number; refill: string }
}

type ErrorOf<C> = Error &
  Readonly<Omit<ErrorDetails, 'message' | 'cause'>> &
  (C extends keyof FieldsByCode ? Readonly<FieldsByCode[C]> : unknown) & { readonly code: C }

/**
 * The error of every call, as a union by `code`: after `error.code === 'payment_action_required'`, TypeScript knows that
 * `error.clientSecret` is there. A newer Bursar may answer codes that this version does not know, so end a switch
 * over codes with a default.
 */
export type BursarError = { [C in ErrorCode | ClientErrorCode]: ErrorOf<C> }[ErrorCode | ClientErrorCode]

export const BursarError = CodedError as unknown as {
  new (code: ErrorCode | ClientErrorCode, details: ErrorDetails): BursarError
  readonly prototype: BursarError
}

/** The codes of answers that the gateway gives by itself, before Bursar sees the request, by status. */
const GATEWAY_CODES: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  404: 'not_found',
  413: 'payload_too_large',
  429: 'too_many_requests',
  500: 'internal_error',
  502: 'temporarily_unavailable',
  503: 'temporarily_unavailable',
  504: 'temporarily_unavailable',
}

const PROBLEM = 'urn:bursar:problem:'

/** Seconds of a Retry-After, which is a number of seconds or a date. */
export function retryAfterOf(header: string | null, nowMs = Date.now()): number | undefined {
  if (header === null || header.trim() === '') return undefined
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - nowMs) / 1000
  return Number.isNaN(seconds) ? undefined : Math.max(0, Math.ceil(seconds))
}

/** The error of an answer that is no success. */
export function errorOf(
  answer: { status: number; headers: Headers; body: unknown },
  idempotencyKey: string | undefined,
): BursarError {
  const { status, headers, body } = answer
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
  const { type, title: _title, status: _status, detail, ...members } = problem
  const named = typeof type === 'string' && type.startsWith(PROBLEM)
  const code = named ? type.slice(PROBLEM.length) : (GATEWAY_CODES[status] ?? 'unexpected_answer')
  return new BursarError(code as ErrorCode, {
    ...(named ? members : {}),
    status,
    message: typeof detail === 'string' ? detail : `Status ${status}, without an explanation by Bursar.`,
    retryAfter: retryAfterOf(headers.get('retry-after')),
    idempotencyKey,
    body,
  })
}
