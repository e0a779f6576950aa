import { changeCard } from '../../core/cards/change.ts'
import { startIfNeeded } from '../../core/quota/renewal-call.ts'
import { endpoint, replayHeader, reply } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.changeCard, async ({ body, caller, deps, headers }) => {
  const address = 'default' in body.address ? undefined : body.address
  const card = { cardId: body.paymentMethod, address }
  const outcome = await changeCard(deps, caller.account, card, headers['idempotency-key'])
  const { status, ...replay } = outcome
  if (status === 'pending') return reply(202, { status, ...replay })
  await startIfNeeded(deps, caller.account)
  return reply(204, undefined, replayHeader(replay))
})
