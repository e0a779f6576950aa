import { readUsage } from '../../core/quota/usage.ts'
import { endpoint } from '../http/endpoint.ts'
import { usageRange, usageReport } from '../http/usage-shapes.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.usage, async ({ caller, query, deps }) =>
  usageReport(await readUsage(deps, caller.account.id, { ...usageRange(query), withTags: true })),
)
