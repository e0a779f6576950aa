import { agreedId } from '../../core/quota/request-id.ts'
import { reserveUnits } from '../../core/quota/reserve.ts'
import { endpoint } from '../http/endpoint.ts'
import { DEFAULT_TTL_SECONDS, reservationShape } from '../http/reservation-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.reserve, async ({ caller, headers, body, deps }) => {
  const requestId = agreedId(body.requestId, headers['idempotency-key'])
  const { units, ttlSeconds = DEFAULT_TTL_SECONDS } = body
  return reservationShape(
    await reserveUnits(deps, { ...caller.key, requires: body.requires }, { units, requestId, ttlSeconds }),
  )
})
