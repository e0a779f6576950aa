import type { DomainError, ErrorCode } from '../../core/errors.ts'

interface Problem {
  status: number
  title: string
  detail: string
  /** WWW-Authenticate of a 401, if it says more than `Bearer` (RFC 6750, section 3). */
  authenticate?: string
}

/** The access token was sent and does not work. It is no use to send it again. */
const INVALID_TOKEN = 'Bearer error="invalid_token"'

/** HTTP status, title and detail of each error code. The domain may give a more precise detail. */
export const problems: Record<ErrorCode, Problem> = {
  invalid_request: {
    status: 400,
    title: 'Invalid request',
    detail: 'The request does not fit this endpoint. `errors` lists what to change.',
  },
  malformed_body: { status: 400, title: 'Malformed body', detail: 'The body could not be read.' },
  invalid_code: {
    status: 400,
    title: 'Invalid code',
    detail: 'The code is unknown, used, expired or superseded. Ask for a new one.',
  },
  too_many_changes: {
    status: 429,
    title: 'Too many changes',
    detail: 'The e-mail address may be changed 5 times an hour. Try again after the time in Retry-After.',
  },
  too_many_exports: {
    status: 429,
    title: 'Too many exports',
    detail: 'The data may be exported 5 times an hour. Try again after the time in Retry-After.',
  },
  units_left: {
    status: 409,
    title: 'Units left',
    detail:
      'The account has units that were paid for. Deleting the account forfeits them: send `{"units": "forfeit"}` if you agree.',
  },
  balance_owed: {
    status: 409,
    title: 'Balance owed',
    detail:
      'The account owes for units that were spent before a refund or dispute. The next purchase settles that; or contact support. Then delete the account.',
  },
  too_few_units: {
    status: 409,
    title: 'Too few units',
    detail:
      'Fewer units are left than are to be taken, and nothing was taken. `left` says how many. With `owe` the rest is owed and taken from the next credit.',
  },
  too_little_credit: {
    status: 409,
    title: 'Too little credit',
    detail:
      'A debit takes back what operators have credited, and the account has less of it. `creditCents` says how much. Nothing was debited.',
  },
  not_refundable: {
    status: 409,
    title: 'Not refundable',
    detail: 'The purchase was not paid, or as much as asked for is not left to refund. Nothing was refunded.',
  },
  refund_open: {
    status: 409,
    title: 'Another refund is open',
    detail: 'Another refund of this purchase is not settled yet. Try again in a moment.',
  },
  refund_refused: {
    status: 409,
    title: 'Refund refused',
    detail: 'Stripe refused the refund, and no money went back. Its Dashboard says why.',
  },
  too_many_requests: {
    status: 429,
    title: 'Too many requests',
    detail:
      'Too many requests of this kind came from your network address within an hour. Try again after the time in Retry-After.',
  },
  challenge_required: {
    status: 403,
    title: 'Challenge required',
    detail:
      'Many requests have come from your network. Show that a person asks: send the answer to the challenge of `siteKey` in X-Challenge-Response.',
  },
  unauthorized: { status: 401, title: 'Not authorised', detail: 'Send a valid access token.' },
  token_expired: {
    status: 401,
    title: 'Access token expired',
    detail:
      'The access token has expired. Get a new one with POST /v1/auth/refresh and send the request again.',
    authenticate: INVALID_TOKEN,
  },
  session_ended: {
    status: 401,
    title: 'Session ended',
    detail: 'The session has expired or was ended. Sign in again.',
    authenticate: INVALID_TOKEN,
  },
  not_same_origin: {
    status: 403,
    title: 'Not the same origin',
    detail:
      'A session in a cookie works only on pages of the same origin as this API. On other pages leave `session` out, and keep the refresh token in memory.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Invalid credentials',
    detail: 'The name or the password is wrong.',
  },
  wrong_password: {
    status: 403,
    title: 'Wrong password',
    detail: 'The current password is wrong.',
  },
  password_locked: {
    status: 429,
    title: 'Too many wrong passwords',
    detail:
      'Too many wrong passwords were tried, so none is looked at now. Try again after the time in Retry-After.',
  },
  reauthentication_required: {
    status: 403,
    title: 'Sign in again',
    detail: 'Send `oldPassword`, or sign in again. Without it, the sign-in must be at most 10 minutes old.',
  },
  two_factor_required: {
    status: 401,
    title: 'Two-factor code required',
    detail:
      'Send `twofa`: a code of the authenticator app, or a recovery code. An account with passkeys may send `passkey` instead.',
  },
  two_factor_invalid: {
    status: 401,
    title: 'Two-factor code refused',
    detail: 'The code is wrong, expired or was used before.',
  },
  two_factor_locked: {
    status: 429,
    title: 'Two-factor codes locked',
    detail: 'Too many wrong codes. Try again after the time in Retry-After.',
  },
  two_factor_enabled: {
    status: 409,
    title: 'Two-factor authentication is on',
    detail: 'Two-factor authentication is on. Switch it off before you enrol again.',
  },
  two_factor_not_enrolled: {
    status: 409,
    title: 'Two-factor authentication is not enrolled',
    detail: 'Enrol with POST /v1/auth/2FA first.',
  },
  passkey_refused: {
    status: 401,
    title: 'Passkey refused',
    detail:
      'The passkey is unknown or was removed, or its answer is wrong, expired or was used before. Ask for a new challenge and try again, or sign in with your password.',
  },
  invalid_passkey: {
    status: 400,
    title: 'Invalid passkey',
    detail:
      'The passkey could not be added. Its options have expired or were used, or were answered on another page, or the device did not check who uses it. Ask for new options and try again.',
  },
  passkey_limit_reached: {
    status: 409,
    title: 'Too many passkeys',
    detail: 'An account has 10 passkeys at most. Delete one first.',
  },
  service_refused: {
    status: 401,
    title: 'Service credential refused',
    detail:
      'The credential of the service is unknown or was revoked. This says nothing about the customer. Ask the operator of this deployment for a new one.',
    authenticate: INVALID_TOKEN,
  },
  key_limit_reached: {
    status: 409,
    title: 'Too many application keys',
    detail: 'An account has 8 live keys at most, the default key included. Delete one first.',
  },
  default_key_required: {
    status: 409,
    title: 'Default key required',
    detail: 'The default key cannot be deleted. Rotate it instead.',
  },
  key_expired: {
    status: 401,
    title: 'Application key expired',
    detail: 'The application key has expired, and nothing was spent. Its owner can extend or rotate it.',
    authenticate: INVALID_TOKEN,
  },
  key_disabled: {
    status: 403,
    title: 'Application key disabled',
    detail: 'The owner has switched this application key off, and nothing was spent. Use another key.',
  },
  ip_not_allowed: {
    status: 403,
    title: 'Network address not allowed',
    detail:
      'The application key does not work from your network address, and nothing was spent. Its owner can allow the address.',
  },
  read_only_token: {
    status: 403,
    title: 'Read-only access token',
    detail: 'This access token came from an application key, so it only reads. Sign in to change something.',
  },
  insufficient_scope: {
    status: 403,
    title: 'Scope missing',
    detail: 'The application key lacks a scope that the request requires, and nothing was spent.',
  },
  key_budget_exhausted: {
    status: 402,
    title: 'Budget of the key exhausted',
    detail:
      'The budget of the application key has too few units left, and nothing was spent. Try again after the time in Retry-After, if there is one; its owner can raise the budget.',
  },
  over_burst: {
    status: 403,
    title: 'Request too large for the key',
    detail: 'The application key may not use so many units at once, and nothing was spent.',
  },
  rate_limited: {
    status: 429,
    title: 'Rate limit of the key reached',
    detail:
      'The application key has used its units for this moment, and nothing was spent. Try again after the time in Retry-After.',
  },
  email_unconfirmed: {
    status: 403,
    title: 'E-mail address not confirmed',
    detail:
      'The password is right. Confirm your e-mail address first, with the code that we mailed you; POST /v1/auth/resend mails another.',
  },
  card_declined: {
    status: 402,
    title: 'Card declined',
    detail: 'The card was declined and nothing was charged. Check its details or use another card.',
  },
  invalid_payment_method: {
    status: 400,
    title: 'Invalid payment method',
    detail:
      'There is no such payment method or token, or it is used up, expired or not yours. Make a new one with the publishable key of this service. It did not count as a try.',
  },
  payment_action_required: {
    status: 402,
    title: 'Payment action required',
    detail:
      'The bank requires 3-D Secure. Complete it with `clientSecret`; the payment then continues by itself.',
  },
  too_many_cards_tried: {
    status: 429,
    title: 'Too many card attempts',
    detail:
      'Cards were tried too often: an account can try new cards 3 times an hour and 10 times a day, and so often a card on file can be declined. Try again after the time in Retry-After.',
  },
  card_pending: {
    status: 409,
    title: 'Another card is being verified',
    detail: 'Another card of this account is being verified. Try again in a moment.',
  },
  card_in_use: {
    status: 409,
    title: 'Card in use',
    detail:
      'This is the default card while auto-renewal is on, or a payment with it is open. Switch auto-renewal off or choose another default card first.',
  },
  card_change_not_allowed: {
    status: 409,
    title: 'Card change not allowed',
    detail: 'The card can be changed only while auto-renewal is off or after the card was declined.',
  },
  card_changed_recently: {
    status: 429,
    title: 'Card changed recently',
    detail: 'The card can be changed once in 24 hours. Try again after the time in Retry-After.',
  },
  no_address: {
    status: 409,
    title: 'No address stored',
    detail: 'No billing address is stored. Send the full address.',
  },
  quota_exhausted: {
    status: 402,
    title: 'Quota exhausted',
    detail: 'Not enough units are left. Nothing was spent; the same request can succeed after a refill.',
  },
  reservation_ended: {
    status: 409,
    title: 'Reservation ended',
    detail:
      'No open reservation has this id: it was settled or given back, or it has expired and its units were returned. Nothing changed.',
  },
  lease_ended: {
    status: 409,
    title: 'Lease ended',
    detail:
      'No open lease has this id: it was renewed or returned, or it expired and its use was reported since. Nothing changed.',
  },
  bundle_held: {
    status: 409,
    title: 'Bundle already held',
    detail:
      'The account already has a bundle. Change it with PUT /v1/user/bundle/{bundleName} or refill it with POST /v1/user/buy.',
  },
  no_bundle: {
    status: 409,
    title: 'No bundle',
    detail: 'The account has no bundle yet. Sign up for one with POST /v1/user/bundle.',
  },
  bundle_removed: {
    status: 409,
    title: 'Bundle no longer sold',
    detail:
      'The bundle of this account is no longer sold, and nothing was charged. Choose another one with PUT /v1/user/bundle/{bundleName}; the units left stay.',
  },
  coupon_unknown: {
    status: 422,
    title: 'Unknown coupon',
    detail: 'There is no coupon with this code. Nothing was charged.',
  },
  coupon_stopped: {
    status: 409,
    title: 'Coupon no longer valid',
    detail: 'This coupon is no longer valid. Nothing was charged.',
  },
  coupon_expired: {
    status: 409,
    title: 'Coupon not valid now',
    detail: 'This coupon has expired, or is not valid yet. Nothing was charged.',
  },
  coupon_used_up: {
    status: 409,
    title: 'Coupon used up',
    detail: 'This coupon has been used as often as it can be. Nothing was charged.',
  },
  coupon_already_used: {
    status: 409,
    title: 'Coupon already used',
    detail: 'This account has used the coupon as often as it may. Nothing was charged.',
  },
  coupon_not_applicable: {
    status: 422,
    title: 'Coupon not applicable',
    detail: 'This coupon gives nothing for this bundle. Nothing was charged, and the coupon was not used.',
  },
  no_card: {
    status: 409,
    title: 'No card on file',
    detail: 'No card is on file. Add one with POST /api/users/current/verify-payment first.',
  },
  purchase_open: {
    status: 409,
    title: 'Another payment is open',
    detail: 'Another payment of this account is not settled yet. Try again in a moment.',
  },
  request_in_flight: {
    status: 409,
    title: 'Request in flight',
    detail: 'A request with this Idempotency-Key is still in progress. Try again in a moment.',
  },
  idempotency_key_reused: {
    status: 422,
    title: 'Idempotency-Key reused',
    detail: 'This Idempotency-Key was sent with another request before. Use a new one.',
  },
  webhook_refused: {
    status: 400,
    title: 'Webhook refused',
    detail: 'The event is not signed for this endpoint.',
  },
  conflict: {
    status: 409,
    title: 'Conflict',
    detail: 'Another request changed the same resource at the same time. Read it again and retry.',
  },
  account_deactivated: {
    status: 403,
    title: 'Account deactivated',
    detail: 'The account is deactivated. Restore it with POST /api/users/restore.',
  },
  account_suspended: {
    status: 403,
    title: 'Account suspended',
    detail: 'The account is suspended. Contact support.',
  },
  not_found: { status: 404, title: 'Not found', detail: 'Not found.' },
  username_taken: { status: 409, title: 'Username taken', detail: 'Another account has this username.' },
  email_taken: { status: 409, title: 'E-mail address taken', detail: 'Another account has this address.' },
  service_exists: {
    status: 409,
    title: 'Service exists',
    detail: 'A service of this name has a live credential.',
  },
  admin_key_exists: {
    status: 409,
    title: 'Admin key exists',
    detail: 'A live admin key, or an account that is or was an operator, has this name.',
  },
  admin_key_refused: {
    status: 401,
    title: 'Admin key refused',
    detail:
      'Send an admin key in the header Api-Key. This one is missing or unknown, or was revoked. Ask an administrator of this deployment for a new one.',
    authenticate: 'Api-Key',
  },
  operator_exists: {
    status: 409,
    title: 'Operator exists',
    detail:
      'Another account or an admin key has been an operator of this name, or the operator has changed meanwhile.',
  },
  operator_refused: {
    status: 403,
    title: 'Not an operator',
    detail: 'The account is no operator, or its role does not permit this.',
  },
  operator_sign_in_required: {
    status: 403,
    title: 'Operator sign-in required',
    detail:
      'Operators sign in with a second factor or a passkey, and again after eight hours. Enrol one if the account has none.',
  },
  payload_too_large: { status: 413, title: 'Payload too large', detail: 'The body is too large.' },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send the body uncompressed, as UTF-8, in a content type that this endpoint accepts.',
  },
  password_refused: {
    status: 400,
    title: 'Password refused',
    detail: 'Choose another password.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    detail: 'Something went wrong on our side. Please quote the request id when you report it.',
  },
  temporarily_unavailable: {
    status: 503,
    title: 'Temporarily unavailable',
    detail: 'A service that this request needs did not answer. Try again in a moment.',
  },
}

