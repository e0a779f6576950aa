import { catalogueMistakes } from '../plans/mistakes.ts'
import { bundleAt, type Catalogue, type Plan } from '../plans/plan.ts'
import type { Bundle } from '../plans/terms.ts'

/** The plans of the deployed file by name, and the deployment's currency (ISO 4217). */
export interface CatalogueData<Name extends string> {
  currency: string
  trialUnits: number
  plans: readonly (Plan & { name: Name })[]
}

/**
 * Checks the deployed catalogue and makes its look-ups.
 * @throws Error that lists every mistake of the catalogue and what to do about it
 */
export function openCatalogue<const Name extends string>({
  currency,
  trialUnits,
  plans,
}: CatalogueData<Name>) {
  const defaultCatalogue: Catalogue = { trialUnits, plans: [...plans] }
  const mistakes = catalogueMistakes(defaultCatalogue, currency)
  if (mistakes.length > 0) {
    throw new Error(
      `The catalogue (core/purchases/catalogue.ts) cannot be used. ${mistakes.join(' ')} Correct it and deploy again.`,
    )
  }
  const named = new Map<string, Plan>(plans.map((plan) => [plan.name, plan]))
  return {
    /** ISO 4217: the currency of every price. */
    CURRENCY: currency,
    defaultCatalogue,
    bundleNames: plans.map(({ name }) => name) as [Name, ...Name[]],
    /** Whether the file has a bundle of exactly this name. An account may hold one that is gone. */
    isSold: (name: string): name is Name => named.has(name),
    /** The terms of the file. @throws Error for a name that is not in it: ask `isSold` before */
    bundleOf(name: string): Bundle {
      const plan = named.get(name)
      if (!plan) throw new Error(`the catalogue has no bundle ${name}`)
      return bundleAt(plan, 0, currency)
    },
  }
}
