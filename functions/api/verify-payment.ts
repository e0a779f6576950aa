import { proveCard } from '../../core/cards/verify.ts'
import { startIfNeeded } from '../../core/quota/renewal-call.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.verifyPayment, async ({ body, caller, deps, headers }) => {
  const card = { purpose: 'verify', cardId: body.paymentMethod } as const
  const idempotencyKey = headers['idempotency-key']
  const outcome = await proveCard(deps, caller.account, card, { idempotencyKey })
  const { status, ...replay } = outcome
  if (status === 'pending') return reply(202, { status, ...replay })
  await startIfNeeded(deps, caller.account)
  return reply(200, { status: 'ok' as const, ...replay })
})
