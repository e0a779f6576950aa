import { passkeyFactor } from '../../core/credentials/passkey-sign-in.ts'
import { removeTwoFactor } from '../../core/credentials/two-factor.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.removeTwoFactor, async ({ body, caller, deps }) =>
  removeTwoFactor(deps, caller, body.passkey ? passkeyFactor(deps, body.passkey) : (body.code ?? '')),
)
