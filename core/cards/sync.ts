import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { cardItem, parseStoredCard, type StoredCard, tombstone, unchanged } from './stored.ts'

const TRIES = 10

/**
 * Makes our copy of a card what the provider says now, whatever order its events come in: the version is read
 * before the provider is asked, so of two readings at once the one that began first cannot overwrite the other.
 * `marks` are written in the same transaction.
 */
export async function syncCard(
  deps: Deps<'table' | 'payments'>,
  owner: { accountId: string; customerId: string },
  cardId: string,
  marks: readonly Write[] = [],
): Promise<void> {
  for (let tries = 0; tries < TRIES; tries++) {
    const stored = await readCard(deps, owner.accountId, cardId)
    const card = await deps.payments.readCard(cardId)
    const attached = card?.customerId === owner.customerId
    const copy: Write[] = []
    if (attached && !stored?.removing) {
      copy.push({ put: cardItem(owner.accountId, card, stored), if: unchanged(stored) })
    } else if (!attached && (!stored || stored.card)) {
      // One that we never had too: an older reading, which has it, must not win.
      const item = tombstone(owner.accountId, cardId, stored?.version ?? 0, deps.clock.nowMs())
      copy.push({ put: item, if: unchanged(stored) })
    }
    try {
      return await writeAll(deps, [...copy, ...marks])
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // A mark that is there already: another delivery has done this work.
      if (marks.length > 0 && error.failed.has(copy.length)) return
    }
  }
  throw new DomainError('temporarily_unavailable')
}

export async function readCard(
  deps: Deps<'table'>,
  accountId: string,
  cardId: string,
): Promise<StoredCard | undefined> {
  const item = await deps.table.get(keys.card(accountId, cardId))
  return item && parseStoredCard(item)
}
