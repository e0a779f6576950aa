/**
 * Every error of the domain, as one closed union. `functions/http/problems.ts` gives each code its HTTP
 * status and wording; the row of an endpoint lists the codes that the endpoint can answer.
 */
export type ErrorCode =
  // the request itself
  | 'invalid_request'
  | 'malformed_body'
  | 'unsupported_media_type'
  | 'payload_too_large'
  // the caller
  | 'unauthorized'
  | 'token_expired'
  | 'session_ended'
  | 'not_same_origin'
  | 'invalid_credentials'
  | 'account_deactivated'
  | 'account_suspended'
  | 'not_found'
  | 'too_many_requests'
  | 'challenge_required'
  // registration and confirmation
  | 'username_taken'
  | 'email_taken'
  | 'password_refused'
  | 'invalid_code'
  | 'too_many_changes'
  // export and deletion
  | 'too_many_exports'
  | 'units_left'
  | 'balance_owed'
  // operators
  | 'service_exists'
  | 'admin_key_exists'
  | 'admin_key_refused'
  | 'operator_exists'
  | 'operator_refused'
  | 'operator_sign_in_required'
  // credentials
  | 'wrong_password'
  | 'password_locked'
  | 'reauthentication_required'
  | 'two_factor_required'
  | 'two_factor_invalid'
  | 'two_factor_locked'
  | 'two_factor_enabled'
  | 'two_factor_not_enrolled'
  | 'passkey_refused'
  | 'invalid_passkey'
  | 'passkey_limit_reached'
  // application keys and services
  | 'service_refused'
  | 'key_limit_reached'
  | 'read_only_token'
  | 'default_key_required'
  | 'key_expired'
  | 'key_disabled'
  | 'ip_not_allowed'
  | 'insufficient_scope'
  | 'key_budget_exhausted'
  | 'over_burst'
  | 'rate_limited'
  // cards
  | 'email_unconfirmed'
  | 'card_declined'
  | 'invalid_payment_method'
  | 'payment_action_required'
  | 'too_many_cards_tried'
  | 'card_pending'
  | 'card_in_use'
  | 'card_change_not_allowed'
  | 'card_changed_recently'
  | 'no_address'
  | 'webhook_refused'
  // quota
  | 'quota_exhausted'
  | 'reservation_ended'
  | 'lease_ended'
  // operators
  | 'too_few_units'
  | 'too_little_credit'
  | 'not_refundable'
  | 'refund_open'
  | 'refund_refused'
  // purchases
  | 'bundle_held'
  | 'no_bundle'
  | 'bundle_removed'
  | 'coupon_unknown'
  | 'coupon_stopped'
  | 'coupon_expired'
  | 'coupon_used_up'
  | 'coupon_already_used'
  | 'coupon_not_applicable'
  | 'no_card'
  | 'purchase_open'
  | 'request_in_flight'
  | 'idempotency_key_reused'
  // concurrent writers
  | 'conflict'
  // services that fail, and our own faults
  | 'temporarily_unavailable'
  | 'internal_error'

/** A refused field of the request, by its dotted path, and the reason. */
export interface FieldError {
  field: string
  message: string
}

/** Where an application key stands with its rate limit, for the headers of answers. */
export interface RateStanding {
  /** Units of a full bucket. */
  burst: number
  /** Seconds in which an empty bucket refills, at least 1. */
  windowSeconds: number
  /** Units in the bucket. */
  left: number
  /** Seconds until there is another unit, at least 1. */
  nextSeconds: number
}

/** The error that the domain throws. Callers see `detail`, which never contains a vendor's text. */
export class DomainError extends Error {
  override readonly name = 'DomainError'
  readonly code: ErrorCode
  readonly fields: FieldError[]
  readonly retryAfterSeconds: number | undefined
  /** The secret with which the customer finishes 3-D Secure. The caller sees it; it is never logged. */
  readonly clientSecret: string | undefined
  /** Further members of the answer, such as the units left. */
  readonly members: Record<string, unknown>
  /** Whether an earlier copy of the request got this answer, and this one has done nothing. */
  readonly replayed: boolean
  /** Set if the application key has a rate limit. */
  readonly rate: RateStanding | undefined

  constructor(
    code: ErrorCode,
    options: {
      detail?: string | undefined
      fields?: FieldError[]
      retryAfterSeconds?: number
      clientSecret?: string | undefined
      members?: Record<string, unknown>
      replayed?: boolean | undefined
      rate?: RateStanding | undefined
      cause?: unknown
    } = {},
  ) {
    super(options.detail ?? code, { cause: options.cause })
    this.code = code
    this.fields = options.fields ?? []
    this.retryAfterSeconds = options.retryAfterSeconds
    this.clientSecret = options.clientSecret
    this.members = options.members ?? {}
    this.replayed = options.replayed === true
    this.rate = options.rate
  }

  /** The explanation for the caller beyond the code's title, if there is one. */
  get detail(): string | undefined {
    return this.message === this.code ? undefined : this.message
  }
}

/** Why a provider refused a call that had no effect. */
export interface RateLimit {
  /** Whether too many calls were made in all, of one endpoint, or about one object at the same time. */
  scope: 'all' | 'endpoint' | 'object'
  /** How long the provider wants no more such calls; undefined if the provider did not say. */
  retryAfterSeconds: number | undefined
}

/** Shortest `Retry-After` of a caller whose request met a rate limit, seconds. */
const LIMITED_SECONDS = 2

/** The error for a call that a rate limit refused, so that it had no effect. */
export const rateLimited = (limit: RateLimit, cause: Error): DomainError =>
  new DomainError('temporarily_unavailable', {
    retryAfterSeconds: Math.max(Math.ceil(limit.retryAfterSeconds ?? 0), LIMITED_SECONDS),
    cause: Object.assign(cause, { rateLimit: limit }),
  })

/** The limit because of which a call had no effect; undefined for every other error. */
export function rateLimitOf(error: unknown): RateLimit | undefined {
  const cause = error instanceof DomainError ? error.cause : undefined
  return cause instanceof Error && 'rateLimit' in cause ? (cause.rateLimit as RateLimit) : undefined
}

/** What a log line may contain of an error: our code, the class of its cause, and the first stack frames. */
export interface Failure {
  error?: ErrorCode
  cause?: string
  frames?: string[]
}

const FRAMES = 5

/** Describes an error without its message, which may quote secrets or personal data. */
export function failureOf(error: unknown): Failure {
  const code = error instanceof DomainError ? { error: error.code } : {}
  const cause = error instanceof DomainError ? error.cause : error
  if (!(cause instanceof Error)) return cause === undefined ? code : { ...code, cause: typeof cause }
  // A stack begins with the message; the frames follow.
  const { message, name, stack = '' } = cause
  const lines = stack.slice(stack.indexOf(message) + message.length).split('\n')
  const frames = lines.map((line) => line.trim()).filter((line) => line.startsWith('at '))
  return { ...code, cause: name, frames: frames.slice(0, FRAMES) }
}
