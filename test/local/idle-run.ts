/**
 * Whether a log line says that a job ran and found nothing to do: level `info`, and all counts 0. The local stack keeps
 * such lines off the screen, because a job runs every second there. A line of any other level is always shown.
 */
export function isIdleRun(line: unknown): boolean {
  if (typeof line !== 'string' || !line.startsWith('{')) return false
  try {
    const { level, job, ms, ...did } = JSON.parse(line)
    return level === 'info' && job !== undefined && Object.keys(did).length > 0 && isNothing(did)
  } catch {
    return false
  }
}

const isNothing = (value: unknown): boolean =>
  value === 0 ||
  value === null ||
  (typeof value === 'object' && value !== null && Object.values(value).every(isNothing))
