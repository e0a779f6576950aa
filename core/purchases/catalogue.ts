import { openCatalogue } from './open-catalogue.ts'

/**
 * The plans of a deployment on which none were applied yet: GreenCloud's three bundles. From then on the versions in the
 * table count (`core/plans/versions.ts`); functions/README.md ("Changing the catalogue") says what a change does to
 * accounts that hold a bundle. A price is in the currency's minor unit, as Stripe counts: 99 is 0.99 USD, or 99 JPY. A
 * mistake stops everything that reads the file, the deployment first, with an error that names the entry.
 */
export const { CURRENCY, defaultCatalogue, bundleNames, bundleOf, isSold } = openCatalogue({
  currency: 'USD',
  trialUnits: 100,
  plans: [
    { name: 'STARTER', title: 'Starter', units: 1_000, prices: { USD: 99 } },
    { name: 'DEVELOPER', title: 'Developer', units: 100_000, prices: { USD: 999 } },
    { name: 'ENTERPRISE', title: 'Enterprise', units: 1_000_000, prices: { USD: 7_999 } },
  ],
})

export type BundleName = (typeof bundleNames)[number]
