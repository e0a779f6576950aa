import { readTotals } from '../../core/reports/totals.ts'
import { endpoint } from '../http/endpoint.ts'
import { totalsShape } from '../http/report-shapes.ts'
import { dayOfTime } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

/** Days that are shown unless the request says which. */
const DAYS = 30

export const handler = endpoint(ops.totals, async ({ query: { from, to }, deps }) => {
  const last = to === undefined ? dayOfTime(deps.clock.nowMs()) : dayOfTime(to)
  const first = from === undefined ? last - DAYS + 1 : dayOfTime(from)
  return { days: (await readTotals(deps, first, last)).map(totalsShape) }
})
