import { sweepPending } from '../../core/account/register.ts'
import { sweepEvents } from '../../core/cards/events.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { sweepHolds } from '../../core/cards/verify.ts'
import { job } from '../http/job.ts'
import { jobs } from './routes.ts'

const A_RUN = 200

export const handler = job(jobs.sweep, async (deps) => {
  const registrations = await sweepPending(deps, A_RUN)
  const holdsEnded = await sweepHolds(deps, A_RUN)
  const cards = await sweepCards(deps, A_RUN)
  const events = await sweepEvents(deps)
  return {
    registrationsCleared: registrations.done,
    registrationsFailed: registrations.failed,
    holdsEnded,
    ...cards,
    eventsCaughtUp: events.done,
    eventsFailed: events.failed,
  }
})
