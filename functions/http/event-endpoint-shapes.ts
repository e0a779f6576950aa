import type { Delivery } from '../../core/events/deliveries.ts'
import type { ListedEndpoint } from '../../core/events/endpoints.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

/** An endpoint for events as its operators see it. */
export const endpointShape = ({ createdAtMs, failingSinceMs, disabledAtMs, ...shown }: ListedEndpoint) => ({
  ...shown,
  createdAt: isoTime(createdAtMs),
  failingSince: timeOrNull(failingSinceMs),
  disabledAt: timeOrNull(disabledAtMs),
})

/** What became of an event on its way to an endpoint. */
export const deliveryShape = ({ eventId, type, state, tries, ...delivery }: Delivery & { atMs: number }) => ({
  ...{ eventId, type, state, tries },
  happenedAt: isoTime(delivery.atMs),
  lastTriedAt: timeOrNull(delivery.lastTriedAtMs),
  result: delivery.lastResult ?? null,
})
