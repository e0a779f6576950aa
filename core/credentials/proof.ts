import { type Account, type Profile, readAccount, type SessionCaller } from '../account/account.ts'
import { DomainError, type ErrorCode } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { macTexts } from '../rotation.ts'
import { attr, expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { MINUTE_MS } from '../time.ts'
import { countWrongPasswordOf, lockedAtVault } from './password-tries.ts'
import { recoveryStopped } from './recovery-state.ts'
import { liveSession } from './session-life.ts'
import { lookAtPassword } from './stranger-tries.ts'
import { guardedBy, type SecondFactor, withFactor, withSecondFactor } from './two-factor.ts'

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

const reauthentication = ({ totp, passkeys = {} }: Account) => {
  const known = totp
    ? 'This needs a code of the authenticator app, or a recovery code: send it in X-Proof-Code or to POST /v1/auth/confirm, or sign in again.'
    : 'This needs your password: send it in X-Proof-Password or to POST /v1/auth/confirm, or sign in again.'
  const hasPasskey = Object.keys(passkeys).length > 0
  return new DomainError('reauthentication_required', {
    detail: hasPasskey ? `${known} POST /v1/auth/confirm takes a passkey, too.` : known,
  })
}

/**
 * Makes a session recent again. With two-factor authentication on, the proof is a code; else it is the
 * password. A password that is sent is checked in either case. While the session is recent, the code that made it
 * so may be sent again, because a request is repeated with the same headers.
 * @throws DomainError `wrong_password`, `password_locked`, `two_factor_*`, `reauthentication_required` if nothing that proves is
 *   sent, `session_ended` if the session has ended meanwhile
 */
export async function proveSession(
  deps: ProofDeps,
  caller: SessionCaller,
  { password, twofa }: GivenProof,
): Promise<void> {
  const { account } = caller
  if (password === undefined && !account.totp) throw reauthentication(account)
  const macs = account.totp && twofa !== undefined ? proofMacs(deps, caller, twofa) : undefined
  const provedBy = macs?.[0]
  const isRepeat = (now: SessionCaller) =>
    macs !== undefined && isRecentSession(deps, now) && isProvedBy(now, macs)
  const prove = async (factor?: SecondFactor) => {
    if (password !== undefined && !(await isPasswordOf(deps, account, password)))
      throw new DomainError('wrong_password')
    if (account.totp && !factor) return
    await markProved(deps, caller, { provedBy, factor, isRepeat, used: 'two_factor_invalid' })
  }
  if (account.totp && !isRepeat(caller)) await withSecondFactor(deps, account, twofa, prove)
  else await prove()
}

/**
 * Makes a session recent, with what proved it.
 * @param proof.provedBy MAC of the proof, by which a repeat is recognised.
 * @param proof.used the refusal if a concurrent request has used the proof.
 * @throws DomainError `session_ended` if the session has ended meanwhile, or `proof.used`
 */
export async function markProved(
  deps: Deps<'table'>,
  { account, sessionId }: SessionCaller,
  proof: {
    provedBy: string | undefined
    factor: SecondFactor | undefined
    isRepeat: (now: SessionCaller) => boolean
    used: ErrorCode
  },
): Promise<void> {
  const { provedBy, factor } = proof
  const session = attr(sessionId)
  const provedMs = deps.clock.nowMs()
  const proved = expr`SET #sessions.${session}.#provedMs = ${provedMs}`
  const byCode = provedBy && expr`#sessions.${session}.#provedBy = ${provedBy}`
  const byFactor = factor && expr`#sessions.${session}.#factor = ${true}`
  const live = expr`attribute_exists(#sessions.${session}) AND #generation = ${account.generation}`
  try {
    const set = join(
      [proved, byCode, byFactor].filter((each) => each !== undefined && each !== ''),
      ', ',
    )
    await writeAll(deps, [
      { update: keys.profile(account.id), set: withFactor(set, factor), if: guardedBy(live, factor) },
      ...(factor ? [...factor.writes, ...recoveryStopped(deps, account)] : []),
    ])
    // What follows in this request may write the session as it was read.
    Object.assign(account.sessions[sessionId] ?? {}, {
      provedMs,
      ...(provedBy && { provedBy }),
      ...(factor && { factor: true }),
    })
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const now = await readAccount(deps, account.id)
    if (!now || !liveSession(deps, now, sessionId)) throw new DomainError('session_ended')
    // A concurrent copy of this request was first.
    if (proof.isRepeat({ account: now, sessionId })) return
    throw new DomainError(factor ? proof.used : 'session_ended')
  }
}

/**
 * Checks the proof that a request brings in its headers. While the session is recent, a password passes with two-factor
 * authentication on too: the request that has switched it on is sent again with the proof of before.
 * @throws DomainError as `proveSession` does
 */
export async function proveRequest(deps: ProofDeps, caller: SessionCaller, given: GivenProof): Promise<void> {
  const { password, twofa } = given
  const isEarlierProof =
    password !== undefined && twofa === undefined && caller.account.totp && isRecentSession(deps, caller)
  if (!isEarlierProof) return proveSession(deps, caller, given)
  if (!(await isPasswordOf(deps, caller.account, password))) throw new DomainError('wrong_password')
}

/** What a session keeps of the code or passkey that proved it last. */
export const proofMacs = (
  deps: Deps<'keyring'>,
  { account, sessionId }: SessionCaller,
  code: string,
): [string, ...string[]] => macTexts(deps, 'mac:session-proof', account.id, sessionId, code)

/** Whether this is the code or passkey that proved the session last. */
export function isProvedBy({ account, sessionId }: SessionCaller, macs: readonly string[]): boolean {
  const provedBy = account.sessions[sessionId]?.provedBy
  return provedBy !== undefined && macs.includes(provedBy)
}

/**
 * Whether this is the account's password at the vault. A wrong one counts as a try to sign in.
 * @throws DomainError `password_locked` if the vault looks at none for a time
 */
export async function isPasswordOf(
  deps: Deps<'table' | 'identity' | 'keyring'>,
  account: Pick<Profile, 'id' | 'email' | 'username' | 'networks'>,
  password: string,
): Promise<boolean> {
  const show = () => deps.identity.signIn(account.id, password)
  const tokens = await lookAtPassword(deps, account, show, (answer) => typeof answer === 'object')
  if (tokens === 'locked') throw await lockedAtVault(deps, account)
  if (tokens) await deps.identity.revoke(tokens.refreshToken)
  else await countWrongPasswordOf(deps, account)
  return tokens !== undefined
}
