import { rotateEndpoint } from '../../core/events/endpoints.ts'
import { endpoint } from '../http/endpoint.ts'
import { endpointShape } from '../http/event-endpoint-shapes.ts'
import { isoTime } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.rotateEventEndpoint, async ({ path, body, deps }) => {
  const { secret, oldUntilMs, ...rotated } = await rotateEndpoint(deps, path.id, body.reason)
  return { endpoint: endpointShape(rotated.endpoint), secret, oldUntil: isoTime(oldUntilMs) }
})
