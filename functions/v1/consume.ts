import { consumeTogether } from '../../core/quota/group-commit.ts'
import { agreedId } from '../../core/quota/request-id.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.consume, async ({ caller, headers, body, deps }) => {
  const requestId = agreedId(body.requestId, headers['idempotency-key'])
  const request = { units: body.units, tag: body.tag, requestId }
  return consumeTogether(deps, { ...caller.key, requires: body.requires }, request)
})
