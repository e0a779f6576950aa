import { replayEvents } from '../../core/events/deliveries.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.replayEvents, async ({ path, body: { reason, ...span }, deps }) =>
  replayEvents(deps, path.id, span, reason),
)
