import type { Deps, PaymentCard } from '../ports.ts'
import { dueAt, keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import type { Write } from '../table/table.ts'
import { writeAll, writeWithEvent } from '../table/write-all.ts'
import { requireKnownCustomer } from './absence.ts'
import { syncCustomer } from './customer.ts'
import { cardAdded, cardGone } from './events.ts'
import { listLiveCards } from './on-file.ts'
import { replacedCard } from './replaced.ts'
import { cardItem, cardTombstone, parseStoredCard, type StoredCard, unchangedCard } from './stored.ts'
import { retireTwins, twinsOf } from './twins.ts'

/**
 * Brings Bursar's copy of a card up to date, whatever the order of its events. The version is read before the
 * provider is asked, so that of two concurrent readings the older one cannot replace the newer one. A card
 * whose details have changed is a new card to its bank: what was remembered about the old one is forgotten. A
 * card that is gone may have been the default card, so another card takes its place.
 * `eventDone` is written in the same transaction as the last change.
 * @throws DomainError `temporarily_unavailable` after too many lost races, and if neither the card nor its
 *   customer can be read
 */
export async function syncCard(
  deps: Deps<'table' | 'payments'>,
  owner: { accountId: string; customerId: string },
  cardId: string,
  eventDone: readonly Write[] = [],
): Promise<void> {
  const { accountId, customerId } = owner
  const sync = async () => {
    const stored = await readStoredCard(deps, accountId, cardId)
    const card = await deps.payments.readCard(cardId)
    if (!card) await requireKnownCustomer(deps, customerId)
    const attached = card?.customerId === customerId
    const copy = attached
      ? await attachedCopy(deps, accountId, card, stored)
      : goneCopy(deps, accountId, cardId, stored)
    if (attached) return writeWithEvent(deps, copy, eventDone)
    await writeAll(deps, copy)
    // Once a card is detached, the provider does not show any more that it was the default card.
    await syncCustomer(deps, accountId, customerId, eventDone, cardId)
  }
  return retryRaces(deps, sync, 'temporarily_unavailable')
}

async function attachedCopy(
  deps: Deps<'table'>,
  accountId: string,
  card: PaymentCard,
  stored: StoredCard | undefined,
): Promise<Write[]> {
  if (stored?.removing) return []
  const { last, writes } = await replacedCard(deps, accountId, card, stored)
  const item = cardItem(accountId, card, last)
  if (stored?.card) return [{ put: item, if: unchangedCard(stored) }, ...writes]
  // A card that is new on file replaces an older entry of the same card; the sweep detaches the older one.
  const twins = twinsOf(await listLiveCards(deps, accountId), card)
  const isOlder = twins.some((twin) => twin.card.createdMs > card.createdMs)
  const due = dueAt('CARD', accountId, deps.clock.nowMs())
  return [
    { put: isOlder ? { ...item, removing: true, ...due } : item, if: unchangedCard(stored) },
    ...(isOlder ? [] : retireTwins(deps, accountId, twins)),
    ...(isOlder ? [] : cardAdded(deps, accountId, card.id, stored)),
  ]
}

/** A card that was never on file gets a tombstone too: an older reading must not put it on file. */
function goneCopy(deps: Deps, accountId: string, cardId: string, stored: StoredCard | undefined): Write[] {
  if (stored && !stored.card) return []
  const item = cardTombstone(accountId, cardId, stored?.version ?? 0, deps.clock.nowMs())
  return [{ put: item, if: unchangedCard(stored) }, ...cardGone(deps, accountId, stored)]
}

export async function readStoredCard(
  deps: Deps<'table'>,
  accountId: string,
  cardId: string,
): Promise<StoredCard | undefined> {
  const item = await deps.table.get(keys.card(accountId, cardId))
  return item && parseStoredCard(item)
}
