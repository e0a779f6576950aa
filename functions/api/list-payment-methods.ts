import { listStoredCards } from '../../core/cards/list.ts'
import { stripeCardList } from '../http/card-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.listPaymentMethods, async ({ caller: { account }, deps }) =>
  stripeCardList(await listStoredCards(deps, account), account.customer?.id),
)
