import type { Context } from 'aws-lambda'
import type { Deps } from '../../core/ports.ts'
import { live } from './live.ts'
import type { Need } from './route.ts'

/** What jobs and subscribers have in common. */
interface Work {
  summary: string
  timeoutSeconds: number
  needs: readonly Need[]
}

/** What started a run, and when it should begin nothing more (epoch ms). */
export interface Start {
  event: unknown
  untilMs: number
}

/** What is begun last has this part of the time to end, at most: each of a renewal's calls may wait 16 s. */
const ENDING_PART = 1 / 3
const ENDING_MS = 50_000

/**
 * The Lambda handler of a job or a subscriber: one domain call, one log line that says what it did, and that as
 * the answer. `alarms` among it are sentences for the operator: each is a line of its own. What it throws goes to the
 * service that started it, which tries again.
 */
export function job<const W extends Work, T extends object>(
  work: W,
  run: (deps: Deps<W['needs'][number]>, start: Start) => Promise<T>,
) {
  return async (event?: unknown, context?: Pick<Context, 'getRemainingTimeInMillis'>): Promise<T> => {
    const startedMs = performance.now()
    const deps = (await live(work.needs)) as unknown as Deps<W['needs'][number]>
    const remainingMs = context?.getRemainingTimeInMillis?.() ?? work.timeoutSeconds * 1000
    const untilMs = deps.clock.nowMs() + remainingMs - Math.min(ENDING_MS, remainingMs * ENDING_PART)
    const done = await run(deps, { event, untilMs }).catch((error: Error) => {
      print({ level: 'error', job: work.summary, cause: error.name })
      throw error
    })
    const ms = Math.round(performance.now() - startedMs)
    const { alarms = [] } = done as { alarms?: string[] }
    for (const alarm of alarms) print({ level: 'alarm', job: work.summary, alarm })
    print({ level: 'info', job: work.summary, ms, ...done })
    return done
  }
}

// biome-ignore lint/suspicious/noConsole: the log
const print = (line: object): void => console.log(JSON.stringify(line))
