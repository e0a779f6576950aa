import { replayEvents } from '../../core/events/deliveries.ts'
import { endpoint } from '../http/endpoint.ts'
import { timeMs, timeOrNull } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.replayEvents, async ({ path, body, deps }) => {
  const { reason, since, until, eventId } = body
  const untilMs = until === undefined ? deps.clock.nowMs() : timeMs(until)
  const span = { sinceMs: timeMs(since), untilMs, eventId }
  const { replayed, nextMs } = await replayEvents(deps, path.id, span, reason)
  return { replayed, next: timeOrNull(nextMs) }
})
