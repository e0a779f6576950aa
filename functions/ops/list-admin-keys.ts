import { listAdminKeys } from '../../core/operators/admin-keys.ts'
import { adminKeyShape } from '../http/admin-key-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listAdminKeys, async ({ deps }) => {
  return { adminKeys: (await listAdminKeys(deps)).map(adminKeyShape) }
})
