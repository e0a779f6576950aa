import { registerAccount } from '../../core/account/register.ts'
import { skylinkAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { rest } from './routes.ts'

export const handler = endpoint(rest.createUser, async ({ body, deps }) => {
  return skylinkAccount(await registerAccount(deps, body))
})
