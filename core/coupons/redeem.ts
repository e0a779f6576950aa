import { DomainError } from '../errors.ts'
import { countForAccount, requireWithinLimit } from '../limits/limits.ts'
import type { Bundle } from '../plans/terms.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { couponKey, redemptionsKey } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { type Coupon, couponCode, type Discount, discountOf, parseCoupon } from './coupon.ts'

/** What a coupon gives to an order, with what the write that counts it must know. */
export interface Redeemable extends Discount {
  perAccount: number
}

/**
 * What a coupon gives for a bundle now. The transaction that begins the purchase decides; this says what is wrong.
 * @param isReturning the account has an open purchase with the coupon, which ends before the new one begins.
 * @throws DomainError `coupon_unknown`, `coupon_stopped`, `coupon_expired`, `coupon_used_up`, `coupon_already_used`,
 *   `coupon_not_applicable`, and `too_many_requests` for more than 20 tries of coupons an hour
 */
export async function checkCoupon(
  deps: Deps<'table'>,
  { accountId, bundle }: { accountId: string; bundle: Bundle },
  typed: string,
  isReturning: boolean,
): Promise<Redeemable> {
  requireWithinLimit(await countForAccount(deps, accountId, 'coupon'))
  const code = couponCode(typed)
  const item = code === undefined ? undefined : await deps.table.get(couponKey(code))
  if (!item) throw new DomainError('coupon_unknown')
  const coupon = parseCoupon(item)
  const redeemed = await deps.table.get(redemptionsKey(accountId, coupon.code))
  requireRedeemable(coupon, deps.clock.nowMs(), Number(redeemed?.count ?? 0), isReturning)
  const discount = discountOf(coupon, bundle)
  if (!discount) throw new DomainError('coupon_not_applicable')
  return { ...discount, perAccount: coupon.perAccount }
}

/** @throws DomainError */
function requireRedeemable(
  { stoppedAtMs, fromMs, toMs, left, perAccount }: Coupon,
  nowMs: number,
  redeemed: number,
  isReturning: boolean,
): void {
  const returning = isReturning ? 1 : 0
  if (stoppedAtMs !== undefined) throw new DomainError('coupon_stopped')
  if (nowMs < fromMs || nowMs >= toMs) throw new DomainError('coupon_expired')
  if (redeemed - returning >= perAccount) throw new DomainError('coupon_already_used')
  if (left + returning <= 0) throw new DomainError('coupon_used_up')
}

/**
 * The writes that count a redemption, for the transaction that begins its purchase. They fail if the coupon cannot be
 * redeemed at that moment, so that it never is once too often.
 */
export const redeemWrites = (
  { code, perAccount }: Redeemable,
  { accountId, createdAtMs }: { accountId: string; createdAtMs: number },
): Write[] => [
  {
    update: couponKey(code),
    set: expr`ADD #used ${1}, #left ${-1}`,
    if: expr`#left > ${0} AND attribute_not_exists(#stoppedAtMs) AND #fromMs <= ${createdAtMs} AND #toMs > ${createdAtMs}`,
  },
  {
    update: redemptionsKey(accountId, code),
    set: expr`SET #code = ${code} ADD #count ${1}`,
    if: expr`attribute_not_exists(#count) OR #count < ${perAccount}`,
  },
]

/** The writes that give a redemption back, for the transaction that ends its purchase uncharged. */
export const giveBackWrites = (accountId: string, coupon: Discount | undefined): Write[] =>
  coupon
    ? [
        { update: couponKey(coupon.code), set: expr`ADD #used ${-1}, #left ${1}` },
        { update: redemptionsKey(accountId, coupon.code), set: expr`ADD #count ${-1}` },
      ]
    : []
