import type { ErrorBody } from './wire.ts'

/** An error answer of Stripe. */
export class StripeProblem extends Error {
  readonly status: number
  readonly body: ErrorBody
  /**
   * Whether the endpoint had started its work. Only then is the error stored under the idempotency key. A
   * malformed request may be corrected and sent again with the same key.
   */
  readonly executed: boolean
  /** Further headers of the answer. */
  readonly headers: Readonly<Record<string, string>>

  constructor(
    status: number,
    body: ErrorBody,
    executed = true,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(body.message)
    this.status = status
    this.body = body
    this.executed = executed
    this.headers = headers
  }
}

type Details = Omit<ErrorBody, 'type' | 'message'>

/** 400: the request is well-formed but not possible. */
export function invalid(message: string, details: Details = {}): StripeProblem {
  return new StripeProblem(400, { type: 'invalid_request_error', message, ...details })
}

/** 400: the request is malformed. */
export function malformed(message: string, details: Details = {}): StripeProblem {
  return new StripeProblem(400, { type: 'invalid_request_error', message, ...details }, false)
}

/** 404 for an id in the path, 400 for one in a parameter. */
export function missing(kind: string, id: string, param: string, status: 400 | 404 = 400): StripeProblem {
  return new StripeProblem(status, {
    type: 'invalid_request_error',
    code: 'resource_missing',
    param,
    message: `No such ${kind}: '${id}'`,
  })
}

/** 402: the bank declines, or Stripe blocks the payment. */
export function declined(error: Omit<ErrorBody, 'type'>): StripeProblem {
  return new StripeProblem(402, { type: 'card_error', ...error })
}

export function unauthorized(message: string): StripeProblem {
  return new StripeProblem(401, { type: 'invalid_request_error', message }, false)
}

export function keyInUse(key: string): StripeProblem {
  return new StripeProblem(
    409,
    {
      type: 'idempotency_error',
      code: 'idempotency_key_in_use',
      message: `There is currently another in-progress request using this idempotency key: ${key}. Try again later.`,
    },
    false,
  )
}

export function keyMisused(key: string): StripeProblem {
  return new StripeProblem(
    400,
    {
      type: 'idempotency_error',
      message: `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
    },
    false,
  )
}

/**
 * 429: too many calls, or with `lock_timeout` another call is working on the same object.
 * @param reason Stripe's header `Stripe-Rate-Limited-Reason`.
 */
export function rateLimited(
  reason: 'global-rate' | 'endpoint-rate' | 'lock_timeout' = 'endpoint-rate',
  retryAfterSeconds?: number,
): StripeProblem {
  const isLock = reason === 'lock_timeout'
  return new StripeProblem(
    429,
    {
      type: 'invalid_request_error',
      code: isLock ? 'lock_timeout' : 'rate_limit',
      message: isLock ? 'This object cannot be accessed right now.' : 'Request rate limit exceeded.',
    },
    false,
    {
      ...(!isLock && { 'stripe-rate-limited-reason': reason }),
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(retryAfterSeconds) }),
    },
  )
}

export function serverError(): StripeProblem {
  return new StripeProblem(500, { type: 'api_error', message: 'An unexpected error occurred.' })
}
