import { grantMonthly } from '../../core/plans/grant-monthly.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 50

export const handler = job(jobs.grantMonthly, (deps, { untilMs }) =>
  grantMonthly(deps, { untilMs, width: WIDTH }),
)
