import { readUsage } from '../../core/quota/usage.ts'
import { endpoint } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

export const handler = endpoint(v1.usage, async ({ caller, query, deps }) =>
  readUsage(deps, caller.account.id, query),
)
