import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { ConditionFailed } from './table.ts'

/** Tries of a change that other writers may overtake. Sixteen writers at once need about six. */
const RACE_ATTEMPTS = 20

/** The longest pauses before the second try and before any later one. */
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 300

/**
 * Runs an optimistic change, and runs it again whenever a concurrent writer was first. Between two tries it
 * pauses for a random time, so that writers that collided do not collide again.
 * @param change reads what it decides on, and throws `ConditionFailed` if that has changed when it writes.
 * @param lost the error if every try lost a race: `conflict` for a caller who may read again, and
 *   `temporarily_unavailable` for events, whose senders repeat them.
 * @throws DomainError `lost`
 */
export async function retryRaces<T>(
  deps: Deps,
  change: (tries: number) => Promise<T>,
  lost: 'conflict' | 'temporarily_unavailable' = 'conflict',
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await change(tries)
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      if (tries === RACE_ATTEMPTS) throw new DomainError(lost, { cause: error })
    }
    const longestMs = Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS)
    await deps.clock.wait((longestMs * Number.parseInt(deps.ids.hex(2), 16)) / 0xffff)
  }
}
