import { operatorLog } from '../../core/adapters/log.ts'

/** Writes one line of JSON to the function's log. */
// biome-ignore lint/suspicious/noConsole: the log
export const print = (line: object): void => console.log(JSON.stringify(line))

/** The length of a window, in which a container prints a limited number of lines of one kind. */
const WINDOW_MS = 60_000

/** The log of a container's requests. However many failures callers cause, the number of lines is bounded. */
export const requestLog = operatorLog(print, () => Date.now(), WINDOW_MS)
