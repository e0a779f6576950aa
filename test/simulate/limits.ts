import { type Month, PARTITION_UNITS } from './month.ts'
import type { Measure } from './peaks.ts'
import type { Settings } from './settings.ts'

/** A limit of AWS, of Stripe or of the deployment. */
export interface Limit {
  measure: Measure
  name: string
  unit: string
  most(settings: Settings): number
  /** What gives when it is met. */
  gives: string
  /** The same as settings. */
  lever: (settings: Settings) => Partial<Settings>
}

/** Pacing is the first that gives. */
const higherAtStripe = ({ paced, stripe }: Settings): Partial<Settings> =>
  paced ? { stripe: { all: stripe.all * 2, endpoint: stripe.endpoint * 2 } } : { paced: true }

/** Each part of a job has shards of its own. */
function moreParts({ jobParts, dueShards }: Settings): Partial<Settings> {
  const parts = jobParts * 4
  return { jobParts: parts, dueShards: Math.max(dueShards, parts) }
}

/** Waits that nobody notices, minutes. */
const SOON = 10

export const LIMITS: readonly Limit[] = [
  {
    measure: 'account',
    name: 'one account',
    unit: 'write units/s',
    most: () => PARTITION_UNITS,
    gives: 'leases: the service of that customer spends in memory',
    lever: () => ({ leases: true }),
  },
  {
    measure: 'due',
    name: 'one shard of due work',
    unit: 'write units/s',
    most: () => PARTITION_UNITS,
    gives: 'shards by setting',
    lever: ({ dueShards }) => ({ dueShards: dueShards * 4 }),
  },
  {
    measure: 'listed',
    name: 'one list of accounts',
    unit: 'write units/s',
    most: () => PARTITION_UNITS,
    gives: 'shards of a list',
    lever: ({ listShards }) => ({ listShards: listShards * 8 }),
  },
  {
    measure: 'totals',
    name: 'the totals',
    unit: 'write units/s',
    most: () => PARTITION_UNITS,
    gives: 'a key for each of the eight parts of a day, then more parts',
    lever: ({ totalsKeys }) => ({ totalsKeys: totalsKeys * 8 }),
  },
  {
    measure: 'requests',
    name: 'the stage',
    unit: 'requests/s',
    most: ({ requestsPerSecond }) => requestsPerSecond,
    gives: 'the throttle of the stage, a setting; beyond 10,000 the quota of the AWS account',
    lever: ({ requestsPerSecond }) => ({ requestsPerSecond: Math.max(10_000, requestsPerSecond * 2) }),
  },
  {
    measure: 'creations',
    name: 'new users at Cognito',
    unit: 'users/s',
    most: ({ creationsPerSecond }) => creationsPerSecond,
    gives: 'pacing: users wait for their turn',
    lever: () => ({ creationsWait: true }),
  },
  {
    measure: 'creationWait',
    name: 'wait for a user at Cognito',
    unit: 'min',
    most: () => 12 * 60,
    gives: 'a higher quota',
    lever: ({ creationsPerSecond }) => ({ creationsPerSecond: creationsPerSecond * 2 }),
  },
  {
    measure: 'signIns',
    name: 'sign-ins at Cognito',
    unit: 'sign-ins/s',
    most: ({ signInsPerSecond }) => signInsPerSecond,
    gives: 'a higher quota',
    lever: ({ signInsPerSecond }) => ({ signInsPerSecond: signInsPerSecond * 4 }),
  },
  {
    measure: 'stripe',
    name: 'Stripe, all calls',
    unit: 'calls/s',
    most: ({ stripe }) => stripe.all,
    gives:
      'pacing: jobs keep to 85 of a 100, and take what customers leave; then a higher limit, which Stripe grants',
    lever: higherAtStripe,
  },
  {
    measure: 'stripeEndpoint',
    name: 'Stripe, one endpoint',
    unit: 'calls/s',
    most: ({ stripe }) => stripe.endpoint,
    gives: 'pacing, then a higher limit',
    lever: higherAtStripe,
  },
  {
    measure: 'renewalWait',
    name: 'wait for a renewal',
    unit: 'min',
    most: () => SOON,
    gives: 'a higher limit at Stripe; renewing earlier (`below`) bridges the wait',
    lever: ({ stripe }) => ({ stripe: { all: stripe.all * 2, endpoint: stripe.endpoint * 2 } }),
  },
  {
    measure: 'webhookWait',
    name: "wait for Stripe's events",
    unit: 'min',
    most: () => SOON,
    gives: 'the concurrency of the webhook, a setting; Stripe sends again meanwhile',
    lever: ({ webhooksAtOnce }) => ({ webhooksAtOnce: webhooksAtOnce * 4 }),
  },
  {
    measure: 'mailWait',
    name: 'wait for a mail',
    unit: 'min',
    most: () => SOON,
    gives: "SES's rate, and more parts of a job",
    lever: (settings) => ({
      mailsPerSecond: Math.max(200, settings.mailsPerSecond * 2),
      ...moreParts(settings),
    }),
  },
  {
    measure: 'eventWait',
    name: 'wait for an event',
    unit: 'min',
    most: () => SOON,
    gives: 'more parts of a job, each with shards of its own',
    lever: moreParts,
  },
  {
    measure: 'useWait',
    name: 'wait for the totals of a day',
    unit: 'min',
    most: () => 1440,
    gives: 'count-use runs each minute',
    lever: () => ({ countUseMinutes: 1 }),
  },
  {
    measure: 'accountRenewals',
    name: 'renewals of one account',
    unit: 'a day',
    most: ({ renewalsPerDay }) => renewalsPerDay,
    gives: 'its owner allows more, or takes a larger bundle',
    lever: ({ renewalsPerDay }) => ({ renewalsPerDay: renewalsPerDay * 100 }),
  },
]

/** The limits that a month has met. */
export const limitsMet = (month: Month, settings: Settings): Limit[] =>
  LIMITS.filter(({ measure, most }) => (month.peaks[measure]?.value ?? 0) > most(settings))

/** Settings under which the limits that were met give. */
export function eased(settings: Settings, met: readonly Limit[]): Settings {
  const changed = { ...settings }
  for (const { lever } of met) Object.assign(changed, lever(settings))
  return changed
}
