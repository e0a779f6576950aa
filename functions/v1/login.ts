import { signIn } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { sessionTokens } from '../http/session-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.login, async ({ body, headers, deps }) =>
  sessionTokens(await signIn(deps, body, headers['user-agent'])),
)
