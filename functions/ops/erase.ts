import { eraseAccount } from '../../core/account/close.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.erase, async ({ path, body, deps }) => ({
  status: (await eraseAccount(deps, path.id, body)) ? ('erased' as const) : ('erasing' as const),
}))
