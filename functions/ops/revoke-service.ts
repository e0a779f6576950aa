import { revokeService } from '../../core/keys/services.ts'
import { endpoint } from '../http/endpoint.ts'
import { serviceShape } from '../http/service-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.revokeService, async ({ path, body, deps }) => {
  return { service: serviceShape(await revokeService(deps, path.name, body.reason)) }
})
