import {
  type Account,
  isNobodys,
  readAccount,
  requireActive,
  type SessionCaller,
} from '../account/account.ts'
import { changeSession } from '../account/change.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { readRecoveryLink } from '../notifications/recovery-link.ts'
import { tellOwner } from '../notifications/security.ts'
import { trustAddress } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { attr, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { addressMoveKey, keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { checkCode } from './codes.ts'
import { type GivenProof, isPasswordOf, isRecentSession, type ProofDeps } from './proof.ts'
import { waitingBegun } from './recovery-news.ts'
import { openRecovery, recoveryStopped } from './recovery-state.ts'
import { guardedBy, hasSecondFactor, type SecondFactor, withFactor, withSecondFactor } from './two-factor.ts'

/**
 * The way back for an owner who has lost the authenticator and the recovery codes. A mailed code begins it. For 72
 * hours it is announced at once, every day and at every sign-in, and whoever has a factor can stop it; then another
 * mailed code finishes it (`finishRecovery` in reset.ts). So a mailbox alone opens the account only if its owner
 * does not look for three days.
 */

/** Recoveries of an account that may begin within a week, however they end. Each announces itself by mail. */
const RECOVERIES_A_WEEK = 3
const WEEK_MS = 7 * DAY_MS

/**
 * Begins a recovery with a mailed code. A repeat is no error, and neither restarts nor shortens the wait.
 * @throws DomainError `invalid_code`; for a right code `account_suspended`, and `too_many_changes` with the seconds
 *   until another recovery may begin
 */
export async function beginRecovery(deps: Deps<'table' | 'keyring'>, typed: string): Promise<void> {
  await retryRaces(deps, async () => {
    const code = await checkCode(deps, ['begin-recovery'], typed)
    const account = await readAccount(deps, code.accountId)
    if (!account || isNobodys(account)) throw new DomainError('invalid_code')
    if (account.status === 'suspended') requireActive(account)
    if (code.isDone) return
    if (account.recoveryCode !== code.lookup || !hasSecondFactor(account))
      throw new DomainError('invalid_code')
    const nowMs = deps.clock.nowMs()
    const done: Write = {
      update: code.key,
      set: expr`SET #done = ${true}`,
      if: join([code.usable, expr`attribute_not_exists(#done)`], ' AND '),
    }
    // Another code has begun one: the wait goes on as it is.
    const begun = openRecovery(account, nowMs) ? [] : beginning(deps, account, nowMs)
    const audited = auditWrites(deps, { accountId: account.id, action: 'account.recovery-begun' })
    try {
      await deps.table.transact([done, ...begun, ...(begun.length > 0 ? audited : [])])
    } catch (error) {
      // If the account has changed, the recovery may still begin.
      if (!(error instanceof ConditionFailed) || !error.failed.has(0)) throw error
      if (!(await checkCode(deps, ['begin-recovery'], typed)).isDone) throw new DomainError('invalid_code')
    }
  })
}

/** @throws DomainError `too_many_changes` */
function beginning(deps: Deps, account: Account, nowMs: number): Write[] {
  const { id: accountId, recoveryCode, generation } = account
  const recent = (account.recoveriesMs ?? []).filter((atMs) => atMs > nowMs - WEEK_MS)
  const [oldest = nowMs] = recent
  if (recent.length >= RECOVERIES_A_WEEK)
    throw new DomainError('too_many_changes', {
      detail: `An account may be recovered ${RECOVERIES_A_WEEK} times a week. Try again after the time in Retry-After.`,
      retryAfterSeconds: Math.ceil((oldest + WEEK_MS - nowMs) / 1000),
    })
  const recovery = { beganAtMs: nowMs }
  // The code has arrived, so mail does, and the announcements are not held back.
  const trusted = trustAddress(nowMs, {}, account)
  const open = openRecovery({ recovery }, nowMs)
  return [
    {
      update: keys.profile(accountId),
      set: setRemove(
        [expr`#recovery = ${recovery}, #recoveriesMs = ${[...recent, nowMs]}`, ...trusted.set],
        trusted.remove,
      ),
      if: join(
        [
          expr`#recoveryCode = ${recoveryCode} AND #generation = ${generation} AND #status = ${account.status}`,
          unchangedSince(account, ['recovery', 'recoveriesMs']),
        ],
        ' AND ',
      ),
    },
    ...(open ? waitingBegun(deps, account, 'recovery', open) : []),
    ...trusted.writes,
  ]
}

/**
 * Stops a recovery, or a change of the address that an operator has begun, with the link of a mail about it. What has
 * stopped before is no error.
 * @throws DomainError `invalid_code`, also for a recovery that was finished
 */
export async function stopRecoveryByLink(deps: Deps<'table' | 'keyring'>, code: string): Promise<void> {
  const link = readRecoveryLink(deps, code)
  if (!link) throw new DomainError('invalid_code')
  await retryRaces(deps, async () => {
    const account = await readAccount(deps, link.accountId)
    if (link.what === 'address') {
      if (account?.addressMove?.beganAtMs === link.beganAtMs) await keepAddress(deps, account)
      return
    }
    if (!account || account.recoveredFrom === link.beganAtMs) throw new DomainError('invalid_code')
    if (account.recovery?.beganAtMs === link.beganAtMs) await keepFactors(deps, account)
  })
}

/**
 * Ends the account's recovery unfinished, and tells the owner.
 * @param more further writes of the transaction
 * @throws ConditionFailed if the recovery has changed since it was read
 */
export const keepFactors = (deps: Deps<'table'>, account: Account, more: Write[] = []): Promise<void> =>
  deps.table.transact([
    {
      update: keys.profile(account.id),
      set: expr`REMOVE #recovery, #recoveryCode`,
      if: unchangedSince(account, ['recovery', 'recoveredFrom']),
    },
    ...recoveryStopped(deps, account),
    ...more,
  ])

/**
 * Ends the change of the account's address that an operator has begun, and tells the owner.
 * @param more as for `keepFactors`
 * @throws ConditionFailed if the change has ended since it was read
 */
export const keepAddress = (deps: Deps<'table'>, account: Account, more: Write[] = []): Promise<void> =>
  deps.table.transact([
    {
      update: keys.profile(account.id),
      set: expr`REMOVE #addressMove`,
      if: unchangedSince(account, ['addressMove']),
    },
    { remove: addressMoveKey(account.id) },
    ...tellOwner(deps, account, 'address-kept'),
    ...more,
  ])

/**
 * Stops the caller's recovery. The proof is any of: a session that is recent, a two-factor code, or the password,
 * because whoever recovers the account has none of them.
 * @throws DomainError `reauthentication_required`, `wrong_password`, `two_factor_*`, `session_ended`, `conflict`
 */
export async function stopRecovery(
  deps: ProofDeps,
  caller: SessionCaller,
  { password, twofa }: GivenProof,
): Promise<void> {
  const hasCode = twofa !== undefined && hasSecondFactor(caller.account)
  if (!isRecentSession(deps, caller) && password === undefined && !hasCode)
    throw new DomainError('reauthentication_required', {
      detail: 'This needs your password or a two-factor code in the body, or a new sign-in.',
    })
  if (password !== undefined && !(await isPasswordOf(deps, caller.account, password)))
    throw new DomainError('wrong_password')
  await changeSession(deps, caller, async ({ account, sessionId }) => {
    // Without a recovery there is nothing that a code would have to be used up for.
    if (!account.recovery) return
    const stop = (factor?: SecondFactor) => endRecovery(deps, account, sessionId, factor)
    if (twofa === undefined || !hasSecondFactor(account)) await stop()
    else await withSecondFactor(deps, account, twofa, stop)
  })
}

async function endRecovery(
  deps: Deps<'table'>,
  account: Account,
  sessionId: string,
  factor: SecondFactor | undefined,
): Promise<void> {
  const set = expr`SET #updatedAtMs = ${deps.clock.nowMs()}`
  const live = expr`attribute_exists(#sessions.${attr(sessionId)})`
  const same = unchangedSince(account, ['recovery'])
  await deps.table.transact([
    {
      update: keys.profile(account.id),
      set: factor ? withFactor(set, factor) : join([set, expr`#recovery, #recoveryCode`], ' REMOVE '),
      if: guardedBy(join([live, same], ' AND '), factor),
    },
    ...(factor?.writes ?? []),
    ...recoveryStopped(deps, account),
  ])
}
