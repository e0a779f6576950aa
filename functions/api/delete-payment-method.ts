import { removeCard } from '../../core/cards/remove.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.deletePaymentMethod, async ({ caller, deps, path }) =>
  removeCard(deps, caller.account, path.id),
)
