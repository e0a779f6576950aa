import { rotateEndpoint } from '../../core/events/endpoints.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.rotateEventEndpoint, async ({ path, body, deps }) =>
  rotateEndpoint(deps, path.id, body.reason),
)
