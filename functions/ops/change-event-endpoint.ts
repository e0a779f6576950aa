import { changeEndpoint } from '../../core/events/endpoints.ts'
import { endpoint } from '../http/endpoint.ts'
import { endpointShape } from '../http/event-endpoint-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(
  ops.changeEventEndpoint,
  async ({ path, body: { reason, ...change }, deps }) => ({
    endpoint: endpointShape(await changeEndpoint(deps, path.id, change, reason)),
  }),
)
