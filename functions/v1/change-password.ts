import { changePassword, repeatPasswordChange } from '../../core/credentials/password.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

interface Sent {
  password: string
  oldPassword?: string | undefined
  twofa?: string | undefined
  keys?: 'rotate' | undefined
}

const changeOf = ({ password: newPassword, oldPassword, twofa, keys }: Sent) => ({
  newPassword,
  oldPassword,
  twofa,
  replaceKeys: keys === 'rotate',
})

export const handler = endpoint(
  v1.changePassword,
  async ({ body, caller, deps }) => changePassword(deps, caller, changeOf(body)),
  ({ body, caller, deps }, refusal) => repeatPasswordChange(deps, caller.account, changeOf(body), refusal),
)
