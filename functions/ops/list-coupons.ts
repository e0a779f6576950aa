import { listCoupons } from '../../core/coupons/coupons.ts'
import { endpoint, reply } from '../http/endpoint.ts'
import { couponShape } from '../http/plan-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.listCoupons, async ({ query, deps }) => {
  const limit = Number(query.limit ?? 50)
  const { coupons, next } = await listCoupons(deps, { limit, cursor: query.cursor })
  const link = `</ops/read/coupons?limit=${limit}&cursor=${next}>; rel="next"`
  return reply(200, { coupons: coupons.map(couponShape) }, next === undefined ? {} : { link })
})
