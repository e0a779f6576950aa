import { stopCoupon } from '../../core/coupons/coupons.ts'
import { endpoint } from '../http/endpoint.ts'
import { couponShape } from '../http/plan-shapes.ts'
import { ops } from './routes.ts'

export const handler = endpoint(ops.stopCoupon, async ({ path, body, deps }) => ({
  coupon: couponShape(await stopCoupon(deps, path.code, body.reason)),
}))
