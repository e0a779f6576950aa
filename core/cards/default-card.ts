import type { LiveCard } from './stored.ts'

/** Whether a charge can succeed as far as we know: neither declined nor expired. */
const isUsable = ({ card, declined, closed }: LiveCard, nowMs: number): boolean =>
  !declined && !closed && nowMs < Date.UTC(card.expYear, card.expMonth)

/**
 * The cards that may take the place of a default card that is gone, best first: a newer entry of the same card,
 * usable cards before others, any other before the former default card itself, newer ones before older ones.
 * @param former the id of the default card, and its fingerprint if a newer entry of it should be preferred.
 */
export function successors(
  cards: readonly LiveCard[],
  former: { id: string | undefined; fingerprint?: string | undefined },
  nowMs: number,
): LiveCard[] {
  const isSame = ({ card }: LiveCard) =>
    former.fingerprint !== undefined && card.fingerprint === former.fingerprint
  const rank = (each: LiveCard) =>
    (isSame(each) ? 4 : 0) + (isUsable(each, nowMs) ? 2 : 0) + (each.cardId === former.id ? 0 : 1)
  return cards.toSorted((a, b) => rank(b) - rank(a) || b.card.createdMs - a.card.createdMs)
}
