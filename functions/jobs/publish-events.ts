import { publishEvents } from '../../core/events/publish.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 10

export const handler = job(jobs.publishEvents, (deps, { untilMs }) =>
  publishEvents(deps, { untilMs, width: WIDTH }),
)
