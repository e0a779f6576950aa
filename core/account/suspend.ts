import { auditWrites } from '../audit/entry.ts'
import { changeHolder } from '../credentials/holder.ts'
import { announce } from '../events/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import type { Account, Profile } from './account.ts'
import { changeAnyAccount } from './change.ts'
import { stopPayments } from './deactivate.ts'
import { reactivate } from './reactivate.ts'

/**
 * Suspends an account: from the next request on its tokens and application keys are refused, nobody signs in, and
 * nothing is charged. Every session ends, and what a session has begun is void, such as a change of the address. Its
 * owner can lift a suspension in no way: a deactivation and a deletion wait until it ends.
 *
 * A payment that waits for its customer is canceled. One that has taken money, or is about to, is credited, because
 * crediting does not look at the status. Suspending a suspended account changes nothing.
 * @param input.silent the owner is not told by mail and notice, neither now nor when the suspension ends.
 * @returns the account as it is now
 * @throws DomainError `not_found`, `conflict`
 */
export async function suspendAccount(
  deps: MoneyDeps,
  accountId: string,
  input: { reason: string; silent: boolean },
): Promise<Account> {
  const { account, suspended } = await changeAnyAccount(deps, accountId, (each) =>
    suspendOnce(deps, each, input),
  )
  // Also for a repeat, because the first copy of the request may have ended early.
  await stopPayments(deps, account)
  return suspended
}

/** @returns the account as it was, with the payment and the verification that were open, and as it is now. */
async function suspendOnce(
  deps: MoneyDeps,
  account: Account,
  { reason, silent }: { reason: string; silent: boolean },
): Promise<{ account: Account; suspended: Account }> {
  if (account.status === 'suspended') return { account, suspended: account }
  const from = account.status === 'deactivated' ? 'deactivated' : 'active'
  const suspension = { atMs: deps.clock.nowMs(), from, silent } as const
  // What no session has begun stays. It cannot let anybody in before the suspension ends.
  const { set, remove } = changeHolder(account, { addressMove: true })
  await deps.table.transact([
    {
      update: keys.profile(account.id),
      set: setRemove(
        [
          ...set,
          expr`#status = ${'suspended'}, #suspension = ${suspension}, #updatedAtMs = ${suspension.atMs}`,
        ],
        remove,
      ),
      if: join(
        [expr`#status = ${account.status}`, unchangedSince(account, ['openPurchase', 'openHold'])],
        ' AND ',
      ),
    },
    // Consumes read the counter only, so the block is stored there too.
    { update: keys.quota(account.id), set: expr`SET #x = ${'suspended'}` },
    ...(silent ? [] : tellOwner(deps, account, 'suspended')),
    announce(deps, account.id, 'account.suspended', { from }),
    ...auditWrites(deps, {
      action: 'operator.suspended',
      accountId: account.id,
      reason,
      before: { status: from },
      after: { status: 'suspended', silent },
    }),
  ])
  return { account, suspended: { ...account, status: 'suspended', suspension } }
}

/**
 * Ends a suspension: the account is again what it was before, active or deactivated, with its units, its settings and
 * the time at which it is to be erased, if it was deleted. Whether a bundle that ran out meanwhile is renewed is
 * decided anew. Its sessions stay ended. An account that is not suspended stays as it is.
 * @returns the account as it is now
 * @throws DomainError `not_found`, `conflict`
 */
export const resumeAccount = (deps: Deps<'table'>, accountId: string, reason: string): Promise<Account> =>
  changeAnyAccount(deps, accountId, async (account) => {
    if (account.status !== 'suspended') return account
    const { suspension } = account
    const status = suspension?.from ?? 'active'
    const { set, remove, unchanged, writes } = resumption(deps, account, status)
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: setRemove(set, [...remove, expr`#suspension`]),
        if: join(
          [expr`#status = ${'suspended'}`, unchangedSince(account, ['suspension']), unchanged],
          ' AND ',
        ),
      },
      ...writes,
      announce(deps, account.id, 'account.resumed', { status }),
      ...auditWrites(deps, {
        action: 'operator.resumed',
        accountId: account.id,
        reason,
        before: { status: 'suspended' },
        after: { status },
      }),
    ])
    return { ...account, status, suspension: undefined }
  })

/** What brings back the status that the account had before. */
function resumption(
  deps: Deps,
  account: Profile,
  status: 'active' | 'deactivated',
): Omit<ReturnType<typeof reactivate>, 'writes'> & { writes: Write[] } {
  const isTold = account.suspension?.silent !== true
  if (status === 'active') return reactivate(deps, account, isTold ? 'resumed' : 'nothing')
  return {
    set: [expr`#status = ${status}, #updatedAtMs = ${deps.clock.nowMs()}`],
    remove: [],
    unchanged: unchangedSince(account, ['eraseAtMs']),
    writes: [
      { update: keys.quota(account.id), set: expr`SET #x = ${status}` },
      ...(isTold ? tellOwner(deps, account, 'resumed') : []),
    ],
  }
}
