import type { $ZodType, output } from 'zod/v4/core'
import type { Role } from '../../../core/operators/operator.ts'
import { realEffects, sendRepeatedly } from '../../client/attempt.ts'
import { cursorOf } from '../../client/listing.ts'
import type { access } from '../../ops/rows/access.ts'
import type { adminKeys } from '../../ops/rows/admin-keys.ts'
import type { audit } from '../../ops/rows/audit.ts'
import type { blocks } from '../../ops/rows/blocks.ts'
import type { eventEndpoints } from '../../ops/rows/event-endpoints.ts'
import type { money } from '../../ops/rows/money.ts'
import type { operators } from '../../ops/rows/operators.ts'
import type { plans } from '../../ops/rows/plans.ts'
import type { reports } from '../../ops/rows/reports.ts'
import type { services } from '../../ops/rows/services.ts'
import { asked } from './question.ts'
import { withToken } from './session.ts'

/** Only the types of the rows: what they are made of is not in the page. */
type Rows = typeof access &
  typeof adminKeys &
  typeof audit &
  typeof blocks &
  typeof eventEndpoints &
  typeof money &
  typeof operators &
  typeof plans &
  typeof reports &
  typeof services

/** The route of each endpoint that the console calls, which the compiler compares with the row. */
const routes = {
  whoami: 'GET /ops/read/whoami',
  find: 'GET /ops/read/find',
  timeline: 'GET /ops/read/accounts/{id}/timeline',
  listAccounts: 'GET /ops/read/accounts',
  totals: 'GET /ops/read/totals',
  top: 'GET /ops/read/top',
  suspend: 'POST /ops/support/accounts/{id}/suspend',
  resume: 'POST /ops/support/accounts/{id}/resume',
  signOut: 'POST /ops/support/accounts/{id}/sign-out',
  resetTwoFactor: 'POST /ops/support/accounts/{id}/reset-2fa',
  keepTwoFactor: 'POST /ops/support/accounts/{id}/reset-2fa/stop',
  changeEmail: 'POST /ops/support/accounts/{id}/change-email',
  keepEmail: 'POST /ops/support/accounts/{id}/change-email/stop',
  resendMail: 'POST /ops/support/accounts/{id}/resend',
  unlock: 'POST /ops/support/accounts/{id}/unlock',
  close: 'POST /ops/support/accounts/{id}/close',
  reopen: 'POST /ops/support/accounts/{id}/reopen',
  erase: 'POST /ops/admin/accounts/{id}/erase',
  exportAccount: 'POST /ops/support/accounts/{id}/export',
  grant: 'POST /ops/support/accounts/{id}/grant',
  take: 'POST /ops/support/accounts/{id}/take',
  credit: 'POST /ops/support/accounts/{id}/credit',
  debit: 'POST /ops/support/accounts/{id}/debit',
  refund: 'POST /ops/support/accounts/{id}/purchases/{purchase}/refund',
  reconcileAccount: 'POST /ops/support/accounts/{id}/reconcile',
  reconcile: 'POST /ops/admin/reconcile',
  showPlans: 'GET /ops/read/plans',
  listPlanVersions: 'GET /ops/read/plans/versions',
  comparePlans: 'POST /ops/read/plans/compare',
  applyPlans: 'PUT /ops/admin/plans',
  listCoupons: 'GET /ops/read/coupons',
  addCoupon: 'POST /ops/admin/coupons',
  stopCoupon: 'POST /ops/admin/coupons/{code}/stop',
  listBlockedCards: 'GET /ops/read/blocked-cards',
  blockCard: 'POST /ops/admin/blocked-cards',
  unblockCard: 'POST /ops/admin/blocked-cards/unblock',
  listMailDomains: 'GET /ops/read/mail-domains',
  ruleMailDomain: 'POST /ops/admin/mail-domains',
  listEventEndpoints: 'GET /ops/read/endpoints',
  addEventEndpoint: 'POST /ops/admin/endpoints',
  changeEventEndpoint: 'PUT /ops/admin/endpoints/{id}',
  rotateEventEndpoint: 'POST /ops/admin/endpoints/{id}/rotate',
  replayEvents: 'POST /ops/support/endpoints/{id}/replay',
  testEventEndpoint: 'POST /ops/support/endpoints/{id}/test',
  listDeliveries: 'GET /ops/read/endpoints/{id}/deliveries',
  auditOfAccount: 'GET /ops/read/accounts/{id}/audit',
  auditOfOperator: 'GET /ops/read/operators/{name}/audit',
  listOperators: 'GET /ops/read/operators',
  addOperator: 'POST /ops/admin/operators',
  removeOperator: 'POST /ops/admin/operators/{name}/remove',
  listServices: 'GET /ops/read/services',
  addService: 'POST /ops/admin/services',
  revokeService: 'POST /ops/admin/services/{name}/revoke',
  listAdminKeys: 'GET /ops/read/admin-keys',
  addAdminKey: 'POST /ops/admin/admin-keys',
  revokeAdminKey: 'POST /ops/admin/admin-keys/{name}/revoke',
} as const satisfies { [N in keyof Rows]?: Rows[N]['routes'][0] }

