import { changeCard } from '../../core/cards/change.ts'
import { startIfNeeded } from '../../core/quota/renewal-call.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.changeCard, async ({ body, caller, deps }) => {
  const address = 'default' in body.address ? undefined : body.address
  const outcome = await changeCard(deps, caller.account, { cardId: body.paymentMethod, address })
  if (outcome === 'proved') await startIfNeeded(deps, caller.account)
  return outcome === 'proved' ? reply(204, undefined) : reply(202, { status: 'pending' as const })
})
