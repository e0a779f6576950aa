import { readDefaultUnits } from '../../core/reports/units-of-accounts.ts'
import { endpoint } from '../http/endpoint.ts'
import { admin } from './routes.ts'

export const handler = endpoint(admin.defaultQuota, async ({ deps }) => readDefaultUnits(deps))
