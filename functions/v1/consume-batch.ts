import { consumeBatch } from '../../core/quota/batch.ts'
import { consumeForCustomers } from '../../core/quota/batch-customers.ts'
import { batchAnswers, batchRequests } from '../http/customers.ts'
import { endpoint, replayHeader, reply } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.consumeBatch, async ({ caller, body, deps, headers }) => {
  const requests = batchRequests(caller, body, headers['idempotency-key'])
  if (caller.service !== undefined) {
    const shown = batchAnswers(body.requests, await consumeForCustomers(deps, requests))
    return reply(200, { answers: shown.answers }, replayHeader(shown))
  }
  const { answers, rate, ...spender } = await consumeBatch(
    deps,
    { ...caller.key, requires: body.requires },
    requests,
  )
  const shown = batchAnswers(body.requests, answers)
  return reply(200, { ...spender, answers: shown.answers, ...(rate && { rate }) }, replayHeader(shown))
})
