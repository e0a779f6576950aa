import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
import { CURRENCY, defaultCatalogue } from '../purchases/catalogue.ts'
import { currentPlansKey } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { bundleAt, type Catalogue, catalogueSchema, type Plan, planNamed } from './plan.ts'
import type { Bundle } from './terms.ts'

const versionSchema = z.object({
  /** From 1 on; 0 is the deployed file, which has no item. */
  version: z.number(),
  catalogue: catalogueSchema,
  /** When it was applied, epoch ms, by whom and why. */
  atMs: z.number(),
  by: z.optional(z.string()),
  reason: z.optional(z.string()),
})

/** A catalogue with its number. The file that was deployed is number 0 and has no time. */
export type PlansVersion = Omit<z.infer<typeof versionSchema>, 'atMs'> & { atMs?: number | undefined }

/** Parses a stored version. @throws Error if the item is none. */
export const parseVersion = (item: Item): PlansVersion => z.parse(versionSchema, item)

/**
 * The plans that are sold now, with one read and from no cache: a price that was changed is never charged afterwards.
 * Spending reads no plans, nor do refills and renewals, which go by what the account holds.
 */
export async function readPlans(deps: Deps<'table'>): Promise<PlansVersion> {
  const item = await deps.table.get(currentPlansKey())
  return item ? parseVersion(item) : { version: 0, catalogue: defaultCatalogue }
}

/** A plan as it can be taken now. */
export interface Offer {
  plan: Plan
  bundle: Bundle
  /** The names of all plans that are listed. */
  listed: string[]
}

/** The plan of a name in upper or lower case, at its present terms; undefined if it is not in the catalogue. */
export function offerNamed({ version, catalogue }: PlansVersion, name: string): Offer | undefined {
  const plan = planNamed(catalogue, name)
  return plan && { plan, bundle: bundleAt(plan, version, CURRENCY), listed: listedNames(catalogue) }
}

/** Whether an account that does not hold the plan may take it. */
export const isForNew = ({ for: takers = 'new' }: Plan): boolean => takers !== 'existing'

/** Whether an account that holds the plan at older terms may take the present ones. */
export const isForHolders = ({ for: takers = 'new' }: Plan): boolean => takers !== 'new'

/** The plans that an account may choose without being told of them. */
const listedPlans = ({ plans }: Catalogue): Plan[] =>
  plans.filter((plan) => plan.hidden !== true && isForNew(plan))

/** The names of these plans. */
export const listedNames = (catalogue: Catalogue): string[] => listedPlans(catalogue).map(({ name }) => name)

/** These plans with their titles and present terms, in their order. */
export const listedOffers = ({ version, catalogue }: PlansVersion): Omit<Offer, 'listed'>[] =>
  listedPlans(catalogue).map((plan) => ({ plan, bundle: bundleAt(plan, version, CURRENCY) }))
