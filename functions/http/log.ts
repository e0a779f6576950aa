import { operatorLog } from '../../core/adapters/log.ts'

/** `alarm`: a person must see it. */
export type Level = 'info' | 'warn' | 'error' | 'alarm' | 'fatal'

/** The console of Lambda's runtime, which has a level of its own. It makes an object the `message` of a line of JSON. */
interface LambdaConsole extends Pick<Console, 'info' | 'warn' | 'error'> {
  fatal(line: object): void
}

const lambda: Partial<LambdaConsole> = console

/** The levels of Lambda for ours. */
const METHODS = { info: 'info', warn: 'warn', error: 'error', alarm: 'error', fatal: 'fatal' } as const

/**
 * Writes one line to the function's log. On Lambda, queries and filters find its members as `message.status` and the
 * like; elsewhere it is JSON on one line.
 */
export const print = <L extends { level: Level }>(line: L): void =>
  // biome-ignore lint/suspicious/noConsole: the log
  lambda.fatal ? lambda[METHODS[line.level]]?.(line) : console.log(JSON.stringify(line))

/** The length of a window, in which a container prints a limited number of lines of one kind. */
const WINDOW_MS = 60_000

/** The log of a container's requests. However many failures callers cause, the number of lines is bounded. */
export const requestLog = operatorLog(print, () => Date.now(), WINDOW_MS)
