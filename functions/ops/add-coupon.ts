import { addCoupon } from '../../core/coupons/coupons.ts'
import { endpoint } from '../http/endpoint.ts'
import { couponShape } from '../http/plan-shapes.ts'
import { timeMs } from '../http/time-shapes.ts'
import { ops } from './routes.ts'

const msOf = (time: string | undefined) => (time === undefined ? undefined : timeMs(time))

export const handler = endpoint(ops.addCoupon, async ({ body, deps }) => {
  const { from, to, ...coupon } = body
  return { coupon: couponShape(await addCoupon(deps, { ...coupon, fromMs: msOf(from), toMs: msOf(to) })) }
})
