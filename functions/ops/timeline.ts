import { readTimeline } from '../../core/reports/timeline.ts'
import { endpoint } from '../http/endpoint.ts'
import { happeningShape } from '../http/report-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.timeline, async ({ path, query, deps }) => {
  const { happenings, next } = await readTimeline(deps, path.id, query.cursor)
  return { happenings: happenings.map(happeningShape), next: next ?? null }
})
