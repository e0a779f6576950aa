import * as z from 'zod/mini'
import type { Bundle } from './terms.ts'

/** Safe in texts, keys and URLs, and the same in upper and lower case everywhere. */
export const PLAN_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/

/** Who may take a plan at its present terms. Who holds a plan keeps the terms with which it was taken. */
export const planTakers = ['new', 'existing', 'both'] as const

const whole = z.number().check(z.int())

/** Shapes only; `catalogueMistakes` checks what the numbers mean. */
const planSchema = z.strictObject({
  name: z.string().check(z.maxLength(200)),
  /** For people; the name if absent. */
  title: z.optional(z.string().check(z.maxLength(200))),
  /** Units that one purchase adds. */
  units: whole,
  /** By currency (ISO 4217), in its minor unit. The deployment's currency must be there. */
  prices: z.record(z.string(), whole),
  /** Not listed; it can be taken by its name. */
  hidden: z.optional(z.literal(true)),
  /**
   * Who may take the plan at these terms: `new`, accounts that do not hold it (if absent); `existing`, only accounts that
   * hold it already, at older terms; or `both`.
   */
  for: z.optional(z.enum(planTakers)),
  /** See `Terms`. */
  lowPercent: z.optional(whole),
  renewalPercent: z.optional(whole),
  expiresAfterDays: z.optional(whole),
  monthlyUnits: z.optional(whole),
})

export const catalogueSchema = z.strictObject({
  /** Units for each account whose address was confirmed. */
  trialUnits: whole,
  /** In the order in which they are listed. */
  plans: z.array(planSchema),
})

export type Plan = z.infer<typeof planSchema>
export type Catalogue = z.infer<typeof catalogueSchema>

/** The most plans of a catalogue: its item stays small enough that a sign-up reads it at once. */
export const MAX_PLANS = 100

/** The terms at which a plan is taken now. @throws Error if the plan has no price in the currency */
export function bundleAt(plan: Plan, version: number, currency: string): Bundle {
  const priceCents = Object.hasOwn(plan.prices, currency) ? plan.prices[currency] : undefined
  if (priceCents === undefined) throw new Error(`the plan ${plan.name} has no price in ${currency}`)
  const { name, units, lowPercent, renewalPercent, expiresAfterDays, monthlyUnits } = plan
  return {
    name,
    version,
    units,
    priceCents,
    currency,
    ...(lowPercent !== undefined && { lowPercent }),
    ...(renewalPercent !== undefined && { renewalPercent }),
    ...(expiresAfterDays !== undefined && { expiresAfterDays }),
    ...(monthlyUnits !== undefined && { monthlyUnits }),
  }
}

/** The plan of a name in upper or lower case. */
export const planNamed = ({ plans }: Catalogue, text: string): Plan | undefined =>
  PLAN_NAME.test(text) ? plans.find(({ name }) => name.toLowerCase() === text.toLowerCase()) : undefined
