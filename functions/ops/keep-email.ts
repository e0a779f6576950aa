import { stopAddressMove } from '../../core/account/move-address.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.keepEmail, ({ path, body, deps }) =>
  stopAddressMove(deps, path.id, body.reason),
)
