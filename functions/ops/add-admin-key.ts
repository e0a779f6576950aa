import { addAdminKey } from '../../core/operators/admin-keys.ts'
import { adminKeyShape } from '../http/admin-key-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.addAdminKey, async ({ body, deps }) => {
  const { adminKey, credential } = await addAdminKey(deps, body)
  return { adminKey: adminKeyShape(adminKey), credential }
})
