import { finishRecovery } from '../../core/credentials/reset.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.finishRecovery, async ({ body, deps }) => finishRecovery(deps, body))
