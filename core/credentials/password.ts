import {
  type Account,
  isNobodys,
  type Profile,
  readAccount,
  requireActive,
  type SessionCaller,
} from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { reactivate } from '../account/reactivate.ts'
import { DomainError, type ErrorCode } from '../errors.ts'
import { haveKeysChanged, type KeysReplaced, replaceEveryKey } from '../keys/application-keys.ts'
import { announce, withdrawal } from '../notifications/security.ts'
import { trustAddress } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys, recoveryKey } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { type CheckedCode, checkCode } from './codes.ts'
import { changeHolder } from './holder.ts'
import { isPasswordOf, type ProofDeps, requireRecentSession } from './proof.ts'
import { openRecovery, recoveryStopped } from './recovery-state.ts'
import {
  factorText,
  type GivenFactor,
  guardedBy,
  hasSecondFactor,
  isOtherwiseUsed,
  type SecondFactor,
  secondFactorsOff,
  withSecondFactor,
} from './two-factor.ts'

/**
 * How long a password change keeps sign-ins from finishing. This is longer than any function may run, so that
 * no request can still be calling the vault afterwards.
 */
const CHANGING_MS = 30_000

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
  const told = announce(deps, account, 'password-changed')
  const isBegun = await (input.replaceKeys ? beginWithKeys : beginChange)(deps, account, input, factor, told)
  // If nothing else has changed, another request has used the second factor.
  const used = typeof input.twofa === 'object' ? 'passkey_refused' : 'two_factor_invalid'
  if (!isBegun) return refusedUnlessDone(deps, caller, input, used)
  await setAtVault(deps, account, input.newPassword, withdrawal(told))
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

