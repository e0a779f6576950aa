import type { Deps } from '../../core/ports.ts'
import type { Job } from '../jobs/routes.ts'
import { live } from './live.ts'

/** The Lambda handler of a job: one domain call, one log line that says what it did, and that as the answer. */
export function job<const J extends Job, T extends object>(
  row: J,
  run: (deps: Deps<J['needs'][number]>) => Promise<T>,
) {
  return async (): Promise<T> => {
    const startedMs = performance.now()
    const done = await run((await live(row.needs)) as Deps<J['needs'][number]>)
    const ms = Math.round(performance.now() - startedMs)
    // biome-ignore lint/suspicious/noConsole: the log
    console.log(JSON.stringify({ level: 'info', job: row.summary, ms, ...done }))
    return done
  }
}
