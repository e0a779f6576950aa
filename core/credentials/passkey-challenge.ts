import * as z from 'zod/mini'
import { textOfBase64url } from '../base64url.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { CHALLENGE_KEPT_MS, challengeKey, ttlAt } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'

/** How long a challenge may be answered. */
export const CHALLENGE_MS = 5 * MINUTE_MS

/** The challenge for every assertion. Whose passkey answers it is not known before. */
export const ASSERTION = 'assertion'

/** The challenge for a new passkey works for one account only. */
export const attestationOf = (accountId: string): string => `attestation:${accountId}`

/**
 * Makes a challenge, which is sealed instead of stored: nobody can have the table filled by asking for
 * challenges. Only an accepted answer writes, and so a challenge is answered once.
 */
export function newChallenge(deps: Deps<'keyring'>, purpose: string): string {
  const expiresAtMs = deps.clock.nowMs() + CHALLENGE_MS
  return deps.keyring.seal('seal:passkey-challenge', purpose, `${deps.ids.hex(16)} ${expiresAtMs}`)
}

/** A challenge of ours that has not expired. */
export interface OpenChallenge {
  id: string
  /** As it was sent to the browser. */
  text: string
  /** The write, of the transaction that accepts the answer, after which no answer to this challenge is accepted. */
  spend: Write
}

const clientData = z.object({ challenge: z.string() })

/**
 * The challenge that a browser says to have answered. Whether it has is for the signature to prove.
 * @returns undefined unless the challenge is ours, for this purpose, and not expired.
 */
export function openChallenge(
  deps: Deps<'keyring'>,
  purpose: string,
  clientDataJson: string,
): OpenChallenge | undefined {
  const text = challengeIn(clientDataJson)
  if (text === undefined) return undefined
  const [id = '', expiresAtMs] = unsealed(deps, purpose, text)?.split(' ') ?? []
  if (!(Number(expiresAtMs) > deps.clock.nowMs())) return undefined
  const item = { ...challengeKey(id), ...ttlAt(deps.clock.nowMs() + CHALLENGE_KEPT_MS) }
  return { id, text, spend: { put: item, if: expr`attribute_not_exists(pk)` } }
}

function challengeIn(clientDataJson: string): string | undefined {
  try {
    return z.parse(clientData, JSON.parse(textOfBase64url(clientDataJson) ?? '')).challenge
  } catch {
    return undefined
  }
}

function unsealed({ keyring }: Deps<'keyring'>, purpose: string, text: string): string | undefined {
  try {
    return keyring.open('seal:passkey-challenge', purpose, text)
  } catch {
    return undefined
  }
}
