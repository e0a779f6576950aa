import { timingSafeEqual } from 'node:crypto'
import { type Account, isNobodys, type Profile, readAccount, requireConfirmed } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps, Tokens } from '../ports.ts'
import { resealed } from '../rotation.ts'
import { type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { dueAt, type Key, keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Item, ignoreRefusal } from '../table/table.ts'
import { parsePasswordHash } from './password-hash.ts'
import { countTry, forgetWrongPasswords, type PasswordTries } from './password-tries.ts'
import { CHANGING_MS, FIRST_PASSWORD, isUnchanging } from './set-password.ts'

/**
 * The password of an account that the vault does not know yet. The profile keeps it until then, sealed: of a registered
 * account the password itself, because the vault's user, which costs money, is made once the address is confirmed; of an
 * imported account the hash that it had elsewhere, because the vault takes no hashes. The first sign-in verifies the typed
 * password against it, and sets it at the vault unless the confirmation has. While it is there, the vault has either no
 * user for the account or one with this very password, so a crash between the two is settled by the next sign-in. Every
 * other way to a password removes it in its first write (`endSessionsFirst`), and waits while it is on its way to the vault.
 */

type FirstDeps = Deps<'table' | 'identity' | 'keyring' | 'passwordHashes'>

const IMPORTED = 'seal:imported-password'
const REGISTERED = 'seal:registered-password'

/** A password that waits in the profile: one of the two. */
export type WaitingPassword = Pick<Profile, 'id' | 'importedPassword' | 'registeredPassword'>

/** The hash as the profile stores it. It is nowhere else: not in a log line, an answer or an export. */
export const sealHash = (deps: Deps<'keyring'>, accountId: string, encoded: string): string =>
  deps.keyring.seal(IMPORTED, accountId, encoded)

/** The password of an account whose address nobody has confirmed, as the profile stores it. It is nowhere else. */
export const sealPassword = (deps: Deps<'keyring'>, accountId: string, password: string): string =>
  deps.keyring.seal(REGISTERED, accountId, password)

/** What a profile keeps of its first password, sealed with the root secret in use; nothing if it is, or cannot be read. */
export const resealedPassword = (deps: Deps<'keyring'>, profile: WaitingPassword): Expression[] => {
  const { id, importedPassword: hash, registeredPassword: text } = profile
  const newHash = hash === undefined ? undefined : resealed(deps, IMPORTED, id, hash)
  const newText = text === undefined ? undefined : resealed(deps, REGISTERED, id, text)
  return [
    ...(newHash === undefined ? [] : [expr`#importedPassword = ${newHash}`]),
    ...(newText === undefined ? [] : [expr`#registeredPassword = ${newText}`]),
  ]
}

/** The first password that waits in a stored profile, which need not be parsed for that; undefined if none does. */
export function waitingIn(profile: Item | undefined): WaitingPassword | undefined {
  if (!profile || isNobodys(profile as unknown as Profile)) return undefined
  const waiting = profile as unknown as WaitingPassword
  return isWaiting(waiting) ? waiting : undefined
}

const isWaiting = ({ importedPassword, registeredPassword }: WaitingPassword): boolean =>
  importedPassword !== undefined || registeredPassword !== undefined

/** Whether this is the password with which an account was registered whose address nobody has confirmed yet. */
export function isRegisteredPassword(
  deps: Deps<'keyring'>,
  { id, registeredPassword }: WaitingPassword,
  password: string,
): boolean {
  const known = registeredPassword && deps.keyring.open(REGISTERED, id, registeredPassword)
  if (!known) return false
  const [a, b] = [Buffer.from(known), Buffer.from(password)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/**
 * Checks the password of an account that has not signed in yet. It is counted as a wrong one before it is looked at, so
 * that no more guesses at once are looked at than one after the other; the right one is forgotten again. The vault is
 * asked meanwhile, as for every other name, so that a wrong password makes the same calls and takes about as long:
 * longer only if a hash takes longer than the vault.
 * @returns the wrong passwords before, too, which are forgotten already.
 * @param name the guard of the typed name, and the wrong passwords that were typed for it.
 * @param parse reads the account. Its time would tell that there is one, so a wrong password does not take it.
 * @throws DomainError `invalid_credentials`, `password_locked`; if the password is right, `email_unconfirmed`, or
 *   `password_refused` if it is shorter than the vault allows; `temporarily_unavailable`
 */
export async function firstSignIn(
  deps: FirstDeps,
  name: { guard: Key; tries: PasswordTries },
  { waiting, parse }: { waiting: WaitingPassword; parse(): Account | undefined },
  password: string,
): Promise<{ account: Account; tokens: Tokens; tries: PasswordTries }> {
  const counted = await countTry(deps, name.guard, name.tries)
  const vault = deps.identity.signIn(waiting.id, password).then(
    (tokens) => ({ tokens }),
    (error: unknown) => ({ error }),
  )
  const isRight = await verifies(deps, waiting, password)
  const answer = await vault
  const begun = 'tokens' in answer && answer.tokens !== 'locked' ? answer.tokens : undefined
  try {
    if (isRight) await forgetWrongPasswords(deps, name.guard, counted)
    if ('error' in answer) throw answer.error
    const account = isRight ? parse() : undefined
    if (!account || answer.tokens === 'locked') throw new DomainError('invalid_credentials')
    requireConfirmed(account)
    const settled = await settle(deps, account, begun ? undefined : password)
    const tokens = begun ?? (await deps.identity.signIn(account.id, password))
    // Somebody has set another password since.
    if (!tokens || tokens === 'locked') throw new DomainError('invalid_credentials')
    return { account: settled, tokens, tries: { ...name.tries, triedAtMs: 0 } }
  } catch (error) {
    if (begun) await deps.identity.revoke(begun.refreshToken)
    throw error
  }
}

/** @throws Error if the stored hash is none, although the import has checked it. */
async function verifies(deps: FirstDeps, waiting: WaitingPassword, password: string): Promise<boolean> {
  const { id, importedPassword } = waiting
  if (importedPassword === undefined) return isRegisteredPassword(deps, waiting, password)
  const encoded = deps.keyring.open(IMPORTED, id, importedPassword)
  // Its owner sets a password with a mailed code.
  if (encoded === undefined) return false
  const hash = parsePasswordHash(encoded)
  if ('refused' in hash) throw new Error('A stored password hash cannot be read.')
  return deps.passwordHashes.verify(hash, password)
}

/**
 * What the confirmation of an address adds to its write, so that the password may go to the vault right after: from now
 * on no other may, and no sign-in may finish.
 */
export function holding(
  deps: Deps,
  profile: WaitingPassword,
): { set: Expression[]; untilMs: number | undefined } {
  if (profile.registeredPassword === undefined) return { set: [], untilMs: undefined }
  const untilMs = deps.clock.nowMs() + CHANGING_MS
  return { set: [expr`#changingUntilMs = ${untilMs}`], untilMs }
}

/**
 * Sets the password at the vault of an account whose address has just been confirmed, and forgets it. What fails leaves a
 * line in the log, and is left to the first sign-in: the address is confirmed all the same.
 * A reset that has put another password in the profile meanwhile keeps it: that one is what a sign-in sets then.
 * @param heldUntilMs the time of `holding`, if this request has written it; otherwise the account is as it was read, and
 *   another request may be at the vault.
 */
export async function enrolConfirmed(
  deps: Deps<'table' | 'identity' | 'keyring'>,
  profile: Profile,
  heldUntilMs?: number,
): Promise<void> {
  const { id, registeredPassword } = profile
  if (registeredPassword === undefined) return
  const password = deps.keyring.open(REGISTERED, id, registeredPassword)
  // Its owner sets one with a mailed code.
  if (password === undefined) return
  try {
    const untilMs = heldUntilMs ?? (await hold(deps, profile))
    await enrol(deps, profile, password, untilMs)
    await forget(deps, profile, expr`#changingUntilMs = ${untilMs}`)
  } catch (error) {
    // Another request is at it, or has done it.
    if (error instanceof ConditionFailed) return
    deps.log.warn('the first sign-in has to make the user of a confirmed account', error, { accountId: id })
  }
}

/**
 * Removes the first password, and before that sets it at the vault, unless the vault knows it already. Of several first
 * sign-ins at once one does it, and the others wait for it.
 * @param password undefined if the vault knows it.
 * @returns the account without it.
 */
async function settle(deps: FirstDeps, read: Account, password: string | undefined): Promise<Account> {
  const settleOnce = async (tries: number): Promise<Account> => {
    const account = tries === 1 ? read : await readAccount(deps, read.id)
    // A reset has removed it, or the account is being erased.
    if (!account || isNobodys(account) || account.generation !== read.generation)
      throw new DomainError('invalid_credentials')
    const {
      importedPassword: _,
      registeredPassword: __,
      unenrolled: ___,
      changingUntilMs: ____,
      ...settled
    } = account
    if (!isWaiting(account)) return settled
    let isAlone = isUnchanging(deps.clock.nowMs())
    if (password !== undefined) {
      const untilMs = await hold(deps, account)
      await enrol(deps, account, password, untilMs)
      isAlone = expr`#changingUntilMs = ${untilMs}`
    }
    await forget(deps, account, isAlone)
    return settled
  }
  return retryRaces(deps, settleOnce, 'temporarily_unavailable')
}

const isSame = (profile: WaitingPassword): Expression =>
  unchangedSince(profile, ['importedPassword', 'registeredPassword'])

/**
 * Keeps every other password from the vault, and sign-ins from finishing, as every change of a password does: a reset that
 * began now would be overwritten with the old password.
 * @returns until when, epoch ms.
 * @throws ConditionFailed if the account has changed, or another request is at the vault
 */
async function hold(deps: Deps<'table'>, profile: Profile, forMs = CHANGING_MS): Promise<number> {
  const nowMs = deps.clock.nowMs()
  const untilMs = nowMs + forMs
  await deps.table.update(
    keys.profile(profile.id),
    expr`SET #changingUntilMs = ${untilMs}`,
    join([isSame(profile), unchangedSince(profile, ['generation', 'status']), isUnchanging(nowMs)], ' AND '),
  )
  return untilMs
}

/** Sets the password at the vault, while it is held for this request. @throws DomainError `password_refused` */
async function enrol(
  deps: Deps<'table' | 'identity'>,
  { id }: Profile,
  password: string,
  untilMs: number,
): Promise<void> {
  try {
    await deps.identity.enroll(id, password)
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'password_refused')) throw error
    await deps.table
      .update(keys.profile(id), expr`REMOVE #changingUntilMs`, expr`#changingUntilMs = ${untilMs}`)
      .catch(ignoreRefusal)
    throw new DomainError('password_refused', { detail: OUTDATED, cause: error })
  }
}

/**
 * Removes the first password. A registered account was due for the sweep until then; it may be due for something else by
 * now.
 * @param isKnown whether the vault has the password. If not, nobody can have it any more.
 */
async function forget(
  deps: Deps<'table'>,
  profile: WaitingPassword,
  isAlone: Expression,
  isKnown = true,
): Promise<void> {
  const key = keys.profile(profile.id)
  const gone = [FIRST_PASSWORD, ...(isKnown ? [expr`#unenrolled, #changingUntilMs`] : [])]
  const conditions = [isSame(profile), isAlone]
  if (profile.importedPassword === undefined) {
    const { due } = dueAt('PENDING', profile.id, 0)
    const isEnded = await deps.table
      .update(
        key,
        setRemove([], [...gone, expr`#due, #dueAtMs`]),
        join([...conditions, expr`#due = ${due}`], ' AND '),
      )
      .then(() => true, ignoreRefusal)
    if (isEnded) return
  }
  await deps.table.update(key, setRemove([], gone), join(conditions, ' AND '))
}

/** How long the sweep keeps other passwords from the vault: longer than it may run. */
export const SWEEP_HOLDS_MS = 70_000

/**
 * Ends the wait of a registered password whose account was confirmed days ago, while the vault failed. One that the vault
 * refuses, or that cannot be read any more, is forgotten, and so is one that a restore has brought back, which may not be the
 * newest: its owner sets another with a mailed code.
 * @throws ConditionFailed if another request is at it
 * @throws DomainError `temporarily_unavailable`; the next sweep goes on
 */
export async function settleLeftPassword(
  deps: Deps<'table' | 'identity' | 'keyring'>,
  profile: Profile,
): Promise<void> {
  const { id, registeredPassword } = profile
  const password = registeredPassword && deps.keyring.open(REGISTERED, id, registeredPassword)
  const isRestored = profile.updatedAtMs < (deps.sessionsSinceMs ?? 0)
  if (!password || isRestored) return forget(deps, profile, isUnchanging(deps.clock.nowMs()), false)
  const untilMs = await hold(deps, profile, SWEEP_HOLDS_MS)
  try {
    await enrol(deps, profile, password, untilMs)
  } catch (error) {
    if (!(error instanceof DomainError && error.code === 'password_refused')) throw error
    return forget(deps, profile, isUnchanging(deps.clock.nowMs()), false)
  }
  await forget(deps, profile, expr`#changingUntilMs = ${untilMs}`)
}

const OUTDATED =
  'Your password is right, but shorter than passwords may be by now. Ask for a code to set a new one.'
