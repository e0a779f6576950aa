import { consumeBatch } from '../../core/quota/batch.ts'
import { batchAnswer } from '../http/batch-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.consumeBatch, async ({ caller, body, deps, headers }) => {
  const key = headers['idempotency-key']
  // A key for the whole batch gives an id to each request that has none.
  const named = body.requests.map((request, at) =>
    key === undefined ? request : { requestId: `${key}#${at}`, ...request },
  )
  const answers = await consumeBatch(deps, caller.key, named)
  return { answers: answers.map(batchAnswer) }
})
