import { type Account, admitCaller, type Profile, readAccount, requireActive } from '../account/account.ts'
import { emailKey, usernameKey } from '../account/fields.ts'
import { DomainError } from '../errors.ts'
import type { Deps, Tokens } from '../ports.ts'
import { attr, expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { DAY_MS } from '../time.ts'
import { changeHolder } from './holder.ts'
import { recoveryStopped } from './recovery-state.ts'
import { restoration } from './restore.ts'
import { guardedBy, type SecondFactor, withFactor, withSecondFactor } from './two-factor.ts'

/** Live sessions that an account may have. One more sign-in ends the oldest. */
const MAX_SESSIONS = 20

/** Lifetime of a refresh token at the vault. The next sign-in drops sessions that are older. */
const SESSION_MS = 30 * DAY_MS

/** The account id that is used for an unknown name, so that an unknown name costs the same calls. */
const NOBODY = '000000000000000000000000'

/** Exactly one of `email` and `username` is given. */
export interface SignInInput {
  email?: string | undefined
  username?: string | undefined
  password: string
  twofa?: string | undefined
}

type CredentialDeps = Deps<'table' | 'identity' | 'secrets' | 'keyring' | 'totp'>

export interface SignedIn {
  accessToken: string
  refreshToken: string
  /** How long the access token is valid. */
  expiresInSeconds: number
}

/**
 * Signs in by e-mail address or username. The session is stored in the account before its tokens are
 * returned; this write fails if the password has changed since it was checked.
 * @throws DomainError `invalid_credentials`; for a right password `two_factor_*`, `account_deactivated`,
 *   `account_suspended`
 */
export async function signIn(deps: CredentialDeps, input: SignInInput): Promise<SignedIn> {
  return withCredentials(deps, input, async ({ account, tokens, factor }) => {
    requireActive(account)
    await listSession(deps, account, tokens.sessionId, factor)
    return toSignedIn(tokens)
  })
}

/**
 * Makes a deactivated account active again. An active account stays active. A repeat is recognised by its
 * second code, which does not work twice.
 * @throws DomainError `invalid_credentials`; for a right password `two_factor_*`, `account_suspended`
 */
export async function restoreAccount(deps: CredentialDeps, input: SignInInput): Promise<void> {
  const restoredBy = (accountId: string) =>
    deps.keyring
      .mac('restore', accountId, input.twofa ?? '')
      .toString('base64url')
      .slice(0, 22)
  const isRepeat = (account: Account) =>
    account.status === 'active' && account.restoredBy === restoredBy(account.id)
  const work = async ({ account, tokens, factor }: Proved) => {
    if (account.status === 'suspended') requireActive(account)
    if (!isRepeat(account)) await activateAgain(deps, account, factor, restoredBy(account.id), isRepeat)
    await deps.identity.revoke(tokens.refreshToken)
  }
  await withCredentials(deps, input, work, (account) => !isRepeat(account))
}

/** @throws DomainError `invalid_credentials` if the password or the codes have changed meanwhile */
async function activateAgain(
  deps: CredentialDeps,
  account: Account,
  factor: SecondFactor | undefined,
  restoredBy: string,
  isRepeat: (account: Account) => boolean,
): Promise<void> {
  // Its sessions ended when it was deactivated. A repeat finds an active account with newer ones.
  const isDeactivated = account.status === 'deactivated'
  const { set, writes } = restoration(deps, account)
  const sets = [set, expr`#restoredBy = ${restoredBy}, #updatedAtMs = ${deps.clock.nowMs()}`]
  const update = isDeactivated
    ? setRemove(
        [...sets, ...(factor ? [factor.set] : [])],
        [...changeHolder(account).remove, ...(factor?.remove ? [factor.remove] : [])],
      )
    : withFactor(setRemove(sets, []), factor)
  const condition = expr`#status = ${account.status} AND #generation = ${account.generation}`
  try {
    await deps.table.transact([
      { update: keys.profile(account.id), set: update, if: guardedBy(condition, factor) },
      ...writes,
      ...(factor ? [...factor.told, ...recoveryStopped(deps, account)] : []),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const now = await readAccount(deps, account.id)
    if (!now || now.generation !== account.generation) throw new DomainError('invalid_credentials')
    // A concurrent copy of this request was first.
    if (isRepeat(now)) return
    // Another request has restored the account. This one still uses up its code.
    if (now.status === 'active' && account.status === 'deactivated')
      return activateAgain(deps, now, factor, restoredBy, isRepeat)
    throw new DomainError('invalid_credentials')
  }
}

interface Proved {
  account: Account
  tokens: Tokens
  factor: SecondFactor | undefined
}

/**
 * Finds the account, has the vault check the password, checks the second factor if the account has one, and
 * then does `work`. An unknown name costs the same calls. If anything fails after the vault has accepted the
 * password, the vault's tokens are revoked.
 */
async function withCredentials<T>(
  deps: CredentialDeps,
  input: SignInInput,
  work: (proved: Proved) => Promise<T>,
  needsFactor: (account: Account) => boolean = () => true,
): Promise<T> {
  const guard =
    input.email === undefined
      ? keys.usernameGuard(usernameKey(input.username ?? ''))
      : keys.emailGuard(emailKey(input.email))
  const owner = await deps.table.get(guard)
  const accountId = owner ? String(owner.accountId) : NOBODY
  const account = await readAccount(deps, accountId)
  const tokens = await deps.identity.signIn(accountId, input.password)
  if (!tokens) throw new DomainError('invalid_credentials')
  try {
    if (!account || account.status === 'pending') throw new DomainError('invalid_credentials')
    const go = (factor?: SecondFactor) => work({ account, tokens, factor })
    if (account.totp === undefined || !needsFactor(account)) return await go()
    return await withSecondFactor(deps, account, input.twofa, go)
  } catch (error) {
    await deps.identity.revoke(tokens.refreshToken)
    throw error
  }
}

async function listSession(
  deps: Deps<'table'>,
  account: Account,
  sessionId: string,
  factor: SecondFactor | undefined,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const stale = staleSessions(account.sessions, nowMs).map((id) => expr`#sessions.${attr(id)}`)
  const session = { sinceMs: nowMs, provedMs: nowMs }
  const set = expr`SET #sessions.${attr(sessionId)} = ${session}, #lastLoginAtMs = ${nowMs}`
  const condition = expr`#status = ${'active'} AND #generation = ${account.generation} AND (attribute_not_exists(#changingUntilMs) OR #changingUntilMs <= ${nowMs})`
  try {
    await writeAll(deps, [
      {
        update: keys.profile(account.id),
        set: withFactor(set, factor, stale),
        if: guardedBy(condition, factor),
      },
      ...(factor ? [...factor.told, ...recoveryStopped(deps, account)] : []),
    ])
  } catch (error) {
    // The password is being changed, or a concurrent request has used the code.
    if (error instanceof ConditionFailed) throw new DomainError('invalid_credentials')
    throw error
  }
}

/** Ids of the sessions that a new sign-in drops: the expired ones, and the oldest beyond the limit. */
export function staleSessions(sessions: Profile['sessions'], nowMs: number): string[] {
  const newestFirst = Object.entries(sessions).sort(([, a], [, b]) => b.sinceMs - a.sinceMs)
  return newestFirst
    .filter(([, { sinceMs }], index) => index >= MAX_SESSIONS - 1 || nowMs - sinceMs >= SESSION_MS)
    .map(([id]) => id)
}

/**
 * Gets a new access token for a live session. The refresh token stays the same.
 * @throws DomainError `session_ended`, `account_deactivated`, `account_suspended`
 */
export async function refreshSession(
  deps: Deps<'table' | 'identity'>,
  refreshToken: string,
): Promise<SignedIn> {
  const tokens = await deps.identity.refresh(refreshToken)
  if (!tokens) throw new DomainError('session_ended')
  const expiresAtSec = deps.clock.nowMs() / 1000 + tokens.expiresInSeconds
  await admitCaller(deps, { accountId: tokens.accountId, sessionId: tokens.sessionId, expiresAtSec })
  return toSignedIn(tokens)
}

const toSignedIn = ({ accessToken, refreshToken, expiresInSeconds }: Tokens): SignedIn => ({
  accessToken,
  refreshToken,
  expiresInSeconds,
})

/** Ends one session: from now on its access tokens and its refresh token are refused. */
export async function endSession(deps: Deps<'table'>, account: Account, sessionId: string): Promise<void> {
  await deps.table.update(keys.profile(account.id), expr`REMOVE #sessions.${attr(sessionId)}`)
}

/**
 * Whether an ended session may be told that its request to end sessions has succeeded: its own is ended, and
 * for `everywhere` no other lives.
 */
export const areSessionsEnded = ({ sessions }: Account, everywhere: boolean): boolean =>
  !everywhere || Object.keys(sessions).length === 0

/** Ends every session of the account, and voids every change that one of them has begun. */
export async function endEverySession(deps: Deps<'table'>, account: Account): Promise<void> {
  const { set, remove } = changeHolder(account)
  await deps.table.update(keys.profile(account.id), setRemove(set, remove), expr`attribute_exists(pk)`)
}