/** @throws DomainError `temporarily_unavailable` while an earlier change may still be at the vault */
function requireNoChange(deps: Deps, { changingUntilMs = 0 }: Profile): void {
  const waitMs = changingUntilMs - deps.clock.nowMs()
  if (waitMs > 0)
    throw new DomainError('temporarily_unavailable', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}

/**
 * Sets a new password with a mailed code, ends every session, and makes a deactivated account active again. The code
 * is bound to the first request that uses it: the same request may be sent again after a crash, an outage or a lost
 * answer, and no other request can use the code.
 * @param input.restore false refuses a deactivated account instead.
 * @throws DomainError `invalid_code`, `account_deactivated`, `account_suspended`, `two_factor_*`,
 *   `password_refused`, `temporarily_unavailable` while an earlier change may still be at the vault
 */
export async function resetPassword(
  deps: ProofDeps,
  input: { code: string; password: string; twofa?: GivenFactor; restore?: boolean | undefined },
): Promise<void> {
  await retryRaces(deps, () => resetOnce(deps, 'reset-password', input))
}

/**
 * Finishes a recovery that is 72 hours old with a mailed code: as `resetPassword`, but without the second factor,
 * which is switched off. Every key is replaced. Until it is done, the recovery stays open, so that a crash or a
 * password that the vault refuses costs no other 72 hours.
 * @throws DomainError `invalid_code`, also if the recovery was stopped, `account_suspended`, `password_refused`,
 *   `temporarily_unavailable`
 */
export async function finishRecovery(
  deps: ProofDeps,
  input: { code: string; password: string },
): Promise<void> {
  await retryRaces(deps, () => resetOnce(deps, 'finish-recovery', input))
}

type ResetPurpose = 'reset-password' | 'finish-recovery'

async function resetOnce(
  deps: ProofDeps,
  purpose: ResetPurpose,
  input: Parameters<typeof resetPassword>[1],
): Promise<void> {
  const code = await checkCode(deps, [purpose], input.code)
  const account = await readAccount(deps, code.accountId)
  if (!account || isNobodys(account)) throw new DomainError('invalid_code')
  const requestMac = deps.keyring
    .mac('reset', code.lookup, input.password, factorText(input.twofa))
    .toString('base64url')
  const isRepeat = code.usedBy === requestMac
  const isRecovery = purpose === 'finish-recovery'
  const newest = account[isRecovery ? 'recoveryCode' : 'resetCode']
  // Whatever has replaced the code since, the answer is that of the first time.
  if (!(code.isDone && isRepeat) && newest !== code.lookup) throw new DomainError('invalid_code')
  if (account.status !== 'deactivated' || input.restore === false) requireActive(account)
  if (code.isDone && isRepeat) return
  const isReady = openRecovery(account, deps.clock.nowMs())?.isReady === true
  if (isRecovery && !isReady) {
    // A copy of this request may have finished it since the code was read.
    const now = await checkCode(deps, [purpose], input.code)
    if (now.isDone && now.usedBy === requestMac) return
    throw new DomainError('invalid_code')
  }
  const reset = (factor?: SecondFactor) =>
    resetProved(deps, account, { code, requestMac, isRecovery, isRepeat, factor }, input)
  // Nobody has proved an unconfirmed address, so its second factor is not its owner's.
  const asksFactor = account.totp && account.emailVerified && !isRepeat && !isRecovery
  if (asksFactor) await withSecondFactor(deps, account, input.twofa, reset)
  else await reset()
}

/** A reset whose code, and second factor if it needs one, are right. */
interface ProvedReset {
  code: CheckedCode
  requestMac: string
  isRecovery: boolean
  /** An earlier try of the same request has bound the code. */
  isRepeat: boolean
  factor: SecondFactor | undefined
}

async function resetProved(
  deps: ProofDeps,
  account: Account,
  { code, requestMac, isRecovery, isRepeat, factor }: ProvedReset,
  input: { code: string; password: string },
): Promise<void> {
  const bind = bindCode(deps, code, requestMac)
  // A repeat of a recovery finds the second factor off and the keys replaced.
  const isFirst = isRecovery && hasSecondFactor(account)
  // Who has a second factor of the account is its holder, and has read no key of somebody else.
  const isReplaced = isFirst || (factor === undefined && mayKnowKeys(account))
  const replaced = isReplaced ? await replaceEveryKey(deps, account) : undefined
  const isOff = isRecovery || !account.emailVerified
  // The first try of this request has told the owner.
  const told = isRecovery || isRepeat ? [] : announce(deps, account, 'password-reset')
  // The code has arrived, so mail does.
  const trusted = trustAddress(deps.clock.nowMs())
  try {
    await endSessionsFirst(deps, account, {
      factor,
      set: [
        expr`#holderEmail = ${emailKey(account.email)}`,
        // From now on it is too late to stop the recovery.
        ...(isRecovery ? [expr`#recoveredFrom = ${account.recovery?.beganAtMs}`] : []),
        ...(replaced?.set ?? []),
        ...trusted.set,
      ],
      remove: [...(isOff ? secondFactorsOff() : []), ...trusted.remove],
      unchanged: [
        ...(replaced ? [replaced.unchanged] : []),
        ...(isRecovery ? [unchangedSince(account, ['recovery', 'recoveryCode'])] : []),
      ],
      writes: [
        bind,
        ...told,
        ...(replaced?.writes ?? []),
        ...(isFirst ? announce(deps, account, 'recovered') : []),
      ],
      keep: isRecovery ? { recovery: true } : { resetCode: true },
    })
  } catch (error) {
    // If the account has changed, the code may still permit the reset.
    if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
    // A copy of this request may have been first.
    const now = await checkCode(deps, [code.purpose], input.code)
    if (now.isDone && now.usedBy === requestMac) return
    throw new DomainError(isOtherwiseUsed(error, factor, 2) ? 'passkey_refused' : 'invalid_code')
  }
  const unbind: Write = { update: code.key, set: expr`REMOVE #usedBy, #repeatUntilMs` }
  await setAtVault(deps, account, input.password, [unbind, ...withdrawal(told)])
  await finishReset(deps, account, { code, requestMac, isRecovery })
}

/** Marks the code as used. Only now that the password is set, the account becomes active and a recovery ends. */
async function finishReset(
  deps: ProofDeps,
  account: Account,
  { code, requestMac, isRecovery }: Pick<ProvedReset, 'code' | 'requestMac' | 'isRecovery'>,
): Promise<void> {
  const done: Write = { update: code.key, set: expr`SET #done = ${true}`, if: expr`#usedBy = ${requestMac}` }
  const again = account.status === 'deactivated' ? reactivate(deps, account) : undefined
  const ended = isRecovery ? [{ remove: recoveryKey(account.id) }] : []
  const isDone = await reopenSignIn(deps, account, [done, ...(again?.writes ?? []), ...ended], {
    set: again?.set ?? [touched(deps)],
    remove: [...(again?.remove ?? []), ...(isRecovery ? [expr`#recovery`] : [])],
    unchanged: again ? [expr`#status = ${account.status}`, again.unchanged] : [],
  })
  if (isDone || !again) return
  const now = await readAccount(deps, account.id)
  // The time to undo the deletion is over.
  if (!now || isNobodys(now)) throw new DomainError('invalid_code')
  // A later change has begun. It makes the account active, or a repeat of this request does.
  if (now.status === 'deactivated') throw new DomainError('temporarily_unavailable')
  // Somebody has restored the account with the new password.
  await finishReset(deps, { ...now, generation: account.generation }, { code, requestMac, isRecovery })
}

/**
 * Whether somebody who never proved the address may have read the keys: the holder of an unconfirmed account, or
 * one who had set the password before the address was confirmed. Once the address's owner has set the password, or
 * something was paid, the keys are in use and stay.
 */
const mayKnowKeys = ({ emailVerified, holderEmail, email, paid }: Account): boolean =>
  !emailVerified || (holderEmail !== emailKey(email) && !paid)

/**
 * The write that binds a code to the first request that uses it. Only this request may use the code from then on, so
 * it may do so for longer than the code lives.
 */
function bindCode(deps: Deps, code: CheckedCode, requestMac: string): Write {
  const isRepeat = code.usedBy === requestMac
  const bound = expr`SET #usedBy = ${requestMac}`
  const isOurs = expr`attribute_not_exists(#done) AND (attribute_not_exists(#usedBy) OR #usedBy = ${requestMac})`
  const isKept = expr`#triesLeft > ${0} AND #repeatUntilMs > ${deps.clock.nowMs()}`
  return {
    update: code.key,
    set: isRepeat ? bound : join([bound, code.keepForRepeats], ', '),
    if: join([isRepeat ? isKept : code.usable, isOurs], ' AND '),
  }
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
  change: {
    factor: SecondFactor | undefined
    set: Expression[]
    remove?: Expression[]
    /** Further conditions on the profile. */
    unchanged?: Expression[] | undefined
    writes: Write[]
    /** What stays because the same request may be sent again. */
    keep?: { resetCode?: boolean; recovery?: boolean }
  },
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const { factor, keep = {} } = change
  const holder = changeHolder(account, keep)
  const writes = [
    ...change.writes,
    ...(factor?.writes ?? []),
    ...(keep.recovery ? [] : recoveryStopped(deps, account)),
  ]
  const set = setRemove(
    [
      ...holder.set,
      expr`#changingUntilMs = ${nowMs + CHANGING_MS}`,
      ...change.set,
      ...(factor ? [factor.set] : []),
    ],
    // No device has signed in with the new password yet.
    [...holder.remove, expr`#devices`, ...(change.remove ?? []), ...(factor?.remove ? [factor.remove] : [])],
  )
  const unchanged = join(
    [expr`#generation = ${account.generation} AND #status = ${account.status}`, ...(change.unchanged ?? [])],
    ' AND ',
  )
  requireNoChange(deps, account)
  await writeAll(deps, [
    { update: keys.profile(account.id), set, if: guardedBy(unchanged, factor) },
    ...writes,
  ])
}

/**
 * Sets the password at the vault. If the vault refuses the password, sign-ins may finish, the code may be used
 * again, and the owner is not told of a change. After any other error the vault may still be at work, so sign-ins stay blocked for
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

/**
 * Allows sign-ins again, unless a later change has begun, and makes further changes of the profile.
 * @returns false if a later change has begun, or if one of `more.unchanged` fails.
 */
async function reopenSignIn(
  deps: Deps<'table'>,
  account: Profile,
  writes: Write[],
  more: { set: Expression[]; remove: Expression[]; unchanged: Expression[] } = {
    set: [touched(deps)],
    remove: [],
    unchanged: [],
  },
): Promise<boolean> {
  const set = setRemove(more.set, [expr`#changingUntilMs`, ...more.remove])
  const condition = join([expr`#generation = ${account.generation + 1}`, ...more.unchanged], ' AND ')
  try {
    await writeAll(deps, [{ update: keys.profile(account.id), set, if: condition }, ...writes])
    return true
  } catch (error) {
    ignoreRefusal(error)
    return false
  }
}

const touched = (deps: Deps): Expression => expr`#updatedAtMs = ${deps.clock.nowMs()}`
