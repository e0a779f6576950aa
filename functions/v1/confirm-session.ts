import { proveSession } from '../../core/credentials/proof.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.confirmSession, async ({ body, caller, deps }) => {
  await proveSession(deps, caller, body)
})
