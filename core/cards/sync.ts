import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll } from './customer.ts'
import { cardItem, parseStoredCard, type StoredCard, tombstone } from './stored.ts'

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
    } else if (!attached && stored && (stored.card || stored.removing)) {
      const item = tombstone(owner.accountId, cardId, stored.version, deps.clock.nowMs())
      copy.push({ put: item, if: unchanged(stored) })
    }
    try {
      return await writeAll(deps, [...copy, ...marks])
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // A mark that is there already: another delivery has done this work.
      if (copy.length === 0 || !error.failed.has(0)) return
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

export const unchanged = (stored: StoredCard | undefined) =>
  stored ? expr`#version = ${stored.version}` : expr`attribute_not_exists(pk)`
