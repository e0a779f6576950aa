import { type Account, readAccount, requireActive, type SessionCaller } from '../account/account.ts'
import { DomainError, type ErrorCode } from '../errors.ts'
import { haveKeysChanged, type KeysReplaced, replaceEveryKey } from '../keys/application-keys.ts'
import { tellOwner, withdrawal } from '../notifications/security.ts'
import { expr } from '../table/expression.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { isPasswordOf, type ProofDeps, requireRecentSession } from './proof.ts'
import { liveSession } from './session-life.ts'
import { endSessionsFirst, reopenSignIn, requireNoChange, setAtVault } from './set-password.ts'
import { type GivenFactor, type SecondFactor, withSecondFactor } from './two-factor.ts'

export interface PasswordChange {
  newPassword: string
  oldPassword?: string | undefined
  /** A passkey proves the change by itself, whether or not two-factor authentication is on. */
  twofa?: GivenFactor
  /** A new full name, set along with the password. */
  name?: string | undefined
  /** Replace the default key and revoke all others, in case somebody else has read them. */
  replaceKeys?: boolean
}

/**
 * Sets a new password for a signed-in caller and ends every session, the caller's included. With two-factor
 * authentication a code is always required; without, the old password or a recent sign-in is required. A passkey
 * takes the place of either.
 * @throws DomainError `wrong_password`, `password_locked`, `reauthentication_required`, `two_factor_*`, `password_refused`,
 *   `session_ended`, `temporarily_unavailable` while an earlier change may still be at the vault
 */
export async function changePassword(
  deps: ProofDeps,
  caller: SessionCaller,
  input: PasswordChange,
): Promise<void> {
  const { account } = caller
  const asksFactor = account.totp !== undefined || typeof input.twofa === 'object'
  if (!asksFactor) return changeProved(deps, caller, input, undefined)
  await withSecondFactor(deps, account, input.twofa, (factor) => changeProved(deps, caller, input, factor))
}

async function changeProved(
  deps: ProofDeps,
  caller: SessionCaller,
  input: PasswordChange,
  factor: SecondFactor | undefined,
): Promise<void> {
  const { account } = caller
  if (input.oldPassword === undefined) {
    if (!factor) requireRecentSession(deps, caller)
  } else if (!(await isPasswordOf(deps, account, input.oldPassword))) {
    return refusedUnlessDone(deps, caller, input, 'wrong_password')
  }
  const told = tellOwner(deps, account, 'password-changed')
  const isBegun = await (input.replaceKeys ? beginWithKeys : beginChange)(deps, account, input, factor, told)
  // If nothing else has changed, another request has used the second factor.
  const used = typeof input.twofa === 'object' ? 'passkey_refused' : 'two_factor_invalid'
  if (!isBegun) return refusedUnlessDone(deps, caller, input, used)
  await setAtVault(deps, account, input.newPassword, withdrawal(deps, account.id, told))
  await reopenSignIn(deps, account, [])
}

/** @returns false if the account has changed, or the second factor was used. */
async function beginChange(
  deps: ProofDeps,
  account: Account,
  { name }: PasswordChange,
  factor: SecondFactor | undefined,
  told: Write[],
  replaced?: KeysReplaced,
): Promise<boolean> {
  try {
    await endSessionsFirst(deps, account, {
      factor,
      set: [
        ...(name === undefined ? [] : [expr`#name = ${name}`]),
        ...(replaced ? [...replaced.set, expr`#keysReplacedIn = ${account.generation + 1}`] : []),
      ],
      unchanged: replaced && [replaced.unchanged],
      writes: [...told, ...(replaced?.writes ?? [])],
    })
    return true
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    return false
  }
}

/** As `beginChange`, and replaces every key. It begins again only if a concurrent request has changed the keys. */
async function beginWithKeys(
  deps: ProofDeps,
  read: Account,
  input: PasswordChange,
  factor: SecondFactor | undefined,
  told: Write[],
): Promise<boolean> {
  let account = read
  return retryRaces(deps, async () => {
    const replaced = await replaceEveryKey(deps, account)
    if (await beginChange(deps, account, input, factor, told, replaced)) return true
    const now = await readAccount(deps, account.id)
    if (!now || now.generation !== account.generation || !haveKeysChanged(account, now)) return false
    account = now
    throw new ConditionFailed(new Map())
  })
}

/**
 * Refuses a change, unless a concurrent copy of the request has just made it.
 * @throws DomainError `refusal` while the caller's session lives, else `session_ended`, `account_deactivated`,
 *   `account_suspended`, `temporarily_unavailable`
 */
async function refusedUnlessDone(
  deps: ProofDeps,
  { account, sessionId }: SessionCaller,
  input: PasswordChange,
  refusal: ErrorCode,
): Promise<void> {
  const now = await readAccount(deps, account.id)
  if (!now) throw new DomainError('session_ended')
  requireActive(now)
  if (liveSession(deps, now, sessionId)) throw new DomainError(refusal)
  await repeatPasswordChange(deps, now, input, new DomainError('session_ended'))
}

/**
 * Answers a caller whose session has ended, who asks for the password that the account has. The password
 * itself proves that the change was made; it is not stored in any form that could tell.
 * @throws DomainError `refusal` if the account has another password; `temporarily_unavailable` while a change
 *   may still be at the vault
 */
export async function repeatPasswordChange(
  deps: ProofDeps,
  account: Account,
  { newPassword, name, replaceKeys }: Omit<PasswordChange, 'oldPassword' | 'twofa'>,
  refusal: DomainError,
): Promise<void> {
  requireNoChange(deps, account)
  if (name !== undefined && name !== account.name) throw refusal
  if (replaceKeys && account.keysReplacedIn !== account.generation) throw refusal
  if (!(await isPasswordOf(deps, account, newPassword))) throw refusal
}
