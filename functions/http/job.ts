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

/** What is begun last has this long to end: a payment may wait for its provider twice. */
const ENDING_MS = 20_000

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
    const untilMs = deps.clock.nowMs() + remainingMs - ENDING_MS
    const done = await run(deps, { event, untilMs })
    const ms = Math.round(performance.now() - startedMs)
    const { alarms = [] } = done as { alarms?: string[] }
    for (const alarm of alarms) print({ level: 'alarm', job: work.summary, alarm })
    print({ level: 'info', job: work.summary, ms, ...done })
    return done
  }
}

// biome-ignore lint/suspicious/noConsole: the log
const print = (line: object): void => console.log(JSON.stringify(line))
