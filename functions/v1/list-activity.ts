import { listActivity } from '../../core/audit/activity.ts'
import { ownActivity } from '../http/activity-shapes.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { v1 } from './routes.ts'

const PAGE = 50

export const handler = endpoint(v1.listActivity, async ({ caller, deps, query }) => {
  const limit = Number(query.limit ?? PAGE)
  const { entries, next } = await listActivity(deps, caller.account.id, { limit, cursor: query.cursor })
  const link = `</v1/user/activity?limit=${limit}&cursor=${next}>; rel="next"`
  return reply(200, entries.map(ownActivity), next === undefined ? {} : { link })
})
