import { requestMail } from '../../core/credentials/mail-requests.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.requestRecovery, async ({ body, deps }) =>
  requestMail(deps, 'recovery', body.email),
)
