import { auditWrites } from '../audit/entry.ts'
import { changeHolder } from '../credentials/holder.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import type { Deps, MoneyDeps } from '../ports.ts'
import { expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { type Account, readAccount } from './account.ts'
import { changeAnyAccount } from './change.ts'
import { stopPayments } from './deactivate.ts'
import { beginDeletion } from './deletion.ts'
import { type EraseDeps, eraseDue } from './erase.ts'
import { emailKey } from './fields.ts'
import { reactivate } from './reactivate.ts'

/** The ends of an account that an operator decides on: closed for 30 days and then erased, or erased at once. */

/**
 * Closes an account as its owner would delete it (`deletion.ts`). For 30 days `reopenAccount` undoes that, and so does
 * its owner by signing in. A closed account stays closed, with its time.
 * @param input.forfeits the units that were paid for are lost.
 * @returns when the account is erased, epoch ms
 * @throws DomainError `not_found`; `balance_owed`, `units_left` as `deleteAccount` does; `conflict`, also for a
 *   suspended account
 */
export async function closeAccount(
  deps: MoneyDeps,
  accountId: string,
  { reason, forfeits }: { reason: string; forfeits: boolean },
): Promise<number> {
  const { account, eraseAtMs } = await changeAnyAccount(deps, accountId, async (each) => {
    if (each.status === 'suspended') throw stillSuspended('close')
    if (each.eraseAtMs !== undefined) return { account: each, eraseAtMs: each.eraseAtMs }
    return beginDeletion(deps, each, {
      forfeits,
      told: 'closed',
      more: (closedUntilMs) => [
        ...auditWrites(deps, {
          action: 'operator.closed',
          accountId,
          reason,
          before: { status: each.status },
          after: { status: 'deactivated', eraseAtMs: closedUntilMs },
        }),
      ],
    })
  })
  // Also for a repeat, because the first copy of the request may have ended early.
  await stopPayments(deps, account)
  return eraseAtMs
}

const stillSuspended = (verb: string) =>
  new DomainError('conflict', {
    detail: `The account is suspended. End the suspension before you ${verb} the account.`,
  })

/**
 * Makes a closed account active again, or one that its owner has deactivated or deleted, and tells the owner. It lifts
 * no suspension. An active account stays active.
 * @throws DomainError `not_found`; `conflict`, also for a suspended account
 */
export const reopenAccount = (deps: Deps<'table'>, accountId: string, reason: string): Promise<void> =>
  changeAnyAccount(deps, accountId, async (account) => {
    if (account.status === 'suspended') throw stillSuspended('open')
    if (account.status === 'active') return
    const { set, remove, unchanged, writes } = reactivate(deps, account, 'reopened')
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: setRemove(set, remove),
        if: join([expr`#status = ${account.status}`, unchanged], ' AND '),
      },
      ...writes,
      ...auditWrites(deps, {
        action: 'operator.reopened',
        accountId,
        reason,
        before: {
          status: account.status,
          ...(account.eraseAtMs !== undefined && { eraseAtMs: account.eraseAtMs }),
        },
        after: { status: 'active' },
      }),
    ])
  })

/**
 * Erases an account at once, with its units and whatever it owes, and whatever its status. From the first write on
 * nothing brings it back. A payment that is under way is canceled or credited first, so the erasure may have to wait
 * for the sweep, which goes on with it.
 * @param input.confirm the account's id or e-mail address, typed again.
 * @returns whether the account is erased already
 * @throws DomainError `not_found`; `invalid_request` if what was typed is neither; `conflict`
 */
export async function eraseAccount(
  deps: MoneyDeps & EraseDeps,
  accountId: string,
  { reason, confirm }: { reason: string; confirm: string },
): Promise<boolean> {
  const account = await beginErasing(deps, accountId, { reason, confirm })
  if (account.erasedAtMs !== undefined) return true
  await stopPayments(deps, account)
  await eraseDue(deps, keys.profile(accountId)).catch((error: unknown) => {
    deps.log.warn('an account was not erased at once; the sweep erases it', error, { accountId })
  })
  return (await readAccount(deps, accountId))?.erasedAtMs !== undefined
}

/** @returns the account, with the payment and the verification that were open when the erasure began. */
async function beginErasing(
  deps: MoneyDeps,
  accountId: string,
  { reason, confirm }: { reason: string; confirm: string },
): Promise<Account> {
  const known = await readAccount(deps, accountId)
  if (!known || known.status === 'pending') throw new DomainError('not_found')
  const isTyped = confirm === known.id || (known.email !== '' && emailKey(confirm) === emailKey(known.email))
  if (!isTyped)
    throw new DomainError('invalid_request', {
      fields: [{ field: 'confirm', message: "must be the account's id or e-mail address" }],
    })
  // A repeat: the first copy of the request has begun the erasure.
  if (known.erasing || known.status === 'erased') return known
  return changeAnyAccount(deps, accountId, async (account) => {
    const eraseAtMs = deps.clock.nowMs()
    const { set, remove } = changeHolder(account)
    const { due, dueAtMs } = dueAt('ERASE', accountId, eraseAtMs)
    const { status, pendingEmail } = account
    await deps.table.transact([
      {
        update: keys.profile(accountId),
        set: setRemove(
          [
            ...set,
            expr`#status = ${'deactivated'}, #erasing = ${true}, #eraseAtMs = ${eraseAtMs}, #updatedAtMs = ${eraseAtMs}, #due = ${due}, #dueAtMs = ${dueAtMs}`,
          ],
          [...remove, expr`#suspension`],
        ),
        if: unchangedSince(account, [
          'status',
          'email',
          'pendingEmail',
          'openPurchase',
          'openHold',
          'erasing',
        ]),
      },
      // Consumes read the counter only, so the block is stored there too.
      { update: keys.quota(accountId), set: expr`SET #x = ${'deactivated'}` },
      ...(pendingEmail === undefined
        ? []
        : [{ remove: keys.addressChange(emailKey(pendingEmail), accountId) }]),
      announce(deps, accountId, 'account.closing', { eraseAtMs }),
      ...auditWrites(deps, {
        action: 'operator.erased',
        accountId,
        reason,
        before: { status },
        after: { status: 'erased' },
      }),
    ])
    return account
  })
}
