import type { BatchAnswer } from '../../core/quota/batch-group.ts'

/** The status and the code of an answer that spends nothing. */
const REFUSALS = {
  exhausted: [402, 'quota_exhausted'],
  key_budget_exhausted: [402, 'key_budget_exhausted'],
  over_burst: [403, 'over_burst'],
  rate_limited: [429, 'rate_limited'],
} as const

/** The answer to one request of a batch, with the status that the request would have got on its own. */
export function batchAnswer<A extends BatchAnswer>(
  requestId: string | undefined,
  { outcome, retryAfterSeconds: retryAfter, ...use }: A,
) {
  const answer = {
    ...(requestId !== undefined && { requestId }),
    ...(retryAfter !== undefined && { retryAfter }),
    ...use,
  }
  if (outcome === 'spent') return { ...answer, status: 200 as const }
  const [status, code] = REFUSALS[outcome]
  return { ...answer, status, type: `urn:bursar:problem:${code}` }
}
