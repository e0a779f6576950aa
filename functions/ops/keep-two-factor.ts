import { stopFactorsReset } from '../../core/credentials/reset-factors.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.keepTwoFactor, ({ path, body, deps }) =>
  stopFactorsReset(deps, path.id, body.reason),
)
