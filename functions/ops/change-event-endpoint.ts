import { changeEndpoint } from '../../core/events/endpoints.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(
  ops.changeEventEndpoint,
  async ({ path, body: { reason, ...change }, deps }) => ({
    endpoint: await changeEndpoint(deps, path.id, change, reason),
  }),
)
