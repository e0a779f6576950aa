import { listActionsOf } from '../../core/audit/activity.ts'
import { auditEntry } from '../http/activity-shapes.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { dayStartMs } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

const PAGE = 50

export const handler = endpoint(ops.auditOfOperator, async ({ deps, path, query }) => {
  const { day, cursor } = query
  const limit = Number(query.limit ?? PAGE)
  const dayMs = day === undefined ? undefined : dayStartMs(day)
  const { entries, next } = await listActionsOf(deps, path.name, { limit, cursor, dayMs })
  const asked = new URLSearchParams({
    ...(day && { day }),
    limit: String(limit),
    cursor: next ?? '',
  })
  const link = `</ops/read/operators/${encodeURIComponent(path.name)}/audit?${asked}>; rel="next"`
  return reply(200, entries.map(auditEntry), next === undefined ? {} : { link })
})
