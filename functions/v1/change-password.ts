import { changePassword, repeatPasswordChange } from '../../core/credentials/password.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(
  v1.changePassword,
  async ({ body, caller, deps }) => {
    const { password: newPassword, oldPassword, twofa } = body
    await changePassword(deps, caller, { newPassword, oldPassword, twofa })
  },
  ({ body, caller, deps }, refusal) =>
    repeatPasswordChange(deps, caller.account, { newPassword: body.password }, refusal),
)
