import { stopRecovery } from '../../core/credentials/recovery.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.stopRecovery, async ({ body, caller, deps }) =>
  stopRecovery(deps, caller, body ?? {}),
)
