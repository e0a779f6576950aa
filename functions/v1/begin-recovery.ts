import { beginRecovery } from '../../core/credentials/recovery.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.beginRecovery, async ({ body, deps }) => {
  await beginRecovery(deps, body.code)
  return { message: 'The recovery has begun; it can be finished 72 hours after its beginning' }
})
