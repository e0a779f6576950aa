import { listActivity } from '../../core/audit/activity.ts'
import { auditEntry } from '../http/activity-shapes.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { ops } from './routes.ts'

const PAGE = 50

export const handler = endpoint(ops.auditOfAccount, async ({ deps, path, query }) => {
  const limit = Number(query.limit ?? PAGE)
  const { entries, next } = await listActivity(deps, path.id, { limit, cursor: query.cursor })
  const link = `</ops/read/accounts/${path.id}/audit?limit=${limit}&cursor=${next}>; rel="next"`
  return reply(200, entries.map(auditEntry), next === undefined ? {} : { link })
})
