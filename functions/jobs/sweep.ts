import { sweepPending } from '../../core/account/register.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { sweepHolds } from '../../core/cards/verify.ts'
import { job } from '../http/job.ts'
import { jobs } from './routes.ts'

const A_RUN = 200

export const handler = job(jobs.sweep, async (deps) => {
  const registrations = await sweepPending(deps, A_RUN)
  return {
    registrationsCleared: registrations.done,
    registrationsFailed: registrations.failed,
    holdsEnded: await sweepHolds(deps, A_RUN),
    ...(await sweepCards(deps, A_RUN)),
  }
})
