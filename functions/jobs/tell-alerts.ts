import { tellAlerts } from '../../core/notifications/tell-alerts.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 10

export const handler = job(jobs.tellAlerts, (deps, { untilMs }) =>
  tellAlerts(deps, { untilMs, width: WIDTH }),
)
