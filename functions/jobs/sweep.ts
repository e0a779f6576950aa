import { sweepAccounts } from '../../core/account/sweep-accounts.ts'
import { sweepCustomerDetails } from '../../core/cards/customer-details.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { sweepHolds } from '../../core/cards/verify.ts'
import { compareReversals } from '../../core/purchases/compare-reversals.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { comparePayments, compareRecorded } from '../../core/purchases/reconcile.ts'
import { processMissedEvents } from '../../core/webhooks/events.ts'
import { countsOf, job, runSteps } from '../http/job.ts'
import { jobs } from './schedule.ts'

export const handler = job(jobs.sweep, (unpaced, start) => {
  const deps = { ...unpaced, payments: pacedPayments(unpaced, start.untilMs).payments }
  const whole = { ...start, width: 10 }
  return runSteps(deps, whole, {
    accounts: (run) => sweepAccounts(deps, run),
    holds: countsOf('holdsEnded', 'holdsFailed', (run) => sweepHolds(deps, run)),
    cards: (run) => sweepCards(deps, run),
    customers: countsOf('customersUpdated', 'customersFailed', (run) => sweepCustomerDetails(deps, run)),
    events: countsOf('eventsCaughtUp', 'eventsFailed', (run) => processMissedEvents(deps, run)),
    reversals: countsOf('reversalsApplied', 'reversalsFailed', (run) => compareReversals(deps, run)),
    payments: async (run) => ({ paymentsCompared: await comparePayments(deps, run) }),
    records: countsOf('recordsCompared', 'recordsFailed', (run) => compareRecorded(deps, run)),
  })
})
