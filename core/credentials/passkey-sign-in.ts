import {
  isNobodys,
  type Profile,
  readAccount,
  requireActive,
  type SessionCaller,
} from '../account/account.ts'
import { textOfBase64url } from '../base64url.ts'
import { DomainError } from '../errors.ts'
import type { Deps, PasskeyAssertion } from '../ports.ts'
import { attr, expr, join } from '../table/expression.ts'
import { deviceName } from './device.ts'
import { ASSERTION, openChallenge } from './passkey-challenge.ts'
import { passkeyId, passkeyOf } from './passkeys.ts'
import { isProvedBy, isRecentSession, markProved, proofMacs } from './proof.ts'
import { keepAccount, listSession, type SignedIn, toSignedIn } from './sessions.ts'
import type { AnsweredFactor, SecondFactor } from './two-factor.ts'
import { verifiedAnswer } from './verified-sign-in.ts'

type CheckDeps = Deps<'table' | 'keyring' | 'passkeys'>

/** Whether a text is an account id, before it becomes part of a key. */
const ACCOUNT_ID = /^[0-9a-f]{24}$/

const refused = () => new DomainError('passkey_refused')

/**
 * Signs in by passkey alone. The authenticator has verified its user, by fingerprint or PIN, so the passkey counts
 * as both factors: no password and no code is asked. Signing in undoes a deletion, as with the password. Nobody
 * learns which accounts exist, or have passkeys: without the passkey's key every answer is the same.
 * @param userAgent the request's header, from which the device is read.
 * @throws DomainError `passkey_refused`; for a right passkey `account_deactivated`, `account_suspended`
 */
export async function signInByPasskey(
  deps: CheckDeps & Deps<'identity'>,
  answer: PasskeyAssertion,
  userAgent?: string,
): Promise<SignedIn> {
  const accountId = ownerIn(answer)
  // What does not answer a challenge of ours is refused without a read.
  if (accountId === undefined || !openChallenge(deps, ASSERTION, answer.response.clientDataJSON))
    throw refused()
  const account = await readAccount(deps, accountId)
  if (!account || isNobodys(account)) throw refused()
  const passkey = await checkPasskey(deps, account, answer)
  if (account.eraseAtMs === undefined) requireActive(account)
  const tokens = await deps.identity.signInVerified(accountId, (nonce) =>
    verifiedAnswer(deps, accountId, nonce),
  )
  if (!tokens) throw refused()
  try {
    const proved = { account, factor: passkey }
    const kept = await keepAccount(deps, passkeyFactor(deps, answer), proved)
    requireActive(kept.account)
    const { sessionId } = tokens
    await listSession(deps, kept.account, { sessionId, device: deviceName(userAgent), factor: kept.factor })
    return toSignedIn(tokens)
  } catch (error) {
    await deps.identity.revoke(tokens.refreshToken)
    // The account has changed since it was read, such as by a new password.
    if (error instanceof DomainError && error.code === 'invalid_credentials') throw refused()
    throw error
  }
}

function ownerIn({ response }: PasskeyAssertion): string | undefined {
  const text = textOfBase64url(response.userHandle ?? '') ?? ''
  return ACCOUNT_ID.test(text) ? text : undefined
}

/**
 * Makes a session recent by a passkey of its account. While the session is recent, the same answer may be sent
 * again.
 * @throws DomainError `passkey_refused`, `session_ended` if the session has ended meanwhile
 */
export async function proveByPasskey(
  deps: CheckDeps,
  caller: SessionCaller,
  answer: PasskeyAssertion,
): Promise<void> {
  const macs = proofMacs(deps, caller, answer.response.signature)
  const isRepeat = (now: SessionCaller) => isRecentSession(deps, now) && isProvedBy(now, macs)
  if (isRepeat(caller)) return
  const factor = await checkPasskey(deps, caller.account, answer)
  await markProved(deps, caller, { provedBy: macs[0], factor, isRepeat, used: 'passkey_refused' })
}

/** A passkey in place of a code, wherever a second factor is asked. */
export const passkeyFactor = (deps: CheckDeps, answer: PasskeyAssertion): AnsweredFactor => ({
  text: answer.response.signature,
  check: (account) => checkPasskey(deps, account, answer),
})

/**
 * Checks an assertion against the account's own passkeys. Its challenge is spent, and its counter stored, by what
 * the result adds to the write that the passkey permits; that write fails if the passkey was removed meanwhile.
 * @throws DomainError `passkey_refused`
 */
async function checkPasskey(
  deps: CheckDeps,
  account: Profile,
  answer: PasskeyAssertion,
): Promise<SecondFactor> {
  const id = passkeyId(answer.id)
  const stored = passkeyOf(account, id)
  const challenge = openChallenge(deps, ASSERTION, answer.response.clientDataJSON)
  const isOfAccount = answer.response.userHandle === undefined || ownerIn(answer) === account.id
  if (!stored || !challenge || !isOfAccount) throw refused()
  const used = await deps.passkeys.verifyAssertion(answer, challenge.text, stored)
  if (!used || used.synced !== stored.synced) throw refused()
  if (!isCounterNew(stored.counter, used.counter)) {
    deps.log.warn('A passkey was refused: its counter did not grow, so it may be a copy', undefined, {
      accountId: account.id,
    })
    throw refused()
  }
  const path = attr(id)
  // Of two answers at once the later counter may be stored first.
  const grows =
    used.counter === 0
      ? expr`#passkeys.${path}.#counter = ${0}`
      : expr`#passkeys.${path}.#counter < ${used.counter}`
  return {
    set: expr`#passkeys.${path}.#counter = ${used.counter}, #passkeys.${path}.#lastUsedAtMs = ${deps.clock.nowMs()}`,
    condition: join([expr`#passkeys.${path}.#publicKey = ${stored.publicKey}`, grows], ' AND '),
    writes: [challenge.spend],
  }
}

/**
 * Whether a signature counter is as that of the one genuine authenticator (WebAuthn Level 3, 7.2): it grows, or is
 * always 0, as with passkeys that are synced between devices. Another counter is that of a copy, or of the original
 * after its copy was used, and both are refused; the owner signs in with the password, and removes the passkey.
 */
export const isCounterNew = (stored: number, sent: number): boolean => stored === 0 || sent > stored
