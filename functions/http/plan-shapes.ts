import type { ListedCoupon } from '../../core/coupons/coupons.ts'
import type { ListedVersion } from '../../core/plans/versions.ts'
import { isoTime, timeOrNull } from './time-shapes.ts'

/** A version of the plans as operators see it; the deployed file has no time. */
export const versionShape = ({ version, atMs, by, reason }: ListedVersion) => ({
  version,
  at: timeOrNull(atMs),
  by: by ?? null,
  reason: reason ?? null,
})

/** A coupon as operators see it. */
export const couponShape = (coupon: ListedCoupon) => ({
  code: coupon.code,
  percent: coupon.percent ?? null,
  amountCents: coupon.amountCents ?? null,
  currency: coupon.currency ?? null,
  units: coupon.units ?? null,
  from: isoTime(coupon.fromMs),
  to: timeOrNull(coupon.toMs),
  limit: coupon.limit ?? null,
  perAccount: coupon.perAccount,
  used: coupon.used,
  createdAt: isoTime(coupon.createdAtMs),
  stoppedAt: timeOrNull(coupon.stoppedAtMs),
})
