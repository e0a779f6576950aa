import type { Context } from 'aws-lambda'
import { operatorLog } from '../../core/adapters/log.ts'
import { failureOf } from '../../core/errors.ts'
import type { Deps } from '../../core/ports.ts'
import type { WatchfulRun, Worked } from '../../core/table/due.ts'
import type { Work } from '../jobs/schedule.ts'
import { live, sessionsSinceMs } from './live.ts'
import { print } from './log.ts'

/** The event that started a run, and the time after which the run begins no more work (epoch ms). */
export interface Start {
  event: unknown
  untilMs: number
  /** Writes a line of level `alarm` at once: what a person must see, even if the run dies. */
  alarm(sentence: string): void
}

/**
 * The end of a run is kept for work that has begun: this part of the run, at most `ENDING_MS`. Each of a
 * renewal's calls may take 16 s.
 */
const ENDING_PART = 1 / 3
const ENDING_MS = 50_000

/**
 * A job begins no more work after this part of a minute and leaves the rest to its next run, so that runs do not wait for
 * each other.
 */
const TICK_MS = 45_000

/**
 * The Lambda handler of a job, a subscriber or a task. It makes one domain call, logs the result in one line and
 * answers it. The domain call logs failures, item by item. An error of the domain call is rethrown, so that the
 * service that started the run retries the run.
 * @param logged what the line shows of the result, for a result that nobody but the caller may see
 */
export function job<const W extends Work, T extends object>(
  work: W,
  run: (deps: Deps<W['needs'][number]>, start: Start) => Promise<T>,
  logged: (done: T) => object = (done) => done,
) {
  const name = work.file
  return async (event?: unknown, context?: Pick<Context, 'getRemainingTimeInMillis'>): Promise<T> => {
    const startedMs = performance.now()
    // A task is awaited, so it uses the client of the table that starts faster.
    const ports = await live(work.needs, 'atOnce' in work ? '' : 'InJobs')
    const { within, leftOut } = operatorLog(print, ports.clock.nowMs)
    const origin = { by: 'system', name } as const
    const deps = {
      ...ports,
      origin,
      sessionsSinceMs: sessionsSinceMs(),
      log: within({ job: name }),
    } as unknown as Deps<W['needs'][number]>
    const remainingMs = context?.getRemainingTimeInMillis?.() ?? work.timeoutSeconds * 1000
    const workMs = remainingMs - Math.min(ENDING_MS, remainingMs * ENDING_PART)
    const untilMs = ports.clock.nowMs() + ('every' in work ? Math.min(TICK_MS, workMs) : workMs)
    const alarm = (sentence: string) => print({ level: 'alarm', job: name, alarm: sentence })
    try {
      const done = await run(deps, { event, untilMs, alarm })
      const ms = Math.round(performance.now() - startedMs)
      print({ level: 'info', job: name, ms, ...logged(done) })
      return done
    } catch (error) {
      print({ level: 'error', job: name, what: 'the run ended early', ...failureOf(error) })
      throw error
    } finally {
      if (leftOut() > 0) print({ level: 'error', job: name, what: 'more failures', leftOut: leftOut() })
    }
  }
}

/** One part of a run's work. None needs another one. @returns counts for the run's log line. */
export type RunStep = (run: WatchfulRun) => Promise<object>

/** The counts of a step under the names that the log line has for them. */
export const countsOf =
  (done: string, failed: string, work: (run: WatchfulRun) => Promise<Worked>): RunStep =>
  async (run) => {
    const worked = await work(run)
    return { [done]: worked.done, [failed]: worked.failed }
  }

/**
 * Runs every step, whatever became of the others. Each may use an equal part of the time that is left, so that
 * a step with much to do leaves some to the next; what it leaves undone is the next run's.
 * @returns the counts of all steps, and the alarms that they raised.
 * @throws the error of the first step that failed as a whole, after all of them have run
 */
export async function runSteps(
  deps: Deps,
  run: WatchfulRun,
  steps: Readonly<Record<string, RunStep>>,
): Promise<object> {
  const alarms: string[] = []
  const errors: unknown[] = []
  const counts = {}
  const alarm = (sentence: string) => {
    alarms.push(sentence)
    run.alarm(sentence)
  }
  let left = Object.keys(steps).length
  for (const [name, step] of Object.entries(steps)) {
    const nowMs = deps.clock.nowMs()
    const untilMs = nowMs + Math.max(0, run.untilMs - nowMs) / left--
    try {
      Object.assign(counts, await step({ ...run, untilMs, alarm }))
    } catch (error) {
      errors.push(error)
      const what = 'a step of the sweep failed; the other steps run, and the next sweep repeats it'
      deps.log.error(what, error, { item: name })
    }
  }
  if (errors.length > 0) throw errors[0]
  return { ...counts, alarms }
}
