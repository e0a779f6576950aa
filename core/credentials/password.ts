import { type Profile, readAccount, requireActive, type SessionCaller } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import { replaceEveryKey } from '../keys/application-keys.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { checkCode } from './codes.ts'
import { changeHolder } from './holder.ts'
import { type ProofDeps, requirePassword, requireRecentSession } from './proof.ts'
import { checkSecondFactor, guardedBy, type SecondFactor } from './two-factor.ts'

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
  /** Replace the default key and revoke all others, in case somebody else has read them. */
  replaceKeys?: boolean
}

/**
 * Sets a new password for a signed-in caller and ends every session, the caller's included. With two-factor
 * authentication a code is always required; without, the old password or a recent sign-in is required.
 * @throws DomainError `wrong_password`, `reauthentication_required`, `two_factor_*`, `password_refused`,
 *   `conflict`, `temporarily_unavailable` while an earlier change may still be at the vault
 */
export async function changePassword(
  deps: ProofDeps,
  caller: SessionCaller,
  input: PasswordChange,
): Promise<void> {
  const { account } = caller
  const factor = account.totp && (await checkSecondFactor(deps, account, input.twofa))
  if (input.oldPassword !== undefined) await requirePassword(deps, account, input.oldPassword)
  else if (!factor) requireRecentSession(deps, caller)
  const keysToo = input.replaceKeys ? await replaceEveryKey(deps, account) : undefined
  const name = input.name === undefined ? [] : [expr`#name = ${input.name}`]
  await endSessionsFirst(deps, account, {
    factor,
    set: [...name, ...(keysToo?.set ?? [])],
    unchanged: keysToo && [keysToo.unchanged],
    writes: keysToo?.writes ?? [],
    refusedAs: 'conflict',
  })
  await setAtVault(deps, account, input.newPassword, [])
  await reopenSignIn(deps, account, [])
}

/**
 * Sets a new password with a mailed code and ends every session. The code is bound to the first request that
 * uses it: the same request may be sent again after a crash or an outage, and no other request can use the
 * code.
 * @throws DomainError `invalid_code`, `account_deactivated`, `account_suspended`, `two_factor_*`,
 *   `password_refused`, `temporarily_unavailable` while an earlier change may still be at the vault
 */
export async function resetPassword(
  deps: ProofDeps,
  input: { code: string; password: string; twofa?: string | undefined },
): Promise<void> {
  const code = await checkCode(deps, ['reset-password'], input.code)
  const account = await readAccount(deps, code.accountId)
  if (!account || account.resetCode !== code.lookup) throw new DomainError('invalid_code')
  requireActive(account)
  const requestMac = deps.keyring
    .mac('reset', code.lookup, input.password, input.twofa ?? '')
    .toString('base64url')
  const bind: Write = {
    update: code.key,
    set: expr`SET #usedBy = ${requestMac}`,
    if: join([code.usable, expr`(attribute_not_exists(#usedBy) OR #usedBy = ${requestMac})`], ' AND '),
  }
  const isRepeat = code.usedBy === requestMac
  // Nobody has proved an unconfirmed address, so neither its keys nor its second factor are its owner's.
  const isProven = account.emailVerified
  const asksFactor = account.totp && isProven && !isRepeat
  const factor = asksFactor ? await checkSecondFactor(deps, account, input.twofa) : undefined
  const keysToo = isProven ? undefined : await replaceEveryKey(deps, account)
  await endSessionsFirst(deps, account, {
    factor,
    set: keysToo?.set ?? [],
    remove: isProven ? [] : [expr`#totp`],
    unchanged: keysToo && [keysToo.unchanged],
    writes: [bind, ...(keysToo?.writes ?? [])],
    refusedAs: 'invalid_code',
  })
  await setAtVault(deps, account, input.password, [{ update: code.key, set: expr`REMOVE #usedBy` }])
  await reopenSignIn(deps, account, [{ remove: code.key }])
}

/**
 * Ends every session before the vault is called, so that no later failure leaves a session alive. Sign-ins
 * that began earlier cannot finish, because the generation has changed, and no sign-in can finish while the
 * change is under way. Of several concurrent changes only one passes.
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
    refusedAs: 'conflict' | 'invalid_code'
  },
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const { factor, writes, refusedAs } = change
  // A reset may be sent again with the same code.
  const holder = changeHolder(account, { resetCode: refusedAs === 'invalid_code' })
  const set = setRemove(
    [
      ...holder.set,
      expr`#changingUntilMs = ${nowMs + CHANGING_MS}`,
      ...change.set,
      ...(factor ? [factor.set] : []),
    ],
    [...holder.remove, ...(change.remove ?? []), ...(factor?.remove ? [factor.remove] : [])],
  )
  const unchanged = join(
    [expr`#generation = ${account.generation} AND #status = ${'active'}`, ...(change.unchanged ?? [])],
    ' AND ',
  )
  if (account.changingUntilMs !== undefined && account.changingUntilMs > nowMs) {
    const retryAfterSeconds = Math.ceil((account.changingUntilMs - nowMs) / 1000)
    throw new DomainError('temporarily_unavailable', { retryAfterSeconds })
  }
  try {
    await writeProfile(deps, account, set, guardedBy(unchanged, factor), writes)
  } catch (error) {
    if (error instanceof ConditionFailed) throw new DomainError(refusedAs)
    throw error
  }
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
