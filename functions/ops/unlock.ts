import { unlockAccount } from '../../core/credentials/unlock.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.unlock, ({ path, body, deps }) =>
  unlockAccount(deps, path.id, body.reason),
)
