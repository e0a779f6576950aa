import { rotateKey } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.rotateKey, async ({ caller, deps, path }) =>
  rotateKey(deps, caller.account, path.id),
)
