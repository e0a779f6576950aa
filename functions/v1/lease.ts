import { agreedId } from '../../core/quota/request-id.ts'
import { reserveUnits } from '../../core/quota/reserve.ts'
import { endpoint } from '../http/endpoint.ts'
import { DEFAULT_TTL_SECONDS, leaseShape } from '../http/reservation-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.lease, async ({ caller, headers, body, deps }) => {
  const requestId = agreedId(body.requestId, headers['idempotency-key'])
  const { units, ttlSeconds = DEFAULT_TTL_SECONDS, unreported = 'return' } = body
  return leaseShape(
    await reserveUnits(
      deps,
      { ...caller.key, requires: body.requires },
      { units, requestId, ttlSeconds, unreported },
    ),
  )
})
