import { DomainError } from '../errors.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'

/** Limits on card tries, against card testing. */
const LIMITS = [
  { tries: 3, withinMs: HOUR_MS },
  { tries: 10, withinMs: DAY_MS },
]

/**
 * Counts one more card try.
 * @returns the times of the tries in the last 24 hours, this one included, epoch ms.
 * @throws DomainError `too_many_cards_tried` with the seconds until the next try is allowed
 */
export function countCardAttempt(triedMs: readonly number[], nowMs: number): number[] {
  requireVelocity(triedMs, nowMs)
  return [...triedMs, nowMs].filter((atMs) => atMs > nowMs - DAY_MS)
}

function requireVelocity(triedMs: readonly number[], nowMs: number): void {
  const waits = LIMITS.map(({ tries, withinMs }) => {
    const recent = triedMs.filter((atMs) => atMs > nowMs - withinMs)
    return recent.length < tries ? 0 : (recent.at(-tries) ?? nowMs) + withinMs - nowMs
  })
  const waitMs = Math.max(...waits)
  if (waitMs > 0)
    throw new DomainError('too_many_cards_tried', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}
