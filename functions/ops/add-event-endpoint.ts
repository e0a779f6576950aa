import { addEndpoint } from '../../core/events/endpoints.ts'
import { endpoint } from '../http/endpoint.ts'
import { endpointShape } from '../http/event-endpoint-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.addEventEndpoint, async ({ body: { types = [], ...body }, deps }) => {
  const added = await addEndpoint(deps, { ...body, types })
  return { ...added, endpoint: endpointShape(added.endpoint) }
})
