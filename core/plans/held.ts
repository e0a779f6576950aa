import type { Profile } from '../account/account.ts'
import { bundleOf, isSold } from '../purchases/catalogue.ts'
import type { Bundle } from './terms.ts'

/** What an account has stored of the plan that it holds, and of the one that its renewals buy. */
export type Holding = Pick<Profile, 'bundle' | 'plan' | 'renewalBundle' | 'renewalPlan'>

/**
 * The bundle that the account holds, by the terms with which it took it. Accounts that took one before terms were
 * stored have those of the deployed file.
 * @returns undefined without a bundle, and for such an old account whose bundle the file no longer has
 */
export function heldBundle({ bundle: name, plan }: Pick<Holding, 'bundle' | 'plan'>): Bundle | undefined {
  if (name === undefined) return undefined
  if (plan) return { name, ...plan }
  return isSold(name) ? bundleOf(name) : undefined
}

/** The bundle that a renewal buys: the one that the owner chose, by the terms of that moment, or the one held. */
export function bundleToRenew({ bundle, plan, renewalBundle, renewalPlan }: Holding): Bundle | undefined {
  const isChosen = renewalBundle !== undefined && renewalBundle !== bundle
  return heldBundle(isChosen ? { bundle: renewalBundle, plan: renewalPlan } : { bundle, plan })
}

/** The name of the bundle that a renewal buys, also if it is sold no longer. */
export const nameToRenew = ({
  bundle,
  renewalBundle,
}: Pick<Holding, 'bundle' | 'renewalBundle'>): string | undefined => renewalBundle ?? bundle
