import { signInByKey } from '../../core/credentials/key-sign-in.ts'
import { endpoint } from '../http/endpoint.ts'
import { accessToken } from '../http/session-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.keyLogin, async ({ body, deps }) =>
  accessToken(await signInByKey(deps, { text: body.key, ip: deps.origin?.ip })),
)
