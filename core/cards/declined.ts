import type { DomainError } from '../errors.ts'
import type { Decline, Deps } from '../ports.ts'
import { type Expression, expr, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { tokenIn } from './confirmation-token.ts'
import {
  cardNumberItem,
  cardRefusal,
  closesEntry,
  closesNumber,
  isSignal,
  reachedBank,
  readCardNumber,
  restsUntilMs,
  UNKNOWN_NUMBER,
  unchangedNumber,
  withClosure,
  withDecline,
} from './number.ts'
import { listLiveCards } from './on-file.ts'
import { isLiveCard, parseStoredCard, type StoredCard, unchangedCard } from './stored.ts'

/** The marks of a card on file; a mark that is left out is removed. */
export type CardMarks = Pick<StoredCard, 'declined' | 'reason' | 'closed' | 'restsUntilMs'>

/** Writes that give a card on file these marks; none if nothing changes. */
export function markCard(accountId: string, card: StoredCard | undefined, marks: CardMarks): Write[] {
  if (!isLiveCard(card)) return []
  const { declined, reason, closed, restsUntilMs: until } = marks
  const isSame =
    card.declined === declined &&
    card.reason === reason &&
    card.closed === closed &&
    card.restsUntilMs === until
  if (isSame) return []
  const set = [
    expr`#version = ${card.version + 1}`,
    ...(declined ? [expr`#declined = ${true}`] : []),
    ...(reason === undefined ? [] : [expr`#reason = ${reason}`]),
    ...(closed ? [expr`#closed = ${true}`] : []),
    ...(until === undefined ? [] : [expr`#restsUntilMs = ${until}`]),
  ]
  const remove = [
    ...(declined ? [] : [expr`#declined`]),
    ...(reason === undefined ? [expr`#reason`] : []),
    ...(closed ? [] : [expr`#closed`]),
    ...(until === undefined ? [expr`#restsUntilMs`] : []),
  ]
  return [
    {
      update: keys.card(accountId, card.cardId),
      set: setRemove(set, remove),
      if: unchangedCard(card),
    },
  ]
}

/** Writes that mark a card on file as declined, though its number is not counted as tried. */
export const markDeclined = (accountId: string, card: StoredCard | undefined, { reason }: Decline): Write[] =>
  markCard(accountId, card, {
    ...(card && marksOf(card)),
    declined: true,
    ...(isSignal(card?.reason) ? {} : { reason }),
  })

/** Writes for a card that has just paid: it is not declined any more, unless it was reported as misused. */
export const markPaid = (accountId: string, card: StoredCard | undefined): Write[] =>
  card ? markCard(accountId, card, marksAfterProof(card)) : []

const marksOf = ({ declined, reason, closed, restsUntilMs: until }: StoredCard): CardMarks => ({
  declined,
  reason,
  closed,
  restsUntilMs: until,
})

/** The marks of a card that the bank has just accepted. A report of fraud is not for the bank to withdraw. */
export const marksAfterProof = (card: StoredCard): CardMarks =>
  isSignal(card.reason) ? marksOf(card) : { restsUntilMs: card.restsUntilMs }

/** A stored card as it is put on file after the bank has accepted it. */
export const withProof = (card: StoredCard | undefined): StoredCard | undefined =>
  card && {
    ...card,
    declined: undefined,
    reason: undefined,
    closed: undefined,
    ...marksAfterProof(card),
  }

/**
 * Writes for a decline, whichever way the card was tried: the decline is counted for the card's number, and a
 * card on file is marked. A decline for good closes the card to charges; one that came when the card was to be
 * proved also closes it to further proofs, under this payment method and, unless only its details were wrong,
 * under any other of the same number.
 */
export async function declineWrites(
  deps: Deps<'table'>,
  accountId: string,
  tried: { asked: string; cardId: string; cardFingerprint?: string | undefined; isProof: boolean },
  decline: Decline,
): Promise<Write[]> {
  const cards = await listLiveCards(deps, accountId)
  const entry = cards.find(({ cardId }) => cardId === tried.cardId)
  if (!reachedBank(decline)) return markDeclined(accountId, entry, decline)
  const nowMs = deps.clock.nowMs()
  const number = tried.cardFingerprint ?? entry?.card.fingerprint ?? tried.cardId
  const before = await readCardNumber(deps, accountId, number)
  const counted = withDecline(before, decline, nowMs)
  const isClosed = tried.isProof && (number === tried.cardId ? closesEntry : closesNumber)(decline)
  const after = isClosed ? withClosure(counted, decline, nowMs) : counted
  const untilMs = restsUntilMs(after, nowMs)
  const rests = untilMs > nowMs ? { restsUntilMs: untilMs } : {}
  const closing = closesEntry(decline) ? { closed: true as const } : {}
  const ofNumber = cards.filter(({ card, cardId }) => cardId !== tried.cardId && card.fingerprint === number)
  const declined = { declined: true, reason: decline.reason } as const
  const unlessReported = (each: StoredCard, marks: CardMarks) => (isSignal(each.reason) ? {} : marks)
  return [
    { put: cardNumberItem(accountId, number, after, nowMs), if: unchangedNumber(before) },
    ...(entry
      ? markCard(accountId, entry, {
          ...marksOf(entry),
          ...unlessReported(entry, { ...declined, ...closing }),
          ...rests,
        })
      : []),
    ...ofNumber.flatMap((other) =>
      markCard(accountId, other, {
        ...marksOf(other),
        ...(isClosed && unlessReported(other, { ...declined, ...closing })),
        ...rests,
      }),
    ),
    ...(tried.isProof && closesEntry(decline) && number !== tried.cardId
      ? [closedMethod(accountId, tokenIn(tried.asked) ?? tried.cardId, decline, nowMs)]
      : []),
  ]
}

/** Remembers that a payment method or a token is of no use, so that its next try is refused before anything is sent. */
const closedMethod = (accountId: string, cardId: string, decline: Decline, nowMs: number): Write => ({
  put: cardNumberItem(accountId, cardId, withClosure(UNKNOWN_NUMBER, decline, nowMs), nowMs),
})

/** Condition on a card on file: it may be charged at `nowMs`. */
export const mayCharge = (nowMs: number): Expression =>
  expr`attribute_not_exists(#closed) AND (attribute_not_exists(#restsUntilMs) OR #restsUntilMs <= ${nowMs})`

/** Why a stored card may not be charged; undefined if it may. */
export function chargeRefusal(item: Item, nowMs: number): DomainError | undefined {
  const card = parseStoredCard(item)
  return cardRefusal({ isClosed: card.closed === true, untilMs: card.restsUntilMs ?? 0 }, nowMs)
}
