import * as z from 'zod/mini'
import type { ErrorCode } from '../../core/errors.ts'
import { problems } from './problems.ts'

/** What a problem has besides the members that all have. A member that may be absent is optional. */
type Members = Record<string, z.ZodMiniType>

const text = z.string().check(z.minLength(1))
const whole = z.int().check(z.gte(0))

/** Who wanted to spend, and how many units there are. */
const spending: Members = {
  left: z.int(),
  used: z.int(),
  needed: z.int(),
  keyLeft: z.optional(z.int()),
  account: z.string().check(z.regex(/^[0-9a-f]{24}$/)),
  key: z.object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.string()),
    metadata: z.optional(z.record(z.string(), z.unknown())),
  }),
}

/** Of a request with an Idempotency-Key, or one like it, whose first copy got this answer. */
const repeatable: Members = { replayed: z.optional(z.literal(true)) }

/** Seconds until there is a better answer, as in Retry-After. */
const waiting: Members = { retryAfter: whole }

const membersOf: Partial<Record<ErrorCode, Members>> = {
  invalid_request: {
    errors: z.array(z.object({ field: text, message: text })).check(z.minLength(1)),
  },
  card_declined: repeatable,
  payment_action_required: { clientSecret: z.string().check(z.regex(/^pi_\w+_secret_\w+$/)), ...repeatable },
  refund_refused: repeatable,
  quota_exhausted: { ...spending, refill: z.enum(['/v1/user/buy', '/v1/user/bundle']), ...waiting },
  key_budget_exhausted: { ...spending, retryAfter: z.optional(whole) },
  over_burst: spending,
  rate_limited: spending,
  challenge_required: { siteKey: text },
  insufficient_scope: { missing: z.array(z.string()) },
  too_few_units: { left: z.int() },
  too_little_credit: { creditCents: z.int() },
}

/** The statuses whose problems always come with Retry-After. */
const WAITING: readonly number[] = [429, 503]

/** Whether a problem may come with the header Retry-After, and always does. */
export const retryAfterOfCode = (code: ErrorCode): 'always' | 'sometimes' | 'never' => {
  const { retryAfter } = schemaOfCode(code).shape as Members
  if (!retryAfter) return 'never'
  return retryAfter._zod.optin === 'optional' ? 'sometimes' : 'always'
}

const urnOf = (code: ErrorCode): string => `urn:bursar:problem:${code}`

/** The members that every problem has (RFC 9457). */
export const anyProblem = (codes: readonly ErrorCode[]) =>
  z.object({
    type: z.enum(codes.map(urnOf)),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    requestId: z.string(),
  })

/** The whole problem of a code, with its own members and no other. */
export function schemaOfCode(code: ErrorCode) {
  const { status, title } = problems[code]
  return z.strictObject({
    type: z.literal(urnOf(code)),
    title: z.literal(title),
    status: z.literal(status),
    detail: z.string(),
    requestId: z.string(),
    ...(WAITING.includes(status) ? waiting : {}),
    ...membersOf[code],
  })
}

/** The name of a code's problem in the document, such as `CardDeclinedProblem`. */
export const nameOfCode = (code: ErrorCode): string =>
  `${code.replace(/(?:^|_)(\w)/g, (_, letter: string) => letter.toUpperCase())}Problem`
