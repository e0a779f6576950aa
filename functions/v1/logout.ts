import { signOut } from '../../core/credentials/sessions.ts'
import { readAccessToken } from '../http/access-token.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.logout, async ({ body, headers, deps }) =>
  signOut(deps, {
    refreshToken: body?.refreshToken,
    readClaims: () => readAccessToken(headers.authorization),
    everywhere: body?.everywhere === true,
  }),
)
