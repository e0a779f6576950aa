import { proveCard } from '../../core/cards/verify.ts'
import { startIfNeeded } from '../../core/quota/renewal-call.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.verifyPayment, async ({ body, caller, deps, headers }) => {
  const card = { purpose: 'verify', cardId: body.paymentMethod } as const
  const idempotencyKey = headers['idempotency-key']
  const outcome = await proveCard(deps, caller.account, card, { idempotencyKey })
  if (outcome === 'proved') await startIfNeeded(deps, caller.account)
  return outcome === 'proved'
    ? reply(200, { status: 'ok' as const })
    : reply(202, { status: 'pending' as const })
})
