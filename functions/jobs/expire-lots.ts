import { expireLots } from '../../core/quota/expire-lots.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 50

export const handler = job(jobs.expireLots, (deps, { untilMs }) =>
  expireLots(deps, { untilMs, width: WIDTH }),
)
