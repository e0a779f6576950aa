import type { Allowed, Balance, Refused } from './spender.ts'

/** An answer of the service to its customer. */
export interface HttpAnswer {
  status: number
  headers: Record<string, string>
  body: string
}

/** The service's own answer to a refusal; what it leaves out stays as it is by default. */
export interface OwnAnswer {
  status?: number
  /** Added to the default ones. */
  headers?: Record<string, string>
  /** Text is sent as it is, and anything else as JSON. */
  body?: unknown
}

/** For the service's customer, who knows nothing of Bursar. */
const TEXTS: Record<Refused['status'], { title: string; detail: string }> = {
  401: {
    title: 'Not authorised',
    detail: 'The API key is unknown, expired or was revoked. Use a valid one.',
  },
  402: {
    title: 'Not enough units',
    detail: 'Not enough units are left for this request, and none were spent. Add units, then try again.',
  },
  403: {
    title: 'Not allowed',
    detail:
      'This API key may not be used for this request. Check its settings, and that its account is active.',
  },
  429: {
    title: 'Too many requests',
    detail: 'This API key sends requests too fast. Try again after the time in Retry-After.',
  },
  503: {
    title: 'Temporarily unavailable',
    detail: 'The request could not be metered, so it was not served. Try again in a moment.',
  },
}
const CODES: Record<string, string> = {
  key_missing: 'Send your API key as `Authorization: Bearer …` or in the header `x-api-key`.',
  key_budget_exhausted:
    'The budget of this API key is used up. Raise it, use another key, or wait until it starts again.',
}

/** RFC 9457 problem details. A 503 does not tell customers what is wrong between the service and Bursar. */
export function refusalAnswer(refused: Refused, own: OwnAnswer = {}): HttpAnswer {
  const { status, left, needed, retryAfterSeconds } = refused
  const code = status === 503 ? 'temporarily_unavailable' : refused.code
  const problem = {
    type: `urn:bursar:problem:${code}`,
    title: TEXTS[status].title,
    status: own.status ?? status,
    detail: CODES[code] ?? TEXTS[status].detail,
    ...(left !== undefined && { left }),
    ...(needed !== undefined && { needed }),
  }
  const { body = problem } = own
  const isOwn = own.body !== undefined
  const type = typeof body === 'string' ? 'text/plain;charset=UTF-8' : 'application/json'
  return {
    status: own.status ?? status,
    headers: {
      'content-type': isOwn ? type : 'application/problem+json',
      'cache-control': 'no-store',
      ...(status === 401 && { 'www-authenticate': 'Bearer' }),
      ...(retryAfterSeconds !== undefined && { 'retry-after': String(Math.ceil(retryAfterSeconds)) }),
      ...balanceHeaders(refused),
      ...lowerCased(own.headers),
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  }
}

const lowerCased = (headers: Record<string, string> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

/**
 * `X-Units-Left`, because prepaid units have no window, as `RateLimit` would claim; that field is passed on for a key with
 * a rate, as Bursar answers it.
 */
export function balanceHeaders({ left, rateLimit, rateLimitPolicy }: Balance): Record<string, string> {
  return {
    ...(left !== undefined && { 'x-units-left': String(left) }),
    ...(rateLimit !== undefined && { ratelimit: rateLimit }),
    ...(rateLimitPolicy !== undefined && { 'ratelimit-policy': rateLimitPolicy }),
  }
}

/** Members of a decision that say who spends and what is left. */
export const balanceIn = ({ left, used, account, key, keyLeft }: Allowed): Balance => ({
  ...(left !== undefined && { left }),
  ...(used !== undefined && { used }),
  ...(account !== undefined && { account }),
  ...(key !== undefined && { key }),
  ...(keyLeft !== undefined && { keyLeft }),
})
