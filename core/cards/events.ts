import { announce } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import type { Write } from '../table/table.ts'
import { isLiveCard, type StoredCard } from './stored.ts'

/** The event of a card that is put on file; none if it is there already. */
export const cardAdded = (
  deps: Deps,
  accountId: string,
  cardId: string,
  before: StoredCard | undefined,
): Write[] => (isLiveCard(before) ? [] : [announce(deps, accountId, 'card.added', { cardId })])

/** The event of a card that is off the account; none if it was before. */
export const cardGone = (deps: Deps, accountId: string, before: StoredCard | undefined): Write[] =>
  isLiveCard(before) ? [announce(deps, accountId, 'card.removed', { cardId: before.cardId })] : []

/** The event of another default card, or of none; no event if it is the same. */
export const defaultCardChanged = (
  deps: Deps,
  accountId: string,
  before: string | undefined,
  cardId: string | undefined,
): Write[] => (before === cardId ? [] : [announce(deps, accountId, 'card.default_changed', { cardId })])
