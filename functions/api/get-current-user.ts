import { displayName } from '../../core/account/account.ts'
import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { emcpAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.getCurrentUser, async ({ caller: { account } }) =>
  emcpAccount(account, displayName(account), CURRENCY),
)
