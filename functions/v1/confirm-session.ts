import { proveByPasskey } from '../../core/credentials/passkey-sign-in.ts'
import { proveSession } from '../../core/credentials/proof.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.confirmSession, async ({ body, caller, deps }) => {
  // A passkey proves more than a password, so a password beside it is not checked.
  if (body.passkey) await proveByPasskey(deps, caller, body.passkey)
  else await proveSession(deps, caller, body)
})
