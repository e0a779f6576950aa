import type { DomainError, ErrorCode } from '../../core/errors.ts'

/** HTTP status, title and the sentence shown when the domain has nothing more precise to say. */
export const problems: Record<ErrorCode, { status: number; title: string; detail: string }> = {
  invalid_request: {
    status: 400,
    title: 'Invalid request',
    detail: 'The request does not fit this endpoint; `errors` lists what to change.',
  },
  malformed_body: { status: 400, title: 'Malformed body', detail: 'The body cannot be read.' },
  invalid_code: {
    status: 400,
    title: 'Invalid code',
    detail: 'The code is unknown, used, expired or superseded. Ask for a new one.',
  },
  unauthorized: { status: 401, title: 'Not authorised', detail: 'Send a valid access token.' },
  session_ended: {
    status: 401,
    title: 'Session ended',
    detail: 'The session has expired or was ended. Sign in again.',
  },
  invalid_credentials: {
    status: 401,
    title: 'Invalid credentials',
    detail: 'The name or the password is wrong.',
  },
  account_deactivated: {
    status: 403,
    title: 'Account deactivated',
    detail: 'The account is deactivated. Its owner can restore it.',
  },
  account_suspended: {
    status: 403,
    title: 'Account suspended',
    detail: 'The account is suspended. Contact support.',
  },
  not_found: { status: 404, title: 'Not found', detail: 'There is nothing of that name here.' },
  username_taken: { status: 409, title: 'Username taken', detail: 'Another account has this username.' },
  email_taken: { status: 409, title: 'E-mail address taken', detail: 'Another account has this address.' },
  payload_too_large: { status: 413, title: 'Payload too large', detail: 'A body may have 64 KiB at most.' },
  unsupported_media_type: {
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send the body as UTF-8, uncompressed, in a content type that this endpoint takes.',
  },
  password_refused: {
    status: 400,
    title: 'Password refused',
    detail: 'Choose another password.',
  },
  internal_error: {
    status: 500,
    title: 'Internal error',
    detail: 'Something went wrong on our side. Quote the request id when you report it.',
  },
  temporarily_unavailable: {
    status: 503,
    title: 'Temporarily unavailable',
    detail: 'A service behind this one did not answer. Try again in a moment.',
  },
}

/** RFC 9457 problem details: the error format of `/api` and `/v1`. */
export function problemDetails(error: DomainError, requestId: string) {
  const { status, title, detail } = problems[error.code]
  const errors = error.fields.length > 0 ? { errors: error.fields } : {}
  return {
    type: `urn:bursar:problem:${error.code}`,
    title,
    status,
    detail: error.detail ?? detail,
    requestId,
    ...errors,
  }
}

/** Skylink's envelope (seed 003): `status` 0 and one message; refused fields are named in it. */
export function skylinkFailure(error: DomainError) {
  const fields = error.fields.map(({ field, message }) => `${field} ${message}`).join('; ')
  return { status: 0, message: fields || (error.detail ?? problems[error.code].detail) }
}
