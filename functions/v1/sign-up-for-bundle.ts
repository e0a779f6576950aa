import { buyBundle } from '../../core/purchases/buy.ts'
import { endpoint, replayHeader, reply } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.signUpForBundle, async ({ body, caller, deps, headers }) => {
  const { name: bundle, paymentMethod: cardId, address, coupon } = body
  const wanted = { kind: 'signup', bundle, cardId, address, coupon } as const
  const answer = await buyBundle(deps, caller.account, wanted, headers['idempotency-key'])
  return answer.status === 'paid' ? reply(204, undefined, replayHeader(answer)) : reply(202, answer)
})
