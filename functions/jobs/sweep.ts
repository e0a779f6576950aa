import { sweepPending } from '../../core/account/register.ts'
import { sweepCustomerDetails } from '../../core/cards/customer-details.ts'
import { sweepCards } from '../../core/cards/expiry.ts'
import { sweepHolds } from '../../core/cards/verify.ts'
import type { Deps } from '../../core/ports.ts'
import { compareReversals } from '../../core/purchases/compare-reversals.ts'
import { pacedPayments } from '../../core/purchases/rate-limit.ts'
import { comparePayments, compareRecorded } from '../../core/purchases/reconcile.ts'
import { processMissedEvents } from '../../core/webhooks/events.ts'
import { job } from '../http/job.ts'
import { jobs } from './schedule.ts'

const WIDTH = 10

type SweepDeps = Deps<(typeof jobs.sweep.needs)[number]>

type Step = (
  deps: SweepDeps,
  run: { untilMs: number; width: number; alarm(sentence: string): void },
) => Promise<object>

/** The counts of a step, by the names that the run's log line has for them. */
const named = async (done: string, failed: string, work: Promise<{ done: number; failed: number }>) => {
  const worked = await work
  return { [done]: worked.done, [failed]: worked.failed }
}

/** The steps of a run. None needs another one. */
const STEPS: Readonly<Record<string, Step>> = {
  registrations: (deps, run) => named('registrationsCleared', 'registrationsFailed', sweepPending(deps, run)),
  holds: (deps, run) => named('holdsEnded', 'holdsFailed', sweepHolds(deps, run)),
  cards: sweepCards,
  customers: (deps, run) => named('customersUpdated', 'customersFailed', sweepCustomerDetails(deps, run)),
  events: (deps, run) => named('eventsCaughtUp', 'eventsFailed', processMissedEvents(deps, run)),
  reversals: (deps, run) => named('reversalsApplied', 'reversalsFailed', compareReversals(deps, run)),
  payments: async (deps, run) => ({ paymentsCompared: await comparePayments(deps, run) }),
  records: (deps, run) => named('recordsCompared', 'recordsFailed', compareRecorded(deps, run)),
}

/**
 * Runs every step, whatever became of the others. Each may use an equal part of the time that is left, so that
 * a step with much to do leaves some to the next; what it leaves undone is the next run's.
 * @throws the error of the first step that failed as a whole, after all of them have run
 */
export const handler = job(jobs.sweep, async (unpaced, { untilMs, alarm: raise }) => {
  const deps = { ...unpaced, payments: pacedPayments(unpaced).payments }
  const alarms: string[] = []
  const alarm = (sentence: string) => {
    alarms.push(sentence)
    raise(sentence)
  }
  const errors: unknown[] = []
  const finished: Record<string, unknown> = {}
  let left = Object.keys(STEPS).length
  for (const [step, run] of Object.entries(STEPS)) {
    const nowMs = deps.clock.nowMs()
    const stepUntilMs = nowMs + Math.max(0, untilMs - nowMs) / left--
    try {
      Object.assign(finished, await run(deps, { untilMs: stepUntilMs, width: WIDTH, alarm }))
    } catch (error) {
      errors.push(error)
      deps.log.error(
        'a step of the sweep failed; the other steps run, and the next sweep repeats it',
        error,
        {
          item: step,
        },
      )
    }
  }
  if (errors.length > 0) throw errors[0]
  return { ...finished, alarms }
})
