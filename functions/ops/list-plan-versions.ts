import { listVersions } from '../../core/plans/versions.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { versionShape } from '../http/plan-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listPlanVersions, async ({ query, deps }) => {
  const limit = Number(query.limit ?? 50)
  const cursor = query.cursor === undefined ? undefined : Number(query.cursor)
  const { versions, next } = await listVersions(deps, { limit, cursor })
  const link = `</ops/read/plans/versions?limit=${limit}&cursor=${next}>; rel="next"`
  return reply(200, { versions: versions.map(versionShape) }, next === undefined ? {} : { link })
})
