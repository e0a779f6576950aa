import { DomainError } from '../../core/errors.ts'
import type { LimitState } from '../../core/limits/limits.ts'
import type { Deps } from '../../core/ports.ts'

/** The header with the answer to a challenge. */
export const ANSWER_HEADER = 'x-challenge-response'

/** Cloudflare's answers have at most 2,048 characters. */
const ANSWER = /^[!-~]{1,2048}$/

/** More of a limit is used than this when people are asked to show that they are no program. */
const NEAR = 0.5

/**
 * Asks who is near a limit of their network for proof that a person asks, if the deployment has a service for it. The
 * limits hold in any case, so an outage of that service keeps nobody out. Bundles of other rows leave this out.
 * @throws DomainError `challenge_required`, with the key for the page that shows the challenge
 */
export async function requirePerson(
  deps: Deps<'challenge'>,
  states: readonly LimitState[],
  headers: Readonly<Record<string, string | undefined>>,
  address: string,
): Promise<void> {
  const { siteKey } = deps.challenge
  if (siteKey === undefined || !states.some(({ left, most }) => left < most * NEAR)) return
  const answer = headers[ANSWER_HEADER] ?? ''
  if (ANSWER.test(answer) && (await isPerson(deps, answer, address))) return
  throw new DomainError('challenge_required', { members: { siteKey } })
}

const isPerson = (deps: Deps<'challenge'>, answer: string, address: string): Promise<boolean> =>
  deps.challenge.verify(answer, address).catch((error: unknown) => {
    deps.log.warn('an answer to a challenge could not be checked, and was believed', error)
    return true
  })
