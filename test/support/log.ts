import { operatorLog } from '../../core/adapters/log.ts'
import type { Log } from '../../core/ports.ts'

/** The deployed log, whose lines a test can read. */
export function recordingLog(
  nowMs: () => number = Date.now,
  windowMs?: number,
): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const { within } = operatorLog((line) => lines.push(line as Record<string, unknown>), nowMs, windowMs)
  return { log: within({}), lines }
}

/** A log that drops every line. */
export const silentLog: Log = { warn: () => {}, error: () => {} }
