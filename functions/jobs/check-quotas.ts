import { checkQuotas } from '../../core/purchases/check-quotas.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

/** Renewals at once: each waits for the provider for most of its time. */
const WIDTH = 100

export const handler = job(jobs.checkQuotas, (deps, { untilMs }) =>
  checkQuotas({ ...deps, payments: pacedPayments(deps) }, { untilMs, width: WIDTH }),
)
