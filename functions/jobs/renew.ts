import { checkQuota } from '../../core/purchases/check-quotas.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { job } from '../http/job.ts'
import { tasks } from './schedule.ts'

export const handler = job(tasks.renew, (deps, { event, untilMs }) =>
  checkQuota({ ...deps, payments: pacedPayments(deps, untilMs).payments }, event),
)
