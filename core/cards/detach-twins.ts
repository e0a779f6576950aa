import { parseProfile } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { isOpen, readPurchase } from '../purchases/purchase.ts'
import { keys } from '../table/keys.ts'
import { parseHold } from './hold.ts'
import { finishRemoval } from './remove.ts'
import type { StoredCard } from './stored.ts'

/** Detaches retired twins at the provider, unless a payment with them is open; then a job detaches them. */
export async function detachTwins(
  deps: Deps<'table' | 'payments'>,
  owner: { accountId: string; customerId: string },
  twins: readonly StoredCard[],
): Promise<void> {
  for (const { cardId } of twins) {
    try {
      if (await isInPayment(deps, owner.accountId, cardId)) continue
      await finishRemoval(deps, owner, cardId)
    } catch (error) {
      deps.log.warn('an older entry of a card could not be detached; the job sweep will retry it', error, {
        accountId: owner.accountId,
        cardId,
      })
    }
  }
}

/** Whether an open purchase or verification uses the card, so that it must stay attached. */
export async function isInPayment(deps: Deps<'table'>, accountId: string, cardId: string): Promise<boolean> {
  const item = await deps.table.get(keys.profile(accountId))
  const { openPurchase, openHold } = item ? parseProfile(item) : {}
  const purchase = openPurchase === undefined ? undefined : await readPurchase(deps, accountId, openPurchase)
  if (purchase && isOpen(purchase) && purchase.cardId === cardId) return true
  const hold = openHold === undefined ? undefined : await deps.table.get(keys.hold(accountId, openHold))
  return hold !== undefined && parseHold(hold).cardId === cardId
}
