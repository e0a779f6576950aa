import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 50

export const handler = job(jobs.settlePayments, (deps, { untilMs }) => {
  const { payments, ready } = pacedPayments(deps, untilMs)
  return settlePayments({ ...deps, payments }, { untilMs, width: WIDTH, ready })
})
