import * as z from 'zod/mini'
import { MAX_UNITS } from '../plans/mistakes.ts'
import type { Bundle } from '../plans/terms.ts'
import { currencyRules } from '../purchases/currencies.ts'
import type { Item } from '../table/table.ts'

/**
 * A coupon as stored. Only its counts and `stoppedAtMs` ever change, so that what was read of it stays true.
 *
 * `left` and `used` change in the transaction that begins a purchase, and back in the one that ends it uncharged, so that
 * `used` is the number of open and charged purchases with the coupon.
 */
const couponSchema = z.object({
  /** In capitals. */
  code: z.string(),
  /** What it gives: one of these three. An amount is in the minor unit of `currency` (ISO 4217). */
  percent: z.optional(z.number()),
  amountCents: z.optional(z.number()),
  currency: z.optional(z.string()),
  units: z.optional(z.number()),
  /** It can be redeemed from `fromMs` on and before `toMs`, epoch ms. */
  fromMs: z.number(),
  toMs: z.number(),
  /** How often it can be redeemed in all, and by one account. */
  limit: z.number(),
  perAccount: z.number(),
  left: z.number(),
  used: z.number(),
  createdAtMs: z.number(),
  /** The operator who made it, and why. */
  by: z.optional(z.string()),
  reason: z.optional(z.string()),
  stoppedAtMs: z.optional(z.number()),
})

export type Coupon = z.infer<typeof couponSchema>

/** Parses a stored coupon. @throws Error if the item is none. */
export const parseCoupon = (item: Item): Coupon => z.parse(couponSchema, item)

/** The code as stored, of a code as people type it; undefined for a text that is no code. */
export function couponCode(text: string): string | undefined {
  const code = text.trim().toUpperCase()
  return /^[A-Z0-9][A-Z0-9-]{3,31}$/.test(code) ? code : undefined
}

/** A coupon as a purchase has it: what it took off the plan's price, and the units that it added. */
export interface Discount {
  code: string
  /** In the purchase's currency, in its minor unit. */
  discountCents: number
  bonusUnits: number
}

/**
 * What a coupon gives for a bundle. It never lowers the price below what Stripe charges at least, so that each purchase
 * has a payment, which proves its card; what it would take off beyond that is lost.
 * @returns undefined if it gives nothing for this bundle
 */
export function discountOf(coupon: Coupon, bundle: Bundle): Discount | undefined {
  const { code, percent, amountCents, currency, units: bonusUnits = 0 } = coupon
  const { priceCents } = bundle
  const { minimum, step } = currencyRules(bundle.currency)
  if (amountCents !== undefined && currency !== bundle.currency) return undefined
  const off = amountCents ?? Math.floor((priceCents * (percent ?? 0)) / 100)
  const rounded = Math.ceil((priceCents - off) / step) * step
  const lowest = Math.ceil(minimum / step) * step
  const discountCents = priceCents - Math.min(priceCents, Math.max(rounded, lowest))
  const units = bundle.units + bonusUnits
  const isExact = units <= MAX_UNITS && Number.isSafeInteger(units * priceCents)
  const gives = discountCents > 0 || bonusUnits > 0
  return gives && isExact ? { code, discountCents, bonusUnits } : undefined
}
