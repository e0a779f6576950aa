import type { Offer, PlansVersion } from '../../core/plans/current.ts'
import type { Deployment } from '../../core/ports.ts'
import { amountOf } from './money-shapes.ts'

/** What a page must know of the deployment before anybody signs in. */
export const configShape = <P>(
  { appName, publishableKey, supportEmail, color, logoUrl, termsUrl, privacyUrl, challengeKey }: Deployment,
  { catalogue }: PlansVersion,
  offers: readonly Omit<Offer, 'listed'>[],
  password: P,
) => ({
  appName,
  publishableKey,
  bundles: offers.map(offerShape),
  trialUnits: catalogue.trialUnits,
  password,
  // Bursar has both; no deployment switches either off.
  factors: { totp: true, passkeys: true },
  challenge: challengeKey === undefined ? null : { provider: 'turnstile' as const, siteKey: challengeKey },
  supportEmail,
  theme: { color: color ?? null, logoUrl: logoUrl ?? null },
  links: { terms: termsUrl ?? null, privacy: privacyUrl ?? null },
})

const offerShape = ({ plan, bundle }: Omit<Offer, 'listed'>) => ({
  name: plan.name,
  title: plan.title ?? plan.name,
  units: bundle.units,
  price: amountOf(bundle.priceCents, bundle.currency),
  currency: bundle.currency,
  monthlyUnits: bundle.monthlyUnits ?? 0,
  expiresAfterDays: bundle.expiresAfterDays ?? null,
})
