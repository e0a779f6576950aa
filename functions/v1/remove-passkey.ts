import { removePasskey } from '../../core/credentials/passkeys.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.removePasskey, async ({ caller, deps, path }) =>
  removePasskey(deps, caller, path.id),
)
