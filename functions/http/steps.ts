import type { Deps } from '../../core/ports.ts'
import type { WatchfulRun, Worked } from '../../core/table/due.ts'

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
