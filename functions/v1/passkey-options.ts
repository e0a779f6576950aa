import { attestationOptions } from '../../core/credentials/passkeys.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.passkeyOptions, async ({ caller, deps }) =>
  attestationOptions(deps, caller.account),
)
