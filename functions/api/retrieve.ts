import { customerOf } from '../../core/cards/list.ts'
import { stripeCustomer } from '../http/card-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.retrieve, async ({ caller }) =>
  stripeCustomer(customerOf(caller.account)),
)