/** The Retry-After of a 503, unless the domain's error has another. */
const UNAVAILABLE_SECONDS = 1

/** Seconds after which the same request is worth sending again; undefined if waiting alone does not help. */
export const retryAfterOf = ({ code, retryAfterSeconds }: DomainError): number | undefined =>
  retryAfterSeconds ?? (problems[code].status === 503 ? UNAVAILABLE_SECONDS : undefined)

/** RFC 9457 problem details: the error format of `/api` and `/v1`. */
export function problemDetails(error: DomainError, requestId: string) {
  const { status, title, detail } = problems[error.code]
  const errors = error.fields.length > 0 ? { errors: error.fields } : {}
  const retryAfter = retryAfterOf(error)
  return {
    type: `urn:bursar:problem:${error.code}`,
    title,
    status,
    detail: error.detail ?? detail,
    requestId,
    ...(retryAfter !== undefined && { retryAfter }),
    ...(error.clientSecret !== undefined && { clientSecret: error.clientSecret }),
    ...error.members,
    ...(error.replayed && { replayed: true }),
    ...errors,
  }
}

/** Skylink's error envelope: `status` 0 and one message, which names the refused fields. */
export function skylinkFailure(error: DomainError) {
  const fields = error.fields.map(({ field, message }) => `${field} ${message}`).join('; ')
  return { status: 0, message: fields || (error.detail ?? problems[error.code].detail) }
}
