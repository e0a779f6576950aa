import type { Account } from '../account/account.ts'
import { changeAnyAccount } from '../account/change.ts'
import { auditWrites } from '../audit/entry.ts'
import { reasonWith } from '../audit/proved.ts'
import { DomainError } from '../errors.ts'
import { isUndeliverable } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { expr, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { keepFactors } from './recovery.ts'
import { waitingBegun } from './recovery-news.ts'
import { openRecovery } from './recovery-state.ts'
import { hasSecondFactor, switchFactorsOff } from './two-factor.ts'

/**
 * Where the reset of an account's second factors stands. `off`: signing in needs the password alone. `waiting`: until
 * the time, epoch ms, the owner can stop it; `by` says who has begun it, and a recovery that the owner has begun is
 * the owner's to finish.
 */
export type FactorsReset =
  | { state: 'off' }
  | { state: 'waiting'; by: 'operator' | 'owner'; finishesAtMs: number }

/**
 * Switches the second factors of an account off, for an owner who has lost them: after 72 hours in which the owner's
 * address is told every day and can stop it by a link, as in a recovery; or at once, if the operator has another proof
 * of who asks, which the audit log keeps. The password, the application keys and the units stay.
 * @param input.proof how else the operator knows that it is the owner who asks, in words.
 * @throws DomainError `not_found`; `conflict`, also without a proof if mail to the account does not arrive
 */
export const resetFactors = (
  deps: Deps<'table'>,
  accountId: string,
  input: { reason: string; proof?: string | undefined },
): Promise<FactorsReset> => changeAnyAccount(deps, accountId, (account) => resetOnce(deps, account, input))

async function resetOnce(
  deps: Deps<'table'>,
  account: Account,
  { reason, proof }: { reason: string; proof?: string | undefined },
): Promise<FactorsReset> {
  if (!hasSecondFactor(account)) return { state: 'off' }
  const record = (action: 'operator.two_factor_reset' | 'operator.two_factor_reset_begun', twofa: boolean) =>
    auditWrites(deps, {
      action,
      accountId: account.id,
      reason: reasonWith(reason, proof),
      before: { twofa: true },
      after: { twofa },
    })
  if (proof !== undefined) {
    await deps.table.transact([
      ...switchFactorsOff(deps, account),
      ...record('operator.two_factor_reset', false),
    ])
    return { state: 'off' }
  }
  const beganAtMs = deps.clock.nowMs()
  const known = openRecovery(account, beganAtMs)
  if (known) return { state: 'waiting', by: known.by ?? 'owner', finishesAtMs: known.finishesAtMs }
  if (isUndeliverable(account))
    throw new DomainError('conflict', {
      detail: 'Mail to the account does not arrive, so its owner would not learn of it: this needs a proof.',
    })
  const recovery = { beganAtMs, by: 'operator' } as const
  const open = openRecovery({ recovery }, beganAtMs)
  if (!open) throw new Error('a recovery that has just begun is open')
  await deps.table.transact([
    {
      update: keys.profile(account.id),
      set: expr`SET #recovery = ${recovery}, #updatedAtMs = ${beganAtMs}`,
      if: unchangedSince(account, ['recovery', 'totp', 'generation', 'email', 'status']),
    },
    ...waitingBegun(deps, account, 'recovery', open),
    ...record('operator.two_factor_reset_begun', true),
  ])
  return { state: 'waiting', by: 'operator', finishesAtMs: open.finishesAtMs }
}

/**
 * Stops the recovery of an account, whoever has begun it, and tells the owner. Without one it does nothing.
 * @throws DomainError `not_found`, `conflict`
 */
export const stopFactorsReset = (deps: Deps<'table'>, accountId: string, reason: string): Promise<void> =>
  changeAnyAccount(deps, accountId, async (account) => {
    if (!account.recovery) return
    const begunBy = account.recovery.by ?? 'owner'
    await keepFactors(
      deps,
      account,
      auditWrites(deps, {
        action: 'operator.two_factor_reset_stopped',
        accountId: account.id,
        reason,
        before: { begunBy },
      }),
    )
  })
