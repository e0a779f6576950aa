import { consumeBatch } from '../../core/quota/batch.ts'
import { batchAnswer } from '../http/batch-shapes.ts'
import { endpoint, replayHeader, reply } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.consumeBatch, async ({ caller, body, deps, headers }) => {
  const batchKey = headers['idempotency-key']
  const requests = body.requests.map(({ units, tag = body.tag, requestId }, position) => ({
    units,
    tag,
    requestId: requestId ?? (batchKey === undefined ? undefined : ([batchKey, position] as const)),
  }))
  const { answers, rate, ...spender } = await consumeBatch(
    deps,
    { ...caller.key, requires: body.requires },
    requests,
  )
  const shown = answers.map((answer, at) => batchAnswer(body.requests[at]?.requestId, answer))
  return reply(
    200,
    { ...spender, answers: shown, ...(rate && { rate }) },
    replayHeader({ replayed: answers.every(({ replayed }) => replayed) }),
  )
})
