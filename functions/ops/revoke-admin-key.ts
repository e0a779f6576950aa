import { revokeAdminKey } from '../../core/operators/admin-keys.ts'
import { adminKeyShape } from '../http/admin-key-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.revokeAdminKey, async ({ path, body, deps }) => {
  return { adminKey: adminKeyShape(await revokeAdminKey(deps, path.name, body.reason)) }
})
