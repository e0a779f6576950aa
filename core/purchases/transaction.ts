import { type Profile, parseProfile } from '../account/account.ts'
import type { StoredCard } from '../cards/stored.ts'
import { readStoredCard } from '../cards/sync.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { type Purchase, readPurchase } from './purchase.ts'

/** Attempts of a transaction that loses races with other writers of the account. */
const PURCHASE_WRITE_ATTEMPTS = 10

/**
 * Writes a step of a purchase as an optimistic transaction: reads the profile and the card, and retries after
 * a lost race.
 * @param build makes the writes. The first write must change the purchase, on the condition that the step is
 *   not done yet.
 * @returns undefined if the step was written; else the purchase as a concurrent writer left it.
 * @throws DomainError `temporarily_unavailable` after too many lost races
 */
export async function transactPurchase(
  deps: Deps<'table'>,
  { accountId, id, cardId }: Pick<Purchase, 'accountId' | 'id' | 'cardId'>,
  build: (profile: Profile, card: StoredCard | undefined) => Promise<Write[]> | Write[],
): Promise<Purchase | undefined> {
  for (let tries = 0; tries < PURCHASE_WRITE_ATTEMPTS; tries++) {
    const item = await deps.table.get(keys.profile(accountId))
    if (!item) throw new Error('a purchase has no account')
    const writes = await build(parseProfile(item), await readStoredCard(deps, accountId, cardId))
    try {
      await deps.table.transact(writes)
      return undefined
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      if (!error.failed.has(0)) continue
      const now = await readPurchase(deps, accountId, id)
      if (!now) throw error
      return now
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** The profile's attribute to remove so that the slot is free; none if another purchase has the slot. */
export const slotToFree = ({ openPurchase }: Profile, purchaseId: string): Expression[] =>
  openPurchase === purchaseId ? [expr`#openPurchase`] : []
