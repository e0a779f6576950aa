import { deactivateAccount } from '../../core/account/profile.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(api.deactivate, async ({ caller, deps }) => {
  await deactivateAccount(deps, caller.account)
  return { message: 'Account is deactivated' }
})
