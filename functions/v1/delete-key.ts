import { deleteKey } from '../../core/keys/application-keys.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.deleteKey, async ({ caller, deps, path }) =>
  deleteKey(deps, caller, path.id),
)
