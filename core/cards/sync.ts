import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { requireKnownCustomer } from './absence.ts'
import { cardItem, cardTombstone, parseStoredCard, type StoredCard, unchangedCard } from './stored.ts'

const CARD_SYNC_ATTEMPTS = 10

/**
 * Brings Bursar's copy of a card up to date, whatever the order of its events. The version is read before the
 * provider is asked, so that of two concurrent readings the older one cannot replace the newer one.
 * `eventDone` is written in the same transaction.
 * @throws DomainError `temporarily_unavailable` after too many lost races, and if neither the card nor its
 *   customer can be read
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
    if (!card) await requireKnownCustomer(deps, owner.customerId)
    const attached = card?.customerId === owner.customerId
    const copy: Write[] = []
    if (attached && !stored?.removing) {
      copy.push({ put: cardItem(owner.accountId, card, stored), if: unchangedCard(stored) })
    } else if (!attached && (!stored || stored.card)) {
      // A card that was never on file gets a tombstone too: an older reading must not put it on file.
      const item = cardTombstone(owner.accountId, cardId, stored?.version ?? 0, deps.clock.nowMs())
      copy.push({ put: item, if: unchangedCard(stored) })
    }
    try {
      return await writeAll(deps, [...copy, ...eventDone])
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // The event is marked as done already: another delivery has done this work.
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
