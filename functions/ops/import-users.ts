import { importUsers } from '../../core/account/import.ts'
import { endpoint } from '../http/endpoint.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.importUsers, async ({ body, deps }) => {
  const { users, reason, dryRun = false, invite = false } = body
  return { results: await importUsers(deps, users, { reason, dryRun, invite }) }
})
