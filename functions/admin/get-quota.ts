import { readAccountUnits } from '../../core/reports/units-of-accounts.ts'
import { userQuota } from '../http/admin-shapes.ts'
import { endpoint } from '../http/endpoint.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.getQuota, async ({ path, deps }) =>
  userQuota(await readAccountUnits(deps, path.id)),
)
