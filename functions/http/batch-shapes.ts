import type { BatchAnswer } from '../../core/quota/batch-group.ts'

/** The answer to one request of a batch, with the status that the request would have got on its own. */
export function batchAnswer<A extends BatchAnswer>(requestId: string | undefined, { outcome, ...use }: A) {
  const answer = { ...(requestId !== undefined && { requestId }), ...use }
  return outcome === 'spent'
    ? { ...answer, status: 200 as const }
    : { ...answer, status: 402 as const, type: 'urn:bursar:problem:quota_exhausted' }
}
