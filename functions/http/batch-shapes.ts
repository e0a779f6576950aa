import type { BatchAnswer } from '../../core/quota/batch.ts'

/** The answer to one request of a batch, with the status that the request would have got on its own. */
export const batchAnswer = ({ outcome, ...rest }: BatchAnswer) =>
  outcome === 'spent'
    ? { ...rest, status: 200 as const }
    : { ...rest, status: 402 as const, type: 'urn:bursar:problem:quota_exhausted' as const }
