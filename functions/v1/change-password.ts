import { passkeyFactor } from '../../core/credentials/passkey-sign-in.ts'
import { changePassword, repeatPasswordChange } from '../../core/credentials/password.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

interface Sent {
  password: string
  oldPassword?: string | undefined
  keys?: 'rotate' | undefined
}

const changeOf = ({ password: newPassword, oldPassword, keys }: Sent) => ({
  newPassword,
  oldPassword,
  replaceKeys: keys === 'rotate',
})

export const handler = endpoint(
  v1.changePassword,
  async ({ body, caller, deps }) => {
    const twofa = body.passkey ? passkeyFactor(deps, body.passkey) : body.twofa
    await changePassword(deps, caller, { ...changeOf(body), twofa })
  },
  ({ body, caller, deps }, refusal) => repeatPasswordChange(deps, caller.account, changeOf(body), refusal),
)
