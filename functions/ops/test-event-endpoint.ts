import { testEndpoint } from '../../core/events/deliveries.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.testEventEndpoint, ({ path, body, deps }) =>
  testEndpoint(deps, path.id, body.reason),
)
