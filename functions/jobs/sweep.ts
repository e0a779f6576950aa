import { sweepPending } from '../../core/account/register.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { sweepHolds } from '../../core/cards/verify.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { comparePayments } from '../../core/purchases/reconcile.ts'
import { processMissedEvents } from '../../core/webhooks/events.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 10

export const handler = job(jobs.sweep, async (unpaced, { untilMs }) => {
  const deps = { ...unpaced, payments: pacedPayments(unpaced, untilMs).payments }
  const run = { untilMs, width: WIDTH }
  const { done: registrationsCleared, failed: registrationsFailed } = await sweepPending(deps, run)
  const { done: holdsEnded, failed: holdsFailed } = await sweepHolds(deps, run)
  const cards = await sweepCards(deps, run)
  const { done: eventsCaughtUp, failed: eventsFailed } = await processMissedEvents(deps, run)
  const { compared: paymentsCompared, alarms } = await comparePayments(deps, run)
  const finished = { registrationsCleared, registrationsFailed, holdsEnded, holdsFailed, ...cards }
  return { ...finished, eventsCaughtUp, eventsFailed, paymentsCompared, alarms }
})
