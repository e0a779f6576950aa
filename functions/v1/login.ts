import { passkeyFactor } from '../../core/credentials/passkey-sign-in.ts'
import { signIn } from '../../core/credentials/sessions.ts'
import { endpoint } from '../http/endpoint.ts'
import { sessionTokens } from '../http/session-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.login, async ({ body: { passkey, twofa, ...body }, headers, deps }) => {
  const factor = passkey ? passkeyFactor(deps, passkey) : twofa
  return sessionTokens(await signIn(deps, { ...body, twofa: factor }, headers['user-agent']))
})
