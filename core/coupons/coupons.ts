import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { announceRevoked } from '../events/outbox.ts'
import { MAX_UNITS } from '../plans/mistakes.ts'
import type { Deps } from '../ports.ts'
import { currencyCodes, MAX_CHARGE } from '../purchases/currencies.ts'
import { expr } from '../table/expression.ts'
import { COUPONS, COUPONS_PREFIX, couponKey } from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import { retryRaces } from '../table/race.ts'
import type { Coupon } from './coupon.ts'
import { couponCode, parseCoupon } from './coupon.ts'

/** A coupon to make. `fromMs` is now, `toMs` never, `limit` no limit, and `perAccount` 1 unless given. */
export interface NewCoupon {
  /** As people type it; a random code if undefined. */
  code?: string | undefined
  /** Exactly one of `percent`, `amountCents` (with `currency`) and `units`. */
  percent?: number | undefined
  amountCents?: number | undefined
  currency?: string | undefined
  units?: number | undefined
  fromMs?: number | undefined
  toMs?: number | undefined
  limit?: number | undefined
  perAccount?: number | undefined
  reason: string
}

/** As good as no limit, and still a number that is counted down exactly. */
const NO_LIMIT = 1_000_000_000_000

/** The last moment that a date can be, epoch ms. */
const NEVER_MS = 8_640_000_000_000_000

/** A coupon as operators see it: `toMs` and `limit` are undefined if it has no end and no limit. */
export interface ListedCoupon extends Omit<Coupon, 'toMs' | 'limit'> {
  toMs: number | undefined
  limit: number | undefined
}

const listedCoupon = (coupon: Coupon): ListedCoupon => ({
  ...coupon,
  toMs: coupon.toMs < NEVER_MS ? coupon.toMs : undefined,
  limit: coupon.limit < NO_LIMIT ? coupon.limit : undefined,
})

/**
 * Makes a coupon. The same coupon again is the one that there is.
 * @throws DomainError `invalid_request` with what is wrong; `conflict` if another coupon has the code
 */
export async function addCoupon(deps: Deps<'table'>, wanted: NewCoupon): Promise<ListedCoupon> {
  const coupon = newCoupon(deps, wanted)
  return retryRaces(deps, async () => {
    const item = await deps.table.get(couponKey(coupon.code))
    if (item) {
      const known = parseCoupon(item)
      if (!isSameCoupon(known, coupon, wanted)) throw new DomainError('conflict')
      return listedCoupon(known)
    }
    const { code, limit, perAccount, percent, amountCents, units } = coupon
    await deps.table.transact([
      { put: { ...couponKey(code), ...coupon }, if: expr`attribute_not_exists(pk)` },
      ...auditWrites(deps, {
        action: 'operator.coupon_added',
        reason: coupon.reason,
        after: { code, percent, amountCents, units, limit, perAccount },
      }),
    ])
    return listedCoupon(coupon)
  })
}

function newCoupon(deps: Deps, wanted: NewCoupon): Coupon & { reason: string } {
  const nowMs = deps.clock.nowMs()
  const { percent, amountCents, currency, units, reason } = wanted
  const { fromMs = nowMs, toMs = NEVER_MS, limit = NO_LIMIT, perAccount = 1 } = wanted
  const code = wanted.code === undefined ? randomCode(deps) : couponCode(wanted.code)
  if (code === undefined) refuse('code', 'must have 4 to 32 letters, digits and hyphens')
  // With 100 per cent off nothing would be paid, and no card proved.
  if (percent !== undefined) requireWhole('percent', percent, 1, 99)
  if (amountCents !== undefined) requireWhole('amount', amountCents, 1, MAX_CHARGE)
  if (units !== undefined) requireWhole('units', units, 1, MAX_UNITS)
  if ((amountCents !== undefined) !== (currency !== undefined) || !isCurrency(currency))
    refuse('currency', 'must be that of the amount, an ISO 4217 code in capitals')
  if (toMs <= fromMs) refuse('to', 'must be after the beginning')
  requireWhole('limit', limit, 1, NO_LIMIT)
  requireWhole('perAccount', perAccount, 1, 1_000)
  return {
    ...{ code, fromMs, toMs, limit, perAccount, left: limit, used: 0, createdAtMs: nowMs, reason },
    by: deps.origin?.name,
    ...(percent !== undefined && { percent }),
    ...(amountCents !== undefined && { amountCents, currency }),
    ...(units !== undefined && { units }),
  }
}

const isCurrency = (currency: string | undefined): boolean =>
  currency === undefined || currencyCodes.includes(currency)

function refuse(field: string, message: string): never {
  throw new DomainError('invalid_request', { fields: [{ field, message }] })
}

function requireWhole(field: string, value: number, least: number, most: number): void {
  if (Number.isSafeInteger(value) && value >= least && value <= most) return
  refuse(field, `must be a whole number from ${least} to ${most}`)
}

/** 10 letters and digits that nobody takes for one another: 50 random bits, which nobody guesses in 20 tries an hour. */
function randomCode(deps: Deps): string {
  const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ23456789'
  return [...Buffer.from(deps.ids.hex(10), 'hex')].map((byte) => letters[byte % letters.length]).join('')
}

/** Whether a request to make a coupon repeats the one that made this coupon. */
const isSameCoupon = (known: Coupon, coupon: Coupon, wanted: NewCoupon): boolean =>
  (['percent', 'amountCents', 'currency', 'units', 'toMs', 'limit', 'perAccount'] as const).every(
    (field) => known[field] === coupon[field],
  ) &&
  (wanted.fromMs === undefined || wanted.fromMs === known.fromMs)

/**
 * Stops a coupon for good. Purchases that have begun with it go on.
 * @returns the coupon; one that was stopped before is returned as it is
 * @throws DomainError `not_found`
 */
export async function stopCoupon(deps: Deps<'table'>, typed: string, reason: string): Promise<ListedCoupon> {
  const code = couponCode(typed)
  if (code === undefined) throw new DomainError('not_found')
  return retryRaces(deps, async () => {
    const item = await deps.table.get(couponKey(code))
    if (!item) throw new DomainError('not_found')
    const coupon = parseCoupon(item)
    if (coupon.stoppedAtMs !== undefined) return listedCoupon(coupon)
    const stoppedAtMs = deps.clock.nowMs()
    await deps.table.transact([
      {
        update: couponKey(code),
        set: expr`SET #stoppedAtMs = ${stoppedAtMs}`,
        if: expr`attribute_exists(pk) AND attribute_not_exists(#stoppedAtMs)`,
      },
      announceRevoked(deps, 'coupon', code),
      ...auditWrites(deps, {
        action: 'operator.coupon_stopped',
        reason,
        after: { code, used: coupon.used, limit: coupon.limit },
      }),
    ])
    return listedCoupon({ ...coupon, stoppedAtMs })
  })
}

/** The coupons by code, a page of them. @param page.cursor `next` of the previous page, the code of its last coupon. */
export async function listCoupons(
  deps: Deps<'table'>,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ coupons: ListedCoupon[]; next: string | undefined }> {
  const after = cursor === undefined ? undefined : couponKey(cursor)
  const { items, last } = await readPage(deps, COUPONS, COUPONS_PREFIX, { limit, after }, parseCoupon)
  return { coupons: items.map(listedCoupon), next: last?.code }
}
