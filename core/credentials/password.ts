import type { Account, Profile } from '../account/account.ts'
import { readAccount, requireActive } from '../account/account.ts'
import { DomainError, type ErrorCode } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, join } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { checkCode } from './codes.ts'
import { checkSecondFactor, guardedBy, type SecondFactor, withFactor } from './two-factor.ts'

type PasswordDeps = Deps<'table' | 'identity' | 'secrets' | 'keyring' | 'totp'>

/** For this long after a sign-in, a password change needs no other proof. */
const RECENT_MS = 10 * MINUTE_MS

/**
 * How long a password change keeps sign-ins from finishing. This is longer than any function may run, so that
 * no request can still be calling the vault afterwards.
 */
const CHANGING_MS = 30_000

export interface PasswordChange {
  newPassword: string
  oldPassword?: string | undefined
  twofa?: string | undefined
  /** A new full name, set along with the password. */
  name?: string | undefined
}

/**
 * Sets a new password for a signed-in caller and ends every session, the caller's included. With two-factor
 * authentication a code is always required; without, the old password or a recent sign-in is required.
 * @throws DomainError `wrong_password`, `reauthentication_required`, `two_factor_*`, `password_refused`,
 *   `session_ended`, `temporarily_unavailable` while an earlier change may still be at the vault
 */
export async function changePassword(
  deps: PasswordDeps,
  caller: { account: Account; sessionId: string },
  input: PasswordChange,
): Promise<void> {
  const { account } = caller
  const factor = account.totp && (await checkSecondFactor(deps, account, input.twofa))
  if (input.oldPassword === undefined) {
    if (!factor) requireRecentSignIn(deps, account, caller.sessionId)
  } else if (!(await isPasswordOf(deps, account.id, input.oldPassword))) {
    return refusedUnlessDone(deps, caller, input, 'wrong_password')
  }
  try {
    await endSessionsFirst(deps, account, [], factor, input.name)
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    // If nothing else has changed, another request has used the second factor.
    return refusedUnlessDone(deps, caller, input, 'two_factor_invalid')
  }
  await setAtVault(deps, account, input.newPassword, [])
  await reopenSignIn(deps, account, [])
}

/**
 * Refuses a change, unless a concurrent copy of the request has just made it.
 * @throws DomainError `refusal` while the caller's session lives, else `session_ended`, `account_deactivated`,
 *   `account_suspended`, `temporarily_unavailable`
 */
async function refusedUnlessDone(
  deps: PasswordDeps,
  { account, sessionId }: { account: Account; sessionId: string },
  input: PasswordChange,
  refusal: ErrorCode,
): Promise<void> {
  const now = await readAccount(deps, account.id)
  if (!now) throw new DomainError('session_ended')
  requireActive(now)
  if (Object.hasOwn(now.sessions, sessionId)) throw new DomainError(refusal)
  await repeatPasswordChange(deps, now, input, new DomainError('session_ended'))
}

/**
 * Answers a caller whose session has ended, who asks for the password that the account has. The password
 * itself proves that the change was made; it is not stored in any form that could tell.
 * @throws DomainError `refusal` if the account has another password; `temporarily_unavailable` while a change
 *   may still be at the vault
 */
export async function repeatPasswordChange(
  deps: PasswordDeps,
  account: Account,
  { newPassword, name }: Pick<PasswordChange, 'newPassword' | 'name'>,
  refusal: DomainError,
): Promise<void> {
  requireNoChange(deps, account)
  if (name !== undefined && name !== account.name) throw refusal
  if (!(await isPasswordOf(deps, account.id, newPassword))) throw refusal
}

