import { sweepPending } from '../../core/account/register.ts'
import { job } from '../http/job.ts'
import { jobs } from './routes.ts'

const REGISTRATIONS_A_RUN = 200

export const handler = job(jobs.sweep, async (deps) => ({
  registrationsCleared: await sweepPending(deps, REGISTRATIONS_A_RUN),
}))
