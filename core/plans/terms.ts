import * as z from 'zod/mini'

/**
 * What a plan cost and gave when an account took it. The account keeps these terms as long as it holds the plan: its
 * refills and renewals charge this price and add these units, whatever the catalogue says by then.
 */
export const termsSchema = z.object({
  /** Number of the catalogue's version; 0 is the file that was deployed. */
  version: z.number(),
  units: z.number(),
  /** In the minor unit of `currency` (ISO 4217). */
  priceCents: z.number(),
  currency: z.string(),
  /** Below how many per cent of the units the owner is told; 10 if absent. */
  lowPercent: z.optional(z.number()),
  /** Below how many per cent of the units the plan renews itself unless its owner chose otherwise; 1 if absent. */
  renewalPercent: z.optional(z.number()),
  /** How long units last from their sale on; without it for ever. */
  expiresAfterDays: z.optional(z.number()),
  /** Units that a holder gets free of charge each month; none if absent. */
  monthlyUnits: z.optional(z.number()),
})

export type Terms = z.infer<typeof termsSchema>

/** A plan that somebody holds or buys: a number of units at a price. */
export type Bundle = Terms & { name: string }

/** The terms of a bundle, without its name. */
export const bundleTerms = ({ name: _, ...terms }: Bundle): Terms => terms

/** Whether two plans cost and give the same. */
export function isSameTerms(a: Terms, b: Terms): boolean {
  const fields = Object.keys(termsSchema.shape).filter((field) => field !== 'version') as (keyof Terms)[]
  return fields.every((field) => a[field] === b[field])
}
