import { listDeliveries } from '../../core/events/deliveries.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { deliveryShape } from '../http/event-endpoint-shapes.ts'
import { ops } from './routes.ts'

const PAGE = 50

export const handler = endpoint(ops.listDeliveries, async ({ path, query, deps }) => {
  const limit = Number(query.limit ?? PAGE)
  const { deliveries, next } = await listDeliveries(deps, path.id, { limit, cursor: query.cursor })
  const asked = new URLSearchParams({ limit: String(limit), cursor: next ?? '' })
  const link = `</ops/read/endpoints/${path.id}/deliveries?${asked}>; rel="next"`
  return reply(200, deliveries.map(deliveryShape), next === undefined ? {} : { link })
})
