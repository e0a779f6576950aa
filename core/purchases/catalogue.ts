import { openCatalogue } from './open-catalogue.ts'

export type { Bundle } from './open-catalogue.ts'

/**
 * GreenCloud's three bundles. Change currency, prices and sizes here and nowhere else; functions/README.md
 * ("Changing the catalogue") says what a change does to accounts that hold a bundle. A price is in the
 * currency's minor unit, as Stripe counts: 99 is 0.99 USD, or 99 JPY. A mistake stops everything that reads
 * the catalogue, the deployment first, with an error that names the entry.
 */
export const { CURRENCY, bundleNames, bundleOf, isSold, bundleNamed } = openCatalogue({
  currency: 'USD',
  bundles: {
    STARTER: { units: 1_000, priceCents: 99 },
    DEVELOPER: { units: 100_000, priceCents: 999 },
    ENTERPRISE: { units: 1_000_000, priceCents: 7_999 },
  },
})

export type BundleName = (typeof bundleNames)[number]
