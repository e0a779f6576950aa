import { deleteAccount, repeatDeletion } from '../../core/account/deletion.ts'
import { deletedAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(
  v1.deleteUser,
  async ({ body, caller, deps }) =>
    deletedAccount(await deleteAccount(deps, caller.account, body?.units === 'forfeit')),
  async ({ caller, deps }, refusal) => deletedAccount(await repeatDeletion(deps, caller.account, refusal)),
)
