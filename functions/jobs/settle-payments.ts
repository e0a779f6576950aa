import { settlePayments } from '../../core/purchases/left.ts'
import { pacedPayments } from '../../core/purchases/pace.ts'
import { job } from '../http/job.ts'
import { jobs } from './routes.ts'

const WIDTH = 50

export const handler = job(jobs.settlePayments, (deps, { untilMs }) =>
  settlePayments({ ...deps, payments: pacedPayments(deps) }, { untilMs, width: WIDTH }),
)
