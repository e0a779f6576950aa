import { resendMail } from '../../core/account/resend.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.resendMail, ({ path, body, deps }) =>
  resendMail(deps, path.id, body.reason),
)
