import { displayName } from '../../core/account/account.ts'
import { suspendAccount } from '../../core/account/suspend.ts'
import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { emcpAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.suspendUser, async ({ path, body, deps }) => {
  const { reason = admin.suspendUser.routes[0] } = body ?? {}
  const account = await suspendAccount(deps, path.id, { reason, silent: false })
  return emcpAccount(account, displayName(account), CURRENCY)
})
