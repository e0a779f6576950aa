import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { cardItem, cardTombstone, parseStoredCard, type StoredCard, unchangedCard } from './stored.ts'

const CARD_SYNC_ATTEMPTS = 10

/**
 * Makes our copy of a card what the provider says now, whatever order its events come in: the version is read
 * before the provider is asked, so of two readings at once the one that began first cannot overwrite the other.
 * `marks` are written in the same transaction.
 */
export async function syncCard(
  deps: Deps<'table' | 'payments'>,
  owner: { accountId: string; customerId: string },
  cardId: string,
  eventDone: readonly Write[] = [],
): Promise<void> {
  for (let tries = 0; tries < CARD_SYNC_ATTEMPTS; tries++) {
    const stored = await readStoredCard(deps, owner.accountId, cardId)
    const card = await deps.payments.readCard(cardId)
    const attached = card?.customerId === owner.customerId
    const copy: Write[] = []
    if (attached && !stored?.removing) {
      copy.push({ put: cardItem(owner.accountId, card, stored), if: unchangedCard(stored) })
    } else if (!attached && (!stored || stored.card)) {
      // One that we never had too: an older reading, which has it, must not win.
      const item = cardTombstone(owner.accountId, cardId, stored?.version ?? 0, deps.clock.nowMs())
      copy.push({ put: item, if: unchangedCard(stored) })
    }
    try {
      return await writeAll(deps, [...copy, ...eventDone])
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // A mark that is there already: another delivery has done this work.
      if (eventDone.length > 0 && error.failed.has(copy.length)) return
    }
  }
  throw new DomainError('temporarily_unavailable')
}

export async function readStoredCard(
  deps: Deps<'table'>,
  accountId: string,
  cardId: string,
): Promise<StoredCard | undefined> {
  const item = await deps.table.get(keys.card(accountId, cardId))
  return item && parseStoredCard(item)
}
