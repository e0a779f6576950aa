import { displayName } from '../../core/account/account.ts'
import { setName } from '../../core/account/profile.ts'
import { changePassword, repeatPasswordChange } from '../../core/credentials/password.ts'
import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { emcpAccount } from '../http/account-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { api } from './routes.ts'

export const handler = endpoint(
  api.updateCurrentUser,
  async ({ body, caller, deps }) => {
    const { newPassword, name = caller.account.name } = body
    if (newPassword !== undefined) await changePassword(deps, caller, { ...body, newPassword })
    else if (body.name !== undefined) await setName(deps, caller.account, body.name)
    return emcpAccount(caller.account, displayName({ ...caller.account, name }), CURRENCY)
  },
  async ({ body, caller: { account }, deps }, refusal) => {
    const { newPassword, name } = body
    // A name alone ends no session.
    if (newPassword === undefined) throw refusal
    await repeatPasswordChange(deps, account, { newPassword, name }, refusal)
    return emcpAccount(account, displayName(account), CURRENCY)
  },
)
