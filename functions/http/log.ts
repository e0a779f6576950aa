import { operatorLog } from '../../core/adapters/log.ts'

/** Writes one line of JSON to the function's log. */
// biome-ignore lint/suspicious/noConsole: the log
export const print = (line: object): void => console.log(JSON.stringify(line))

/** How long a container remembers how many lines of one kind its requests caused. */
const WINDOW_MS = 60_000

/** The log of a container's requests: callers who cause many failures cause a bounded number of lines. */
export const requestLog = operatorLog(print, () => Date.now(), WINDOW_MS)
