import { activateTwoFactor } from '../../core/credentials/two-factor.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.verifyTwoFactor, async ({ body, caller, deps }) => ({
  recoveryCodes: await activateTwoFactor(deps, caller, body.code),
}))
