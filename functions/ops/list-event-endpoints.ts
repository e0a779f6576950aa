import { listEndpoints } from '../../core/events/endpoints.ts'
import { endpoint } from '../http/endpoint.ts'
import { endpointShape } from '../http/event-endpoint-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listEventEndpoints, async ({ deps }) => ({
  endpoints: (await listEndpoints(deps)).map(endpointShape),
}))
