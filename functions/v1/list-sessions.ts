import { listSessions } from '../../core/credentials/session-list.ts'
import { endpoint } from '../http/endpoint.ts'
import { listedSession } from '../http/session-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.listSessions, async ({ caller, deps }) =>
  listSessions(deps, caller).map(listedSession),
)
