import { rateLimited, rateLimitOf } from '../errors.ts'
import type { Clock, Identity } from '../ports.ts'
import { callingThrough, patiently } from './patience.ts'

/**
 * The vault's capacity is a limit of the whole deployment. Once it refuses calls, customers who have signed in go before
 * strangers: their calls are repeated until there is room, while a container that was refused for a stranger lets no
 * stranger call for a second.
 */

/** The vault for customers who have signed in. */
export const vaultForCustomers = (identity: Identity, clock: Clock): Identity =>
  callingThrough(identity, patiently(clock))

/** So many refusals in a row close the vault for strangers of a container, and for how long. */
const REFUSALS = 3
const PAUSE_MS = 1_000

/** The vault for strangers: whoever signs in, registers or restores an account. */
export function vaultForStrangers(identity: Identity, clock: Clock): Identity {
  let refusals = 0
  let closedUntilMs = 0
  return callingThrough(identity, async (_method, call) => {
    const waitMs = closedUntilMs - clock.nowMs()
    // A longer one comes from a clock that was set back since.
    if (waitMs > 0 && waitMs <= PAUSE_MS) throw busy(waitMs)
    try {
      const answer = await call()
      refusals = 0
      return answer
    } catch (error) {
      if (!rateLimitOf(error)) throw error
      refusals++
      if (refusals >= REFUSALS) closedUntilMs = clock.nowMs() + PAUSE_MS
      throw busy(PAUSE_MS)
    }
  })
}

const busy = (waitMs: number) =>
  rateLimited(
    { scope: 'all', retryAfterSeconds: waitMs / 1000 },
    new Error('the vault is busy, and customers who have signed in go first'),
  )
