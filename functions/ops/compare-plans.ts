import { comparePlans } from '../../core/plans/versions.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.comparePlans, async ({ body, deps }) =>
  comparePlans(deps, body.catalogue),
)
