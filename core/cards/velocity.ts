import { parseProfile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { DAY_MS, HOUR_MS } from '../time.ts'
import { uncountShared } from './shared-limits.ts'

/**
 * Limits of an account, against card testing. Every try of a card that is not on file counts, whatever its
 * outcome; of the charges to a card on file only those that were declined, so that nobody is kept from paying.
 */
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
  return withTry(triedMs, nowMs)
}

/** The times of the tries in the last 24 hours and one at `nowMs`, epoch ms. */
export const withTry = (triedMs: readonly number[], nowMs: number): number[] =>
  [...triedMs, nowMs].filter((atMs) => atMs > nowMs - DAY_MS)

/** @throws DomainError `too_many_cards_tried` with the seconds until the next try is allowed */
export function requireVelocity(triedMs: readonly number[], nowMs: number): void {
  const waits = LIMITS.map(({ tries, withinMs }) => {
    const recent = triedMs.filter((atMs) => atMs > nowMs - withinMs)
    return recent.length < tries ? 0 : (recent.at(-tries) ?? nowMs) + withinMs - nowMs
  })
  const waitMs = Math.max(...waits)
  if (waitMs > 0)
    throw new DomainError('too_many_cards_tried', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}

const UNCOUNT_ATTEMPTS = 3

/**
 * Takes back a try that was counted when it began, because it never reached a bank. After too many lost races
 * the try stays counted, which harms nobody for long.
 */
export async function uncountCardAttempt(
  deps: Deps<'table'>,
  tried: { accountId: string; createdAtMs: number; cardFingerprint?: string | undefined },
): Promise<void> {
  const { accountId, createdAtMs: triedAtMs } = tried
  for (let tries = 0; tries < UNCOUNT_ATTEMPTS; tries++) {
    const item = await deps.table.get(keys.profile(accountId))
    const profile = item && parseProfile(item)
    const before = profile?.cardTriesMs
    const at = before?.lastIndexOf(triedAtMs) ?? -1
    if (!profile || !before || at < 0) return
    let lost = false
    await deps.table
      .update(
        keys.profile(accountId),
        expr`SET #cardTriesMs = ${before.toSpliced(at, 1)}`,
        expr`#cardTriesMs = ${before}`,
      )
      .catch((error: unknown) => {
        ignoreRefusal(error)
        lost = true
      })
    if (!lost) return uncountShared(deps, profile, tried)
  }
}
