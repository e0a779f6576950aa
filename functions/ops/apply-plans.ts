import { applyPlans } from '../../core/plans/versions.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.applyPlans, async ({ body, deps }) => applyPlans(deps, body))
