import type { ErrorCode } from '../../core/errors.ts'
import { asksPeople, guardsOf, isRead, type Placed } from './route.ts'

/**
 * Every error code that an endpoint can answer: those of its row, and those of the stack around the handler.
 */
export function errorsOf(row: Placed): ErrorCode[] {
  const codes: ErrorCode[] = [...row.errors, 'internal_error']
  if (row.auth === 'account' || row.auth === 'operator') {
    codes.push('unauthorized', 'token_expired', 'session_ended', 'account_deactivated', 'account_suspended')
  }
  if (row.auth === 'account' && !isRead(row)) codes.push('read_only_token')
  if (row.auth === 'operator') codes.push('operator_refused', 'operator_sign_in_required')
  if (row.auth === 'admin-key') codes.push('admin_key_refused', 'operator_refused')
  if (row.proof === 'recent') codes.push(...proofErrors)
  if (asksPeople(row)) codes.push('challenge_required')
  if (guardsOf(row).length > 0) codes.push('too_many_requests')
  if (row.auth === 'key') {
    codes.push('unauthorized', 'account_deactivated', 'account_suspended')
    codes.push('key_expired', 'key_disabled', 'ip_not_allowed', 'service_refused', 'not_found')
  }
  // A row without a body or parameters still refuses a request that has a body.
  codes.push('invalid_request', 'malformed_body', 'payload_too_large', 'unsupported_media_type')
  if (row.needs.length > 0) codes.push('temporarily_unavailable')
  return [...new Set(codes)]
}

/** What `checkProof` answers. */
const proofErrors: ErrorCode[] = [
  'reauthentication_required',
  'wrong_password',
  'password_locked',
  'two_factor_required',
  'two_factor_invalid',
  'two_factor_locked',
]
