import { signInByPasskey } from '../../core/credentials/passkey-sign-in.ts'
import { endpoint } from '../http/endpoint.ts'
import { sessionTokens } from '../http/session-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.passkeyLogin, async ({ body, deps, headers }) =>
  sessionTokens(await signInByPasskey(deps, body.passkey, headers['user-agent'])),
)
