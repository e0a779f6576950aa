import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { settlePayments } from '../../core/purchases/settle-payments.ts'
import { settleRefunds } from '../../core/purchases/settle-refunds.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 50

export const handler = job(jobs.settlePayments, async (deps, { untilMs }) => {
  const { payments, ready } = pacedPayments(deps, untilMs)
  const run = { untilMs, width: WIDTH, ready }
  const refunds = await settleRefunds({ ...deps, payments }, run)
  const settled = await settlePayments({ ...deps, payments }, run)
  // Orders of operators are rare.
  return { ...settled, ...(refunds.done + refunds.failed > 0 && { refunds }) }
})
