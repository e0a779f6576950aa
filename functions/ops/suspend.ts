import { suspendAccount } from '../../core/account/suspend.ts'
import { endpoint } from '../http/endpoint.ts'
import { standingOf } from '../http/operator-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.suspend, async ({ path, body, deps }) => {
  const { reason, silent = false } = body
  return standingOf(await suspendAccount(deps, path.id, { reason, silent }))
})
