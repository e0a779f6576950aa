import { CURRENCY } from '../../core/purchases/catalogue.ts'
import { readTop } from '../../core/reports/months.ts'
import { endpoint } from '../http/endpoint.ts'
import { topShape } from '../http/report-shapes.ts'
import { isoMonth } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

const MOST = 25

export const handler = endpoint(ops.top, async ({ query, deps }) => {
  const { by, month = isoMonth(deps.clock.nowMs()) } = query
  const currency = by === 'paid' ? CURRENCY : undefined
  const measure = by === 'paid' ? (`paid:${CURRENCY}` as const) : by
  const accounts = await readTop(deps, month, measure, Number(query.limit ?? MOST))
  return topShape({ month, by, currency, accounts })
})
