import { agreedId } from '../../core/quota/request-id.ts'
import { settleReservation } from '../../core/quota/settle-reservation.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.settleReservation, async ({ caller, headers, path, body, deps }) => {
  const requestId = agreedId(body.requestId, headers['idempotency-key'])
  const { units, tag } = body
  return settleReservation(deps, caller.key, { reservationId: path.id, units, tag, requestId })
})
