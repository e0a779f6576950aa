import { deliverEvents } from '../../core/events/deliveries.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 10

export const handler = job(jobs.deliverEvents, (deps, { untilMs, alarm }) =>
  deliverEvents(deps, { untilMs, width: WIDTH, alarm }),
)
