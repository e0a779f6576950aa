import type { Account, SessionCaller } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { attr, expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { checkSecondFactor, guardedBy, withFactor } from './two-factor.ts'

/** Ports that checking a proof needs. */
export type ProofDeps = Deps<'table' | 'identity' | 'secrets' | 'keyring' | 'totp'>

/** For this long after a sign-in or a proof, a session needs no other proof. */
const RECENT_MS = 10 * MINUTE_MS

/** What a caller sends to prove again who they are. */
export interface GivenProof {
  password?: string | undefined
  /** A code of the authenticator app, or a recovery code. */
  twofa?: string | undefined
}

/** Whether the session signed in, or proved again who uses it, at most ten minutes ago. */
export function isRecentSession(deps: Deps, { account, sessionId }: SessionCaller): boolean {
  const provedMs = account.sessions[sessionId]?.provedMs ?? 0
  return deps.clock.nowMs() - provedMs <= RECENT_MS
}

/**
 * Refuses a session that may have been left unattended or stolen, before a change of who gets into the
 * account.
 * @throws DomainError `reauthentication_required`; its detail says which proof is needed
 */
export function requireRecentSession(deps: Deps, caller: SessionCaller): void {
  if (!isRecentSession(deps, caller)) throw reauthentication(caller.account)
}

const reauthentication = ({ totp }: Account) =>
  new DomainError('reauthentication_required', {
    detail: totp
      ? 'This needs a code of the authenticator app, or a recovery code: send it in X-Proof-Code or to POST /v1/auth/confirm, or sign in again.'
      : 'This needs your password: send it in X-Proof-Password or to POST /v1/auth/confirm, or sign in again.',
  })

/**
 * Makes a session recent again. With two-factor authentication on, the proof is a code; else it is the
 * password. A password that is sent is checked in either case.
 * @throws DomainError `wrong_password`, `two_factor_*`, `reauthentication_required` if nothing that proves is
 *   sent, `session_ended` if the session has ended meanwhile
 */
export async function proveSession(
  deps: ProofDeps,
  { account, sessionId }: SessionCaller,
  { password, twofa }: GivenProof,
): Promise<void> {
  if (password === undefined && !account.totp) throw reauthentication(account)
  const factor = account.totp && (await checkSecondFactor(deps, account, twofa))
  if (password !== undefined) await requirePassword(deps, account, password)
  const session = attr(sessionId)
  const proved = expr`SET #sessions.${session}.#provedMs = ${deps.clock.nowMs()}`
  const live = expr`attribute_exists(#sessions.${session}) AND #generation = ${account.generation}`
  try {
    await deps.table.update(keys.profile(account.id), withFactor(proved, factor), guardedBy(live, factor))
  } catch (error) {
    if (error instanceof ConditionFailed)
      throw new DomainError(factor ? 'two_factor_invalid' : 'session_ended')
    throw error
  }
}

/** Checks the account's password at the vault. @throws DomainError `wrong_password` */
export async function requirePassword(
  deps: Deps<'identity'>,
  account: Account,
  password: string,
): Promise<void> {
  const tokens = await deps.identity.signIn(account.id, password)
  if (!tokens) throw new DomainError('wrong_password')
  await deps.identity.revoke(tokens.refreshToken)
}
