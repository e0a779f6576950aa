import { countUse } from '../../core/reports/count-use.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 10

export const handler = job(jobs.countUse, (deps, { untilMs }) => countUse(deps, { untilMs, width: WIDTH }))
