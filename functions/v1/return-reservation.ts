import { settleReservation } from '../../core/quota/settle-reservation.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

/** To give everything back is to settle that nothing was used, so one of the two repeats the other. */
export const handler = endpoint(v1.returnReservation, async ({ caller, headers, path, deps }) =>
  settleReservation(deps, caller.key, {
    reservationId: path.id,
    units: 0,
    requestId: headers['idempotency-key'],
  }),
)
