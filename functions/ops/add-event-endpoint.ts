import { addEndpoint } from '../../core/events/endpoints.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.addEventEndpoint, async ({ body: { types = [], ...body }, deps }) =>
  addEndpoint(deps, { ...body, types }),
)
