import { passkeyFactor } from '../../core/credentials/passkey-sign-in.ts'
import { resetPassword } from '../../core/credentials/reset.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.resetPassword, async ({ body: { passkey, twofa, ...body }, deps }) =>
  resetPassword(deps, { ...body, twofa: passkey ? passkeyFactor(deps, passkey) : twofa }),
)
