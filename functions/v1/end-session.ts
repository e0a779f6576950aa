import { endListedSession } from '../../core/credentials/session-list.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.endSession, async ({ caller, deps, path }) =>
  endListedSession(deps, caller, path.id),
)
