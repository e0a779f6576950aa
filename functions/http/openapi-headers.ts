import type { ErrorCode } from '../../core/errors.ts'
import { retryAfterOfCode } from './openapi-problems.ts'
import type { Placed } from './route.ts'

const text = { type: 'string' }

/** The headers of answers that say something of their own. */
export const answerHeaders = {
  Link: {
    description: 'Leads to the next page with `rel="next"` (RFC 8288), as long as there is one.',
    schema: text,
    example: '</v1/invoice/list?limit=10&cursor=5f3c1e9a7b2d4c6e8f0a1b2c>; rel="next"',
  },
  'Retry-After': {
    description: 'Seconds after which the same request is worth sending again.',
    schema: { type: 'integer', minimum: 0 },
    example: 2,
  },
  'WWW-Authenticate': {
    description:
      'How to authenticate (RFC 6750), with `error="invalid_token"` where the credential that was sent works no more.',
    schema: text,
    example: 'Bearer error="invalid_token"',
  },
  RateLimit: {
    description:
      'What is left for now and the seconds until there is more, by limit: of an application key in units, of a network address in requests.',
    schema: text,
    example: '"key";r=99;t=1',
  },
  'RateLimit-Policy': {
    description:
      'How much each limit allows, and the seconds of its window: of an application key in units, of a network address in requests.',
    schema: text,
    example: '"key";q=100;w=10',
  },
  'Idempotent-Replayed': {
    description: 'There, and `true`, if an earlier copy of the request got this answer.',
    schema: { type: 'string', enum: ['true'] },
    example: 'true',
  },
} as const

export type HeaderName = keyof typeof answerHeaders

/** References to headers, as the member `headers` of an answer; nothing without any. */
export const headersOf = (names: readonly HeaderName[]) =>
  names.length > 0 && {
    headers: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }])),
  }

const RATE = ['RateLimit', 'RateLimit-Policy'] as const

const fieldsOf = (schema: unknown): string[] =>
  Object.keys((schema as { shape?: object } | undefined)?.shape ?? {})

/** Whether another page of the row's list is in the header Link. Some lists of operators have it in their body. */
const hasLink = ({ query, responses }: Placed): boolean =>
  fieldsOf(query).some((name) => name === 'page' || name === 'cursor') &&
  !fieldsOf(responses[200]).includes('next')

const isNamed = ({ headers }: Placed): boolean => fieldsOf(headers).includes('idempotency-key')

export const successHeaders = (row: Placed): HeaderName[] => [
  ...(hasLink(row) ? ['Link' as const] : []),
  ...(row.errors.includes('rate_limited') || row.customers || row.guards ? RATE : []),
  ...(isNamed(row) ? ['Idempotent-Replayed' as const] : []),
]

/** The codes whose answers say where the key stands with its rate limit. */
const LIMITS: readonly ErrorCode[] = ['key_budget_exhausted', 'over_burst', 'rate_limited']

export const failureHeaders = (row: Placed, status: number, codes: readonly ErrorCode[]): HeaderName[] => [
  ...(status === 401 ? ['WWW-Authenticate' as const] : []),
  ...(codes.some((code) => retryAfterOfCode(code) !== 'never') ? ['Retry-After' as const] : []),
  ...(row.guards || codes.some((code) => LIMITS.includes(code)) ? RATE : []),
  ...(isNamed(row) && status === 402 ? ['Idempotent-Replayed' as const] : []),
]