/** @throws DomainError `temporarily_unavailable` while an earlier change may still be at the vault */
function requireNoChange(deps: Deps, { changingUntilMs = 0 }: Profile): void {
  const waitMs = changingUntilMs - deps.clock.nowMs()
  if (waitMs > 0)
    throw new DomainError('temporarily_unavailable', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}

/** Whether this is the account's password at the vault. */
export async function isPasswordOf(
  deps: Deps<'identity'>,
  accountId: string,
  password: string,
): Promise<boolean> {
  const tokens = await deps.identity.signIn(accountId, password)
  if (tokens) await deps.identity.revoke(tokens.refreshToken)
  return tokens !== undefined
}

function requireRecentSignIn(deps: Deps, account: Account, sessionId: string): void {
  const signedInAtMs = account.sessions[sessionId] ?? 0
  if (deps.clock.nowMs() - signedInAtMs > RECENT_MS) throw new DomainError('reauthentication_required')
}

/**
 * Sets a new password with a mailed code and ends every session. The code is bound to the first request that
 * uses it: the same request may be sent again after a crash, an outage or a lost answer, and no other request
 * can use the code.
 * @throws DomainError `invalid_code`, `account_deactivated`, `account_suspended`, `two_factor_*`,
 *   `password_refused`, `temporarily_unavailable` while an earlier change may still be at the vault
 */
export async function resetPassword(
  deps: PasswordDeps,
  input: { code: string; password: string; twofa?: string | undefined },
): Promise<void> {
  await retryRaces(deps, () => resetOnce(deps, input))
}

async function resetOnce(deps: PasswordDeps, input: Parameters<typeof resetPassword>[1]): Promise<void> {
  const code = await checkCode(deps, ['reset-password'], input.code)
  const account = await readAccount(deps, code.accountId)
  if (!account || account.resetCode !== code.lookup) throw new DomainError('invalid_code')
  requireActive(account)
  const requestMac = deps.keyring
    .mac('reset', code.lookup, input.password, input.twofa ?? '')
    .toString('base64url')
  const isRepeat = code.usedBy === requestMac
  if (code.isDone && isRepeat) return
  const bind: Write = {
    update: code.key,
    set: expr`SET #usedBy = ${requestMac}`,
    if: join(
      [
        code.usable,
        expr`attribute_not_exists(#done) AND (attribute_not_exists(#usedBy) OR #usedBy = ${requestMac})`,
      ],
      ' AND ',
    ),
  }
  const factor = account.totp && !isRepeat ? await checkSecondFactor(deps, account, input.twofa) : undefined
  try {
    await endSessionsFirst(deps, account, [bind], factor)
  } catch (error) {
    // If the account has changed, the code may still permit the reset.
    if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
    // A copy of this request may have been first.
    const now = await checkCode(deps, ['reset-password'], input.code)
    if (now.isDone && now.usedBy === requestMac) return
    throw new DomainError('invalid_code')
  }
  await setAtVault(deps, account, input.password, [{ update: code.key, set: expr`REMOVE #usedBy` }])
  const done: Write = { update: code.key, set: expr`SET #done = ${true}`, if: expr`#usedBy = ${requestMac}` }
  await reopenSignIn(deps, account, [done])
}

/**
 * Ends every session before the vault is called, so that no later failure leaves a session alive. Sign-ins
 * that began earlier cannot finish, because the generation has changed, and no sign-in can finish while the
 * change is under way. Of several concurrent changes only one passes.
 * @throws ConditionFailed if the account or the code has changed
 * @throws DomainError `temporarily_unavailable` while an earlier change may still be at the vault
 */
async function endSessionsFirst(
  deps: Deps<'table'>,
  account: Profile,
  writes: Write[],
  factor: SecondFactor | undefined,
  name = account.name,
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const set = expr`SET #generation = ${account.generation + 1}, #sessions = ${{}}, #changingUntilMs = ${nowMs + CHANGING_MS}`
  // These may come from an intruder whom the new password is to keep out.
  const removes = [expr`#pendingEmail`, expr`#changeCode`, ...(writes.length > 0 ? [] : [expr`#resetCode`])]
  const sets = name === undefined ? set : join([set, expr`#name = ${name}`], ', ')
  const unchanged = expr`#generation = ${account.generation} AND #status = ${'active'}`
  requireNoChange(deps, account)
  await writeProfile(deps, account, withFactor(sets, factor, removes), guardedBy(unchanged, factor), writes)
}

/**
 * Sets the password at the vault. If the vault refuses the password, sign-ins may finish and the code may be
 * used again. After any other error the vault may still be at work, so sign-ins stay blocked for
 * `CHANGING_MS`.
 */
async function setAtVault(
  deps: Deps<'table' | 'identity'>,
  account: Profile,
  password: string,
  onRefusal: Write[],
): Promise<void> {
  try {
    await deps.identity.setPassword(account.id, password)
  } catch (error) {
    if (error instanceof DomainError && error.code === 'password_refused')
      await reopenSignIn(deps, account, onRefusal)
    throw error
  }
}

/** Allows sign-ins again, unless a later change has begun. */
async function reopenSignIn(deps: Deps<'table'>, account: Profile, writes: Write[]): Promise<void> {
  const set = expr`SET #updatedAtMs = ${deps.clock.nowMs()} REMOVE #changingUntilMs`
  const condition = expr`#generation = ${account.generation + 1}`
  await writeProfile(deps, account, set, condition, writes).catch(ignoreRefusal)
}

/** Writes the profile alone in a plain write, if possible: a plain write costs half of a transaction. */
async function writeProfile(
  { table }: Deps<'table'>,
  { id }: Profile,
  set: Expression,
  condition: Expression,
  others: Write[],
): Promise<void> {
  if (others.length === 0) await table.update(keys.profile(id), set, condition)
  else await table.transact([{ update: keys.profile(id), set, if: condition }, ...others])
}
