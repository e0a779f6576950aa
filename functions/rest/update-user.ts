import { requireOwnUsername } from '../../core/account/account.ts'
import { isRepeatedRename, renameAccount } from '../../core/account/profile.ts'
import { skylinkAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { rest } from './routes.ts'

export const handler = endpoint(rest.updateUser, async ({ body, caller, deps, path }) => {
  if (isRepeatedRename(caller.account, path.username, body)) return skylinkAccount(caller.account)
  requireOwnUsername(caller.account, path.username)
  return skylinkAccount(await renameAccount(deps, caller, body))
})
