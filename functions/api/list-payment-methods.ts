import { listCards } from '../../core/cards/list.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.listPaymentMethods, async ({ caller, deps }) =>
  listCards(deps, caller.account),
)
