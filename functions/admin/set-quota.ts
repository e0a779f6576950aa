import { setUnits } from '../../core/ledger/change-units.ts'
import { orderedQuota } from '../http/admin-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.setQuota, async ({ path, body, headers, deps }) => {
  const { left: units, reason = admin.setQuota.routes[0] } = body
  const order = { units, reason, idempotencyKey: headers['idempotency-key'] }
  return orderedQuota(await setUnits(deps, path.id, order))
})
