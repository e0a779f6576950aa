import { displayName } from '../../core/account/account.ts'
import { resumeAccount } from '../../core/account/suspend.ts'
import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { emcpAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.activateUser, async ({ path, body, deps }) => {
  const { reason = admin.activateUser.routes[0] } = body ?? {}
  const account = await resumeAccount(deps, path.id, reason)
  return emcpAccount(account, displayName(account), CURRENCY)
})
