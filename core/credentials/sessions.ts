import {
  type Account,
  admitCaller,
  type Claims,
  isNobodys,
  type Profile,
  readAccount,
  readCaller,
  readStoredAccount,
  requireActive,
  requireConfirmed,
  type SessionCaller,
} from '../account/account.ts'
import { changeAnyAccount } from '../account/change.ts'
import { emailKey, usernameKey } from '../account/fields.ts'
import { reactivate } from '../account/reactivate.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { resealedDefaultKey } from '../keys/default-key.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps, Tokens } from '../ports.ts'
import { macTexts } from '../rotation.ts'
import { attr, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { type Key, keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { HOUR_MS } from '../time.ts'
import { deviceName } from './device.ts'
import { firstSignIn, waitingIn } from './first-password.ts'
import { changeHolder } from './holder.ts'
import {
  countWrongPassword,
  forgetWrongPasswords,
  type PasswordTries,
  readName,
  requireUnlocked,
} from './password-tries.ts'
import { recoveryStopped } from './recovery-state.ts'
import { isSinceRestore, liveSession, SESSION_MS } from './session-life.ts'
import { isUnchanging } from './set-password.ts'
import {
  countShown,
  isOwnersNetwork,
  networkMac,
  readShown,
  settleShown,
  withNetwork,
} from './stranger-tries.ts'
import {
  factorText,
  type GivenFactor,
  guardedBy,
  isOtherwiseUsed,
  type SecondFactor,
  withFactor,
  withSecondFactor,
} from './two-factor.ts'

/** Live sessions that an account may have. One more sign-in ends the oldest. */
const MAX_SESSIONS = 20

/** The account id that is used for an unknown name, so that an unknown name costs the same calls. */
const NOBODY = '000000000000000000000000'

/** Exactly one of `email` and `username` is given. */
export interface SignInInput {
  email?: string | undefined
  username?: string | undefined
  password: string
  twofa?: GivenFactor
}

type CredentialDeps = Deps<'table' | 'identity' | 'secrets' | 'keyring' | 'totp' | 'passwordHashes'>

export interface SignedIn {
  accessToken: string
  refreshToken: string
  /** How long the access token is valid. */
  expiresInSeconds: number
}

/**
 * Signs in by e-mail address or username. The session is stored in the account before its tokens are
 * returned; this write fails if the password has changed since it was checked. The owner is told of a device that the
 * account has not used before. Signing in to an account whose owner has deleted it undoes the deletion first.
 * @param userAgent the request's header, from which the device is read.
 * @throws DomainError `invalid_credentials`, `password_locked`; for a right password `email_unconfirmed`, `two_factor_*`,
 *   `account_deactivated`, `account_suspended`, and `password_refused` for one that was imported and is too short by now
 */
export async function signIn(
  deps: CredentialDeps,
  input: SignInInput,
  userAgent?: string,
): Promise<SignedIn> {
  const device = deviceName(userAgent)
  return withCredentials(deps, input, async (proved) => {
    const { tokens, wrongPasswords } = proved
    const { account, factor } = await keepAccount(deps, input.twofa, proved)
    requireActive(account)
    await listSession(deps, account, { sessionId: tokens.sessionId, device, factor, wrongPasswords })
    return toSignedIn(tokens)
  })
}

/**
 * Makes a deactivated account active again. An active account stays active. A repeat is recognised by its
 * second code, which does not work twice.
 * @throws DomainError `invalid_credentials`, `password_locked`; for a right password `email_unconfirmed`, `two_factor_*`,
 *   `account_suspended`, `password_refused` as in `signIn`
 */
export async function restoreAccount(deps: CredentialDeps, input: SignInInput): Promise<void> {
  const { restoredBy, isRepeat } = restoration(deps, input.twofa)
  const work = async ({ account, tokens, factor }: Proved) => {
    if (account.status === 'suspended') requireActive(account)
    if (!isRepeat(account)) await activateAgain(deps, account, factor, restoredBy(account.id), isRepeat)
    await deps.identity.revoke(tokens.refreshToken)
  }
  await withCredentials(deps, input, work, (account) => !isRepeat(account))
}

/** How a restored account shows which request has restored it. */
function restoration(deps: Deps<'keyring'>, twofa: GivenFactor) {
  const macsOf = (accountId: string) => macTexts(deps, 'mac:restore', accountId, factorText(twofa))
  const isRepeat = ({ id, status, restoredBy: by }: Account) =>
    status === 'active' && by !== undefined && macsOf(id).includes(by)
  const restoredBy = (accountId: string) => macsOf(accountId)[0]
  return { restoredBy, isRepeat }
}

/**
 * Undoes the deletion of an account that is about to be erased, with the code that proved who signs in. No copy of the
 * request counts as its repeat: each would begin a session of its own with a code that works once.
 */
export async function keepAccount(
  deps: Deps<'table' | 'keyring'>,
  twofa: GivenFactor,
  { account, factor }: Pick<Proved, 'account' | 'factor'>,
): Promise<Pick<Proved, 'account' | 'factor'>> {
  if (account.status !== 'deactivated' || account.eraseAtMs === undefined) return { account, factor }
  const { restoredBy } = restoration(deps, twofa)
  await activateAgain(deps, account, factor, restoredBy(account.id), () => false)
  // The code is used up now.
  return { account: { ...account, status: 'active' }, factor: undefined }
}

/** @throws DomainError `invalid_credentials` if the password or the codes have changed meanwhile */
async function activateAgain(
  deps: Deps<'table'>,
  account: Account,
  factor: SecondFactor | undefined,
  restoredBy: string,
  isRepeat: (account: Account) => boolean,
): Promise<void> {
  // Its sessions ended when it was deactivated. A repeat finds an active account with newer ones.
  const isDeactivated = account.status === 'deactivated'
  const again = reactivate(deps, account)
  const sets = [...again.set, expr`#restoredBy = ${restoredBy}`]
  const update = isDeactivated
    ? setRemove(
        [...sets, ...(factor ? [factor.set] : [])],
        [...changeHolder(account).remove, ...again.remove, ...(factor?.remove ? [factor.remove] : [])],
      )
    : withFactor(setRemove(sets, []), factor)
  const condition = join(
    [expr`#status = ${account.status} AND #generation = ${account.generation}`, again.unchanged],
    ' AND ',
  )
  try {
    await deps.table.transact([
      { update: keys.profile(account.id), set: update, if: guardedBy(condition, factor) },
      ...(factor ? [...factor.writes, ...recoveryStopped(deps, account)] : []),
      ...again.writes,
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
  /** How many wrong passwords were typed for the name since the last right one. */
  wrongPasswords: number
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
  const { account, tokens, tries } = await checkPassword(deps, guard, input.password)
  try {
    await forgetWrongPasswords(deps, guard, tries)
    if (!account || isNobodys(account)) throw new DomainError('invalid_credentials')
    requireConfirmed(account)
    const go = (factor?: SecondFactor) => work({ account, tokens, factor, wrongPasswords: tries.all.tries })
    if (account.totp === undefined || !needsFactor(account)) return await go()
    return await withSecondFactor(deps, account, input.twofa, go)
  } catch (error) {
    await deps.identity.revoke(tokens.refreshToken)
    throw error
  }
}

/**
 * Finds the account that has a name, and has its password checked: by the vault, and before its first sign-in also against
 * the one that waits in the profile.
 * @returns the account with the vault's tokens, and the wrong passwords before, which are to be forgotten.
 */
async function checkPassword(
  deps: CredentialDeps,
  guard: Key,
  password: string,
): Promise<{ account: Account | undefined; tokens: Tokens; tries: PasswordTries }> {
  const { accountId, tries } = await readName(deps, guard)
  requireUnlocked(deps, tries)
  const subject = accountId ?? guard.pk
  const [{ profile, parse }, shown] = await Promise.all([
    readStoredAccount(deps, accountId ?? NOBODY),
    readShown(deps, subject),
  ])
  const isOwners = profile !== undefined && isOwnersNetwork(deps, profile as unknown as Profile)
  const isShown = await countShown(deps, subject, shown, isOwners)
  const settled = <T>(show: () => Promise<T>, isRight: (answer: T) => boolean) =>
    isOwners || !isShown ? show() : settleShown(deps, subject, show, isRight)
  const waiting = waitingIn(profile)
  if (isShown && waiting) {
    return settled(
      () => firstSignIn(deps, { guard, tries }, { waiting, parse }, password),
      () => true,
    )
  }
  // A password that the vault must not see takes as long as one that is wrong.
  const shownTo = isShown && accountId ? accountId : NOBODY
  const tokens = await settled(() => deps.identity.signIn(shownTo, password), isAccepted)
  // Parsing takes a millisecond that an unknown name does not, so it waits until the vault has accepted the password.
  if (isAccepted(tokens)) return { account: parse(), tokens, tries }
  // Only a user that exists can be locked at the vault, so here its lock looks like a wrong password.
  await countWrongPassword(deps, guard, tries)
  throw new DomainError('invalid_credentials')
}

const isAccepted = (answer: Tokens | 'locked' | undefined): answer is Tokens =>
  answer !== undefined && answer !== 'locked'

/** Devices that an account remembers. One more forgets the one that came first. */
const MAX_DEVICES = 20

/** Stands for a device that did not say what it is. */
const UNNAMED = 'unnamed'

interface NewSession {
  sessionId: string
  device: string | undefined
  factor: SecondFactor | undefined
  /** How many wrong passwords were typed for the name since the last right one. */
  wrongPasswords?: number
}

/**
 * Adds a session that the vault has begun to the account's own list, without which its tokens open nothing, with the
 * entry of the audit log, and with what tells the owner if the device is new and is not the account's first.
 * @throws DomainError `invalid_credentials` if the account or the password has changed since it was read, or if a
 *   concurrent request has used the code; `passkey_refused` if one has used the passkey
 */
export async function listSession(
  deps: Deps<'table' | 'keyring'>,
  account: Account,
  session: NewSession,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const { sessionId, device, factor } = session
  const { devices = [], networks = [] } = account
  const isNew = !devices.includes(device ?? UNNAMED)
  const network = networkMac(deps, account.id)
  const newNetwork = network !== undefined && !networks.includes(network) ? network : undefined
  const stale = staleSessions(deps, account.sessions).map((id) => expr`#sessions.${attr(id)}`)
  const stored = {
    sinceMs: nowMs,
    provedMs: nowMs,
    ...(factor && { factor: true }),
    ...(device !== undefined && { device }),
  }
  const signedIn = expr`SET #sessions.${attr(sessionId)} = ${stored}, #lastLoginAtMs = ${nowMs}`
  const after = {
    device,
    isNewDevice: isNew,
    wrongPasswordsBefore: session.wrongPasswords ?? 0,
  }
  const known = [device ?? UNNAMED, ...devices].slice(0, MAX_DEVICES)
  const resealedKey = resealedDefaultKey(deps, account)
  const set = join(
    [
      signedIn,
      ...(isNew ? [expr`#devices = ${known}`] : []),
      ...(newNetwork ? [expr`#networks = ${withNetwork(networks, newNetwork)}`] : []),
      ...(resealedKey ? [expr`#defaultKey = ${resealedKey}`] : []),
    ],
    ', ',
  )
  const isMore = isNew || newNetwork !== undefined || resealedKey !== undefined
  const passed = join(
    [expr`#status = ${'active'} AND #generation = ${account.generation}`, isUnchanging(nowMs)],
    ' AND ',
  )
  const condition = isMore
    ? join([passed, unchangedSince(account, ['devices', 'networks', 'defaultKey'])], ' AND ')
    : passed
  const profile = {
    update: keys.profile(account.id),
    set: withFactor(set, factor, stale),
    if: guardedBy(condition, factor),
  }
  try {
    await writeAll(deps, [
      profile,
      ...(factor ? [...factor.writes, ...recoveryStopped(deps, account)] : []),
      ...(isNew && devices.length > 0 ? tellOwner(deps, account, 'new-sign-in') : []),
      ...auditWrites(deps, { accountId: account.id, action: 'account.signed-in', by: 'owner', after }),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const now = isMore ? await readAccount(deps, account.id) : undefined
    // Another device has signed in at the same time, or the default key was rotated.
    const isAnother =
      now?.devices?.[0] !== devices[0] ||
      now?.networks?.[0] !== networks[0] ||
      now?.defaultKey !== account.defaultKey
    if (now?.generation === account.generation && isAnother) return listSession(deps, now, session)
    // The password is being changed, or a concurrent request has used the code.
    throw new DomainError(isOtherwiseUsed(error, factor) ? 'passkey_refused' : 'invalid_credentials')
  }
}

/** Ids of the sessions that a new sign-in drops: those that are over, and the oldest beyond the limit. */
export function staleSessions(deps: Deps, sessions: Profile['sessions']): string[] {
  const nowMs = deps.clock.nowMs()
  const newestFirst = Object.entries(sessions).sort(([, a], [, b]) => b.sinceMs - a.sinceMs)
  return newestFirst
    .filter(
      ([, session], index) =>
        index >= MAX_SESSIONS - 1 || nowMs - session.sinceMs >= SESSION_MS || !isSinceRestore(deps, session),
    )
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
  const { accountId, sessionId } = tokens
  const expiresAtSec = deps.clock.nowMs() / 1000 + tokens.expiresInSeconds
  const account = await admitCaller(deps, { accountId, sessionId, expiresAtSec })
  await noteSeen(deps, account, sessionId)
  return toSignedIn(tokens)
}

/** A session in use writes down that it was seen once in this time, and no other request does. */
const SEEN_EVERY_MS = HOUR_MS

/** @throws DomainError `session_ended` if the session has ended meanwhile */
async function noteSeen(deps: Deps<'table'>, account: Account, sessionId: string): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const { sinceMs = nowMs, seenMs = sinceMs } = account.sessions[sessionId] ?? {}
  if (nowMs - seenMs < SEEN_EVERY_MS) return
  const session = expr`#sessions.${attr(sessionId)}`
  try {
    await deps.table.update(
      keys.profile(account.id),
      join([expr`SET `, session, expr`.#seenMs = ${nowMs}`], ''),
      join([expr`attribute_exists(`, session, expr`)`], ''),
    )
  } catch (error) {
    if (error instanceof ConditionFailed) throw new DomainError('session_ended')
    throw error
  }
}

export const toSignedIn = ({ accessToken, refreshToken, expiresInSeconds }: Tokens): SignedIn => ({
  accessToken,
  refreshToken,
  expiresInSeconds,
})

/** What a caller who signs out has sent. */
export interface SignOut {
  refreshToken: string | undefined
  /** Reads the access token of the request; undefined without a genuine one. */
  readClaims: () => Promise<Claims | undefined>
  /** End every session of the account. */
  everywhere: boolean
}

/**
 * Ends a session, or every session of its account: the session of the refresh token, or else that of the access token.
 * Signing out is allowed in every state of the account. If the session has ended before, there is nothing to do.
 * @throws DomainError `unauthorized` without either token; `token_expired` for an access token alone that has expired;
 *   `session_ended` for a refresh token that the vault does not know, and for an ended session that asks to end every
 *   session while another lives
 */
export async function signOut(
  deps: Deps<'table' | 'identity'>,
  { refreshToken, readClaims, everywhere }: SignOut,
): Promise<void> {
  const { account, sessionId } =
    refreshToken === undefined
      ? await readTokenCaller(deps, await readClaims())
      : await readRefreshToken(deps, refreshToken)
  if (liveSession(deps, account, sessionId))
    return everywhere ? endEverySession(deps, account) : endSession(deps, account, sessionId)
  const lives = Object.values(account.sessions).some((session) => isSinceRestore(deps, session))
  if (everywhere && lives) throw new DomainError('session_ended')
}

async function readTokenCaller(deps: Deps<'table'>, claims: Claims | undefined): Promise<SessionCaller> {
  if (claims) return readCaller(deps, claims)
  throw new DomainError('unauthorized', { detail: 'Send a valid access token, or `refreshToken`.' })
}

/** The vault knows the token of an ended session until it expires, so a request to end it can be repeated. */
async function readRefreshToken(
  deps: Deps<'table' | 'identity'>,
  refreshToken: string,
): Promise<SessionCaller> {
  const tokens = await deps.identity.refresh(refreshToken)
  const account = tokens && (await readAccount(deps, tokens.accountId))
  if (!account || isNobodys(account)) throw new DomainError('session_ended')
  return { account, sessionId: tokens.sessionId }
}

/** Ends one session: from now on its access tokens and its refresh token are refused. */
export async function endSession(deps: Deps<'table'>, account: Account, sessionId: string): Promise<void> {
  await deps.table.transact([
    { update: keys.profile(account.id), set: expr`REMOVE #sessions.${attr(sessionId)}` },
    ...auditWrites(deps, { accountId: account.id, action: 'account.signed-out', by: 'owner' }),
  ])
}

/**
 * Ends every session of an account on behalf of an operator, with what one of them has begun, and tells the owner.
 * What no session has begun stays, such as a recovery. Without a session it does nothing.
 * @returns how many sessions have ended
 * @throws DomainError `not_found`, `conflict`
 */
export const signOutAccount = (deps: Deps<'table'>, accountId: string, reason: string): Promise<number> =>
  changeAnyAccount(deps, accountId, async (account) => {
    const sessions = Object.keys(account.sessions).length
    if (sessions === 0) return 0
    const { set, remove } = changeHolder(account, { addressMove: true })
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: setRemove(set, remove),
        if: unchangedSince(account, ['sessions', 'generation']),
      },
      ...tellOwner(deps, account, 'signed-out'),
      ...auditWrites(deps, {
        action: 'operator.signed_out',
        accountId: account.id,
        reason,
        before: { sessions },
        after: { sessions: 0 },
      }),
    ])
    return sessions
  })

/** Ends every session of the account, and voids every change that one of them has begun. */
export async function endEverySession(deps: Deps<'table'>, account: Account): Promise<void> {
  const { set, remove } = changeHolder(account)
  // An account that is gone has no sessions.
  await deps.table
    .transact([
      { update: keys.profile(account.id), set: setRemove(set, remove), if: expr`attribute_exists(pk)` },
      ...auditWrites(deps, { accountId: account.id, action: 'account.signed-out-everywhere', by: 'owner' }),
    ])
    .catch(ignoreRefusal)
}
