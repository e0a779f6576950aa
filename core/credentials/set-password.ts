import type { Profile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ignoreRefusal, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { changeHolder } from './holder.ts'
import { recoveryStopped } from './recovery-state.ts'
import { guardedBy, type SecondFactor } from './two-factor.ts'

/**
 * How long a password change keeps sign-ins from finishing. This is longer than any function of a request may run, so that
 * no request can still be calling the vault afterwards.
 */
export const CHANGING_MS = 30_000

/** What a profile keeps of a password that the vault does not know yet (`first-password.ts`). */
export const FIRST_PASSWORD = expr`#importedPassword, #registeredPassword`

/** The condition that no password is on its way to the vault. */
export const isUnchanging = (nowMs: number): Expression =>
  expr`(attribute_not_exists(#changingUntilMs) OR #changingUntilMs <= ${nowMs})`

/** @throws DomainError `temporarily_unavailable` while an earlier change may still be at the vault */
export function requireNoChange(deps: Deps, { changingUntilMs = 0 }: Profile): void {
  const waitMs = changingUntilMs - deps.clock.nowMs()
  if (waitMs > 0)
    throw new DomainError('temporarily_unavailable', { retryAfterSeconds: Math.ceil(waitMs / 1000) })
}

/**
 * Ends every session before the vault is called, so that no later failure leaves a session alive. Sign-ins
 * that began earlier cannot finish, because the generation has changed, and no sign-in can finish while the
 * change is under way. Of several concurrent changes only one passes, and none while the first password is on its way to
 * the vault. What the profile keeps of that goes, unless another takes its place.
 * @throws ConditionFailed if the account or the code has changed
 * @throws DomainError `temporarily_unavailable` while an earlier change may still be at the vault
 */
export async function endSessionsFirst(
  deps: Deps<'table'>,
  account: Profile,
  change: {
    factor: SecondFactor | undefined
    set: Expression[]
    remove?: Expression[]
    /** The sealed password of an account whose address nobody has confirmed, which has none at the vault. */
    waiting?: string | undefined
    /** Further conditions on the profile. */
    unchanged?: Expression[] | undefined
    writes: Write[]
    /** What stays because the same request may be sent again. */
    keep?: { resetCode?: boolean; recovery?: boolean }
  },
): Promise<void> {
  const nowMs = deps.clock.nowMs()
  const { factor, waiting, keep = {} } = change
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
      ...(waiting === undefined ? [] : [expr`#registeredPassword = ${waiting}`]),
      ...(factor ? [factor.set] : []),
    ],
    // No device has signed in with the new password yet.
    [
      ...holder.remove,
      expr`#devices`,
      ...(waiting === undefined ? [FIRST_PASSWORD] : []),
      ...(change.remove ?? []),
      ...(factor?.remove ? [factor.remove] : []),
    ],
  )
  const unchanged = join(
    [
      expr`#generation = ${account.generation} AND #status = ${account.status}`,
      isUnchanging(nowMs),
      ...(change.unchanged ?? []),
    ],
    ' AND ',
  )
  requireNoChange(deps, account)
  await writeAll(deps, [
    { update: keys.profile(account.id), set, if: guardedBy(unchanged, factor) },
    ...writes,
  ])
}

/**
 * Sets the password at the vault, which may have lost its user: it cannot be taken along to another region. If the vault refuses the password, sign-ins may finish, the code may be used
 * again, and the owner is not told of a change. After any other error the vault may still be at work, so sign-ins stay blocked for
 * `CHANGING_MS`.
 */
export async function setAtVault(
  deps: Deps<'table' | 'identity'>,
  account: Profile,
  password: string,
  onRefusal: Write[],
): Promise<void> {
  try {
    if (account.unenrolled || !(await isSet(deps, account.id, password)))
      await deps.identity.enroll(account.id, password)
  } catch (error) {
    if (error instanceof DomainError && error.code === 'password_refused')
      await reopenSignIn(deps, account, onRefusal)
    throw error
  }
}

/** @returns false if the vault has no user of the account. */
const isSet = (deps: Deps<'identity'>, accountId: string, password: string): Promise<boolean> =>
  deps.identity.setPassword(accountId, password).then(
    () => true,
    (error: unknown) => {
      if (error instanceof DomainError && error.code === 'not_found') return false
      throw error
    },
  )

/**
 * Allows sign-ins again, unless a later change has begun, and makes further changes of the profile.
 * @returns false if a later change has begun, or if one of `more.unchanged` fails.
 */
export async function reopenSignIn(
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

export const touched = (deps: Deps): Expression => expr`#updatedAtMs = ${deps.clock.nowMs()}`
