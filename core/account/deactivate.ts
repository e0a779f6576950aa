import { stopVerification } from '../cards/verify.ts'
import { changeHolder } from '../credentials/holder.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import type { MoneyDeps } from '../ports.ts'
import { settleAbandonedPurchase } from '../purchases/advance.ts'
import { isOpen, readPurchase } from '../purchases/purchase.ts'
import { expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Account } from './account.ts'
import { changeAccount } from './change.ts'

/**
 * Blocks the account and keeps its data. Every session ends for good: restoring the account revives none of
 * them. A payment or a verification that waits for its customer is canceled at the provider; if it has just
 * succeeded, it counts.
 * @throws DomainError `account_suspended`, `conflict`
 */
export async function deactivateAccount(deps: MoneyDeps, caller: Account): Promise<void> {
  await blockAccount(deps, caller).then(
    (account) => stopPayments(deps, account),
    (error: unknown) => {
      // A concurrent copy of this request was first.
      if (!(error instanceof DomainError && error.code === 'account_deactivated')) throw error
    },
  )
}

/** @returns the account with the payment and the verification that were open at that moment. */
function blockAccount(deps: MoneyDeps, caller: Account): Promise<Account> {
  return changeAccount(deps, caller, async (account) => {
    const { set, remove } = changeHolder(account)
    const deactivated = expr`#status = ${'deactivated'}, #updatedAtMs = ${deps.clock.nowMs()}`
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: setRemove([...set, deactivated], remove),
        if: join(
          [expr`#status = ${'active'}`, unchangedSince(account, ['openPurchase', 'openHold'])],
          ' AND ',
        ),
      },
      // Consumes read the counter only, so the block is stored there too.
      { update: keys.quota(account.id), set: expr`SET #x = ${'deactivated'}` },
      ...tellOwner(deps, account, 'deactivated'),
      announce(deps, account.id, 'account.deactivated', {}),
    ])
    return account
  })
}

/**
 * Cancels what may still take money of a deactivated account. If the provider does not answer, settle-payments
 * and the sweep cancel it.
 */
export async function stopPayments(deps: MoneyDeps, account: Account): Promise<void> {
  const { id: accountId, openPurchase } = account
  const stop = async () => {
    const open = openPurchase === undefined ? undefined : await readPurchase(deps, accountId, openPurchase)
    if (open && isOpen(open)) await settleAbandonedPurchase(deps, open, true)
    await stopVerification(deps, account)
  }
  await stop().catch((error: unknown) => {
    const what = 'a payment of a deactivated account could not be canceled; a job will cancel it'
    deps.log.warn(what, error, { accountId })
  })
}
