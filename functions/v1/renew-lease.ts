import { reportLease } from '../../core/quota/report-lease.ts'
import { agreedId } from '../../core/quota/request-id.ts'
import { endpoint } from '../http/endpoint.ts'
import { DEFAULT_TTL_SECONDS, leaseShape } from '../http/reservation-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.renewLease, async ({ caller, headers, path, body, deps }) => {
  const requestId = agreedId(body.requestId, headers['idempotency-key'])
  const { use = [], units, ttlSeconds = DEFAULT_TTL_SECONDS } = body
  const renewal = { units, ttlSeconds }
  return leaseShape(await reportLease(deps, caller.key, { leaseId: path.id, use, requestId, renewal }))
})
