import { rateOf, stripeLimits } from '../../core/purchases/rate-budget.ts'
import { DUE_SHARDS } from '../../core/table/keys.ts'
import { functions, throttle } from '../../functions/deploy/functions.ts'
import { jobs, tasks } from '../../functions/jobs/schedule.ts'

/** What a deployment sets, and what AWS and Stripe grant it. */
export interface Settings {
  /** Shards of each kind of due work. */
  dueShards: number
  /** Partitions of each list of accounts. */
  listShards: number
  /** Partition keys of a day's totals. */
  totalsKeys: number
  /** Whether the busiest customers spend out of leases, as with `bursar/meter` in the mode `leased`. */
  leases: boolean
  /** Requests a second that the stage lets in. */
  requestsPerSecond: number
  /** Users that Cognito creates a second, and whether further ones wait for their turn instead of being refused. */
  creationsPerSecond: number
  creationsWait: boolean
  /** Sign-ins that Cognito accepts a second. */
  signInsPerSecond: number
  /** Calls to Stripe a second, in all and of one endpoint, and whether jobs keep to a part of them. */
  stripe: { all: number; endpoint: number }
  paced: boolean
  mailsPerSecond: number
  /** Runs of a job side by side, each with shards of its own. */
  jobParts: number
  /** Minutes between two runs of count-use. */
  countUseMinutes: number
  webhooksAtOnce: number
  /** Renewals that one account may have in a day. */
  renewalsPerDay: number
}

const webhooks = functions.find(({ name }) => name.startsWith('webhooks-'))
const minutesOf = (every: string): number => Number(/\d+/.exec(every)?.[0] ?? 1)

/** What is deployed today, with the quotas that AWS and Stripe give at first. */
export const deployed: Settings = {
  dueShards: DUE_SHARDS,
  listShards: 1,
  totalsKeys: 1,
  leases: false,
  requestsPerSecond: throttle.ratePerSecond,
  creationsPerSecond: 50,
  creationsWait: false,
  signInsPerSecond: 120,
  stripe: stripeLimits(true),
  paced: true,
  mailsPerSecond: 14,
  jobParts: 1,
  countUseMinutes: minutesOf(jobs.countUse.every),
  webhooksAtOnce: webhooks?.reserved ?? 1,
  renewalsPerDay: 10,
}

/** Calls a second that jobs make to one endpoint of Stripe: their part of the limit if they are paced. */
export const jobsRate = ({ paced, stripe }: Settings): number =>
  paced ? rateOf('createPayment', undefined, stripe, 0) : Number.POSITIVE_INFINITY

/** How a job works: how many items at once, and for how many seconds of each run. */
export interface JobPace {
  width: number
  seconds: number
}

/** The end of a run is kept for work that has begun, as `functions/http/job.ts` has it. */
const secondsOf = (timeout: number): number => timeout - Math.min(50, timeout / 3)

/** The widths are those of the handlers; `calibration.deep.test.ts` compares them. */
export const PACES = {
  sendMail: { width: 4, seconds: secondsOf(jobs.sendMail.timeoutSeconds) },
  publishEvents: { width: 10, seconds: secondsOf(jobs.publishEvents.timeoutSeconds) },
  countUse: { width: 10, seconds: secondsOf(jobs.countUse.timeoutSeconds) },
  // Tasks begin at once and end within the minute.
  renew: { width: tasks.renew.atOnce, seconds: 60 },
  // Its runs take five minutes and follow each other, so that each minute has its part of one.
  checkQuotas: {
    width: 100,
    seconds: (secondsOf(jobs.checkQuotas.timeoutSeconds) / jobs.checkQuotas.timeoutSeconds) * 60,
  },
} satisfies Record<string, JobPace>
