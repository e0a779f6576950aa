import { resumeAccount } from '../../core/account/suspend.ts'
import { endpoint } from '../http/endpoint.ts'
import { standingOf } from '../http/operator-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.resume, async ({ path, body, deps }) =>
  standingOf(await resumeAccount(deps, path.id, body.reason)),
)
