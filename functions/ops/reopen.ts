import { reopenAccount } from '../../core/account/close.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.reopen, ({ path, body, deps }) =>
  reopenAccount(deps, path.id, body.reason),
)
