import type { Deps } from '../../core/ports.ts'
import { live } from './live.ts'
import type { Need } from './route.ts'

/** What jobs and subscribers have in common. */
interface Work {
  summary: string
  needs: readonly Need[]
}

/**
 * The Lambda handler of a job or a subscriber: one domain call, one log line that says what it did, and that as
 * the answer. What it throws goes to the service that started it, which tries again.
 */
export function job<const W extends Work, T extends object>(
  work: W,
  run: (deps: Deps<W['needs'][number]>, event: unknown) => Promise<T>,
) {
  return async (event: unknown): Promise<T> => {
    const startedMs = performance.now()
    const done = await run((await live(work.needs)) as unknown as Deps<W['needs'][number]>, event)
    const ms = Math.round(performance.now() - startedMs)
    // biome-ignore lint/suspicious/noConsole: the log
    console.log(JSON.stringify({ level: 'info', job: work.summary, ms, ...done }))
    return done
  }
}
