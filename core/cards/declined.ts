import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { isLiveCard, type StoredCard, unchangedCard } from './stored.ts'

/** Writes that mark a card on file as declined by the bank, or remove the mark; none if nothing changes. */
export function markDeclined(accountId: string, card: StoredCard | undefined, declined: boolean): Write[] {
  if (!isLiveCard(card) || (card.declined ?? false) === declined) return []
  return [
    {
      update: keys.card(accountId, card.cardId),
      set: declined
        ? expr`SET #version = ${card.version + 1}, #declined = ${true}`
        : expr`SET #version = ${card.version + 1} REMOVE #declined`,
      if: unchangedCard(card),
    },
  ]
}
