import { type Account, isNobodys, readAccount, requireActive } from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { reactivate } from '../account/reactivate.ts'
import { DomainError } from '../errors.ts'
import { replaceEveryKey } from '../keys/application-keys.ts'
import { tellOwner, withdrawal } from '../notifications/security.ts'
import { trustAddress } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { macTexts, storedOrNew } from '../rotation.ts'
import { expr, join, unchangedSince } from '../table/expression.ts'
import { recoveryKey } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { type CheckedCode, type CodePurpose, checkCode } from './codes.ts'
import { sealPassword } from './first-password.ts'
import type { ProofDeps } from './proof.ts'
import { openRecovery } from './recovery-state.ts'
import { endSessionsFirst, reopenSignIn, setAtVault, touched } from './set-password.ts'
import { ownersNetworkSet } from './stranger-tries.ts'
import {
  factorText,
  type GivenFactor,
  hasSecondFactor,
  isOtherwiseUsed,
  type SecondFactor,
  secondFactorsOff,
  withSecondFactor,
} from './two-factor.ts'

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

/** The codes that each kind of reset takes: an invitation sets the first password of an imported account. */
const CODES: Record<ResetPurpose, readonly CodePurpose[]> = {
  'reset-password': ['reset-password', 'invitation'],
  'finish-recovery': ['finish-recovery'],
}

async function resetOnce(
  deps: ProofDeps,
  purpose: ResetPurpose,
  input: Parameters<typeof resetPassword>[1],
): Promise<void> {
  const code = await checkCode(deps, CODES[purpose], input.code)
  const account = await readAccount(deps, code.accountId)
  if (!account || isNobodys(account)) throw new DomainError('invalid_code')
  const requestMacs = macTexts(deps, 'mac:reset', code.lookup, input.password, factorText(input.twofa))
  const requestMac = storedOrNew(code.usedBy, requestMacs)
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
    const now = await checkCode(deps, CODES[purpose], input.code)
    if (isDoneBy(now, requestMacs)) return
    throw new DomainError('invalid_code')
  }
  const reset = (factor?: SecondFactor) =>
    resetProved(deps, account, { code, requestMac, requestMacs, isRecovery, isRepeat, factor }, input)
  const asksFactor = account.totp && !isRepeat && !isRecovery
  if (asksFactor) await withSecondFactor(deps, account, input.twofa, reset)
  else await reset()
}

/** A reset whose code, and second factor if it needs one, are right. */
interface ProvedReset {
  code: CheckedCode
  requestMac: string
  requestMacs: readonly string[]
  isRecovery: boolean
  /** An earlier try of the same request has bound the code. */
  isRepeat: boolean
  factor: SecondFactor | undefined
}

async function resetProved(
  deps: ProofDeps,
  account: Account,
  { code, requestMac, requestMacs, isRecovery, isRepeat, factor }: ProvedReset,
  input: { code: string; password: string },
): Promise<void> {
  const bind = bindCode(deps, code, requestMac)
  // A repeat of a recovery finds the second factor off and the keys replaced.
  const isFirst = isRecovery && hasSecondFactor(account)
  // Who has a second factor of the account is its holder, and has read no key of somebody else.
  const isReplaced = isFirst || (factor === undefined && mayKnowKeys(account))
  const replaced = isReplaced ? await replaceEveryKey(deps, account) : undefined
  const waits = waitsForCode(account)
  // The first try of this request has told the owner.
  const told = isRecovery || isRepeat ? [] : tellOwner(deps, account, 'password-reset')
  // The code has arrived, so mail does.
  const trusted = trustAddress(deps.clock.nowMs(), {}, account)
  try {
    await endSessionsFirst(deps, account, {
      factor,
      set: [
        expr`#holderEmail = ${emailKey(account.email)}`,
        ...ownersNetworkSet(deps, account.id),
        // From now on it is too late to stop the recovery.
        ...(isRecovery ? [expr`#recoveredFrom = ${account.recovery?.beganAtMs}`] : []),
        ...(replaced?.set ?? []),
        ...trusted.set,
      ],
      waiting: waits ? sealPassword(deps, account.id, input.password) : undefined,
      remove: [...(isRecovery ? secondFactorsOff() : []), ...trusted.remove],
      unchanged: [
        ...(replaced ? [replaced.unchanged] : []),
        ...(isRecovery ? [unchangedSince(account, ['recovery', 'recoveryCode'])] : []),
      ],
      writes: [
        bind,
        ...told,
        ...trusted.writes,
        ...(replaced?.writes ?? []),
        ...(isFirst ? tellOwner(deps, account, 'recovered') : []),
      ],
      keep: isRecovery ? { recovery: true } : { resetCode: true },
    })
  } catch (error) {
    // If the account has changed, the code may still permit the reset.
    if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
    // A copy of this request may have been first.
    const now = await checkCode(deps, [code.purpose], input.code)
    if (isDoneBy(now, requestMacs)) return
    throw new DomainError(isOtherwiseUsed(error, factor, 2) ? 'passkey_refused' : 'invalid_code')
  }
  if (!waits) await setPassword(deps, account, input.password, { code, told })
  await finishReset(deps, account, { code, requestMac, isRecovery })
}

/** Whether the account has no password at the vault before its address is confirmed (`first-password.ts`). */
const waitsForCode = ({ emailVerified, unenrolled }: Account): boolean =>
  unenrolled === true && !emailVerified

/** @param reset what is taken back if the vault refuses the password. */
function setPassword(
  deps: ProofDeps,
  account: Account,
  password: string,
  { code, told }: { code: CheckedCode; told: Write[] },
): Promise<void> {
  const unbind: Write = { update: code.key, set: expr`REMOVE #usedBy, #repeatUntilMs` }
  return setAtVault(deps, account, password, [unbind, ...withdrawal(deps, account.id, told)])
}

/** Whether a request with one of these MACs has used the code and made its change. */
const isDoneBy = ({ isDone, usedBy }: CheckedCode, macs: readonly string[]): boolean =>
  isDone && usedBy !== undefined && macs.includes(usedBy)

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
    remove: [
      ...(waitsForCode(account) ? [] : [expr`#unenrolled`]),
      ...(again?.remove ?? []),
      ...(isRecovery ? [expr`#recovery`] : []),
    ],
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
 * Whether somebody else may have read the keys, who had set the password before the address was confirmed. Once the
 * address's owner has set the password, or something was paid, the keys are in use and stay.
 */
const mayKnowKeys = ({ holderEmail, email, paid }: Account): boolean =>
  holderEmail !== emailKey(email) && !paid

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
