import { consumeBatch } from '../../core/quota/batch.ts'
import { consumeForCustomers } from '../../core/quota/batch-customers.ts'
import { batchAnswer } from '../http/batch-shapes.ts'
import { customerAnswer, customersOfEach } from '../http/customers.ts'
import { endpoint, replayHeader, reply } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.consumeBatch, async ({ caller, body, deps, headers }) => {
  const batchKey = headers['idempotency-key']
  const customers = customersOfEach(caller, body.requests)
  const requests = customers.map((customer, position) => {
    const { units = 0, requestId } = body.requests[position] ?? {}
    const place = batchKey === undefined ? undefined : ([batchKey, position] as const)
    return { units, requestId: requestId ?? place, customer }
  })
  const idAt = (at: number) => body.requests[at]?.requestId
  if (caller.service !== undefined) {
    const answers = await consumeForCustomers(deps, requests)
    const shown = answers.map((answer, at) => customerAnswer(idAt(at), answer))
    return reply(200, { answers: shown }, replayHeader({ replayed: shown.every(isReplayed) }))
  }
  const { answers, ...spender } = await consumeBatch(deps, caller.customer.key, requests)
  const shown = answers.map((answer, at) => batchAnswer(idAt(at), answer))
  return reply(200, { ...spender, answers: shown }, replayHeader({ replayed: shown.every(isReplayed) }))
})

const isReplayed = (answer: object) => 'replayed' in answer && answer.replayed === true
