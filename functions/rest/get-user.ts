import { requireOwnUsername } from '../../core/account/account.ts'
import { skylinkAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { rest } from './routes.ts'

export const handler = endpoint(rest.getUser, async ({ caller, path }) => {
  requireOwnUsername(caller.account, path.username)
  return skylinkAccount(caller.account)
})
