import { checkQuotas } from '../../core/purchases/check-quotas.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

/** Concurrent renewals. Each spends most of its time waiting for Stripe. */
const WIDTH = 100

export const handler = job(jobs.checkQuotas, (deps, { untilMs }) => {
  const { payments, ready } = pacedPayments(deps, untilMs)
  return checkQuotas({ ...deps, payments }, { untilMs, width: WIDTH, ready })
})
