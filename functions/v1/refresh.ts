import { refreshSession } from '../../core/credentials/sessions.ts'
import { DomainError } from '../../core/errors.ts'
import { endpoint } from '../http/endpoint.ts'
import { sessionTokens } from '../http/session-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.refresh, async ({ body: { refreshToken }, deps }) => {
  // Only a browser has no token here: one without the cookie.
  if (refreshToken === undefined) throw new DomainError('session_ended')
  return sessionTokens(await refreshSession(deps, refreshToken))
})