export type CallName = keyof typeof routes

type Part<R, P extends string> = R extends { [K in P]: infer S extends $ZodType } ? output<S> : unknown

/** Everything that an endpoint takes, by name: what is in the path, in the query and in the body. */
export type Input<N extends CallName> = Part<Rows[N], 'path'> & Part<Rows[N], 'query'> & Part<Rows[N], 'body'>

type AnswersOf<R extends object> = {
  [S in keyof R]: R[S] extends $ZodType ? output<R[S]> : undefined
}[keyof R]
export type Answer<N extends CallName> = AnswersOf<Rows[N]['responses']>

/** What recognises a repeat takes the name of the request, by which a repeat does nothing twice. */
type Arguments<N extends CallName> = Rows[N] extends { headers: $ZodType }
  ? [input: Input<N>, request: string]
  : Record<never, never> extends Input<N>
    ? [input?: Input<N>]
    : [input: Input<N>]

/** The least role that may call an endpoint, which is the first part of its path. */
export const roleOf = (name: CallName): Role => routes[name].split('/')[2] as Role

const ROLES = ['read', 'support', 'admin'] as const satisfies readonly Role[]
export const may = (role: Role, name: CallName): boolean => ROLES.indexOf(role) >= ROLES.indexOf(roleOf(name))

/**
 * Calls an endpoint as the operator who is signed in. Where that needs a sign-in or a proof, the person is asked for it,
 * and the call goes on.
 * @throws BursarError
 */
export const call = async <N extends CallName>(name: N, ...args: Arguments<N>): Promise<Answer<N>> =>
  (await callPage(name, ...args)).value

/** As `call`, for a list of which the header `Link` names the next page. */
export async function callPage<N extends CallName>(
  name: N,
  ...[input, request]: Arguments<N>
): Promise<{ value: Answer<N>; cursor: string | undefined }> {
  const { method, url, body } = requestOf(name, input as Record<string, unknown> | undefined)
  const { headers, body: value } = await asked(() =>
    withToken((token) =>
      sendRepeatedly(
        (address, init) => fetch(address, init),
        {
          method,
          url,
          headers: {
            accept: 'application/json, application/problem+json',
            authorization: `Bearer ${token}`,
            ...(body && { 'content-type': 'application/json' }),
            ...(request && { 'idempotency-key': request }),
          },
          body,
          signal: undefined,
          timeoutMs: 30_000,
        },
        {
          retries: 2,
          maxWaitMs: 3_000,
          repeats: method === 'GET' || request !== undefined,
          named: request !== undefined,
        },
        realEffects,
      ),
    ),
  )
  return { value: value as Answer<N>, cursor: cursorOf(headers.get('link')) }
}

function requestOf(name: CallName, input: Record<string, unknown> = {}) {
  const [method = '', pattern = ''] = routes[name].split(' ')
  const rest = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
  const path = pattern.replace('/ops/', '/console/').replace(/\{(\w+)\}/g, (_, field: string) => {
    const text = encodeURIComponent(String(rest[field]))
    delete rest[field]
    return text
  })
  if (method !== 'GET') return { method, url: location.origin + path, body: JSON.stringify(rest) }
  const search = new URLSearchParams(Object.entries(rest).map(([field, value]) => [field, String(value)]))
  return { method, url: `${location.origin}${path}${search.size > 0 ? `?${search}` : ''}`, body: undefined }
}
