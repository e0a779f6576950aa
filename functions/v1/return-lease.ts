import { reportLease } from '../../core/quota/report-lease.ts'
import { agreedId } from '../../core/quota/request-id.ts'
import { endpoint } from '../http/endpoint.ts'
import { leaseShape } from '../http/reservation-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.returnLease, async ({ caller, headers, path, body, deps }) => {
  const requestId = agreedId(body.requestId, headers['idempotency-key'])
  return leaseShape(await reportLease(deps, caller.key, { leaseId: path.id, use: body.use ?? [], requestId }))
})
