import { failureOf } from '../errors.ts'
import type { Log } from '../ports.ts'

/** A line, with its level and whatever else it says. */
type Line = { level: 'warn' | 'error'; [member: string]: unknown }

/** Most lines of one kind that are printed in a window, so that a failing service does not flood the log. */
const LINES = 20

/**
 * JSON lines for the operator: level, context, what failed, the ids concerned, and the error's code, class
 * and frames. Messages of errors are left out, because they may quote anything.
 * @param print writes one line.
 * @param windowMs time after which the count of lines restarts; never by default, for a log that lives for
 *   one run.
 */
export function operatorLog(print: (line: Line) => void, nowMs: () => number, windowMs = Infinity) {
  const kinds = new Map<string, { sinceMs: number; printed: number; leftOut: number }>()

  function write(level: 'warn' | 'error', context: object, ...[what, error, about]: Parameters<Log['warn']>) {
    let kind = kinds.get(what)
    // A clock that is set back must not keep lines out for longer.
    const previous = kind && Math.abs(nowMs() - kind.sinceMs) >= windowMs ? kind : undefined
    if (!kind || previous) kind = { sinceMs: nowMs(), printed: 0, leftOut: 0 }
    kinds.set(what, kind)
    if (kind.printed >= LINES) {
      kind.leftOut++
      return
    }
    kind.printed++
    const leftOut = previous?.leftOut ? { leftOut: previous.leftOut } : {}
    print({ level, ...context, what, ...about, ...failureOf(error), ...leftOut })
  }

  return {
    /** A log whose lines all carry `context`, such as the request's id. The limit is shared. */
    within: (context: object): Log => ({
      warn: (...line) => write('warn', context, ...line),
      error: (...line) => write('error', context, ...line),
    }),
    /** Begins a new window for every kind, for tests that share a process. */
    restart: () => kinds.clear(),
    /** How many lines the limit has kept out since the last window began. */
    leftOut: () => [...kinds.values()].reduce((sum, kind) => sum + kind.leftOut, 0),
  }
}
