import { parseProfile } from '../account/account.ts'
import type { Deps, PaymentCard } from '../ports.ts'
import { changeRenewal } from '../purchases/renewal-state.ts'
import { wakeRenewal } from '../quota/renewal-call.ts'
import { expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { withProof } from './declined.ts'
import { cardNumberItem, isSignal, readCardNumber, unchangedNumber } from './number.ts'
import type { Card, StoredCard } from './stored.ts'

const DETAILS = ['expMonth', 'expYear', 'last4', 'fingerprint'] as const

const isReplaced = (before: Card, now: PaymentCard): boolean =>
  DETAILS.some((name) => before[name] !== now[name])

/**
 * What remains remembered of a card whose payment method stays the same while its bank has replaced it, with
 * another expiry date or another number. The bank has not seen the new card yet: it is not declined, and a
 * renewal that waits for another card goes on. A report of fraud goes only with the number.
 * @returns `last`, the stored card on which the new copy builds, and further writes.
 */
export async function replacedCard(
  deps: Deps<'table'>,
  accountId: string,
  card: PaymentCard,
  stored: StoredCard | undefined,
): Promise<{ last: StoredCard | undefined; writes: Write[] }> {
  const before = stored?.card
  if (!before || !isReplaced(before, card)) return { last: stored, writes: [] }
  const isOtherNumber = before.fingerprint !== card.fingerprint
  const last = isOtherNumber
    ? { ...stored, declined: undefined, reason: undefined, closed: undefined, restsUntilMs: undefined }
    : withProof(stored)
  const stillReported = !isOtherNumber && isSignal(stored.reason)
  if (stillReported || !(stored.declined || stored.closed || stored.restsUntilMs)) return { last, writes: [] }
  const reopened = isOtherNumber ? [card.id] : [card.id, card.fingerprint ?? card.id]
  return {
    last,
    writes: [
      ...(await reopenNumbers(deps, accountId, new Set(reopened))),
      ...(await resumeRenewal(deps, accountId, card.id)),
    ],
  }
}

/** A card may be proved with these numbers again; their declines still count. */
async function reopenNumbers(
  deps: Deps<'table'>,
  accountId: string,
  numbers: ReadonlySet<string>,
): Promise<Write[]> {
  const writes: Write[] = []
  for (const number of numbers) {
    const record = await readCardNumber(deps, accountId, number)
    const { closed, ...open } = record
    const item = cardNumberItem(accountId, number, open, deps.clock.nowMs())
    if (closed) writes.push({ put: item, if: unchangedNumber(record) })
  }
  return writes
}

/** Reasons for which renewal waits that a working card does not end. */
const NOT_THE_CARD: readonly string[] = [
  'payment_reversed',
  'units_owed',
  'monthly_cap',
  'hourly_limit',
  'daily_limit',
  'bundle_removed',
]

/**
 * Lets a renewal go on that waits because of this card, and forgets that the last purchase with it was
 * declined. A renewal that waits for 3-D Secure ends with its own purchase.
 */
export async function resumeRenewal(
  deps: Deps<'table'>,
  accountId: string,
  cardId: string,
): Promise<Write[]> {
  const item = await deps.table.get(keys.profile(accountId))
  if (!item) return []
  const profile = parseProfile(item)
  const { renewal, lastPurchase } = profile
  const isWaiting =
    renewal?.cardId === cardId &&
    renewal.state !== 'action_required' &&
    !NOT_THE_CARD.includes(renewal.reason)
  const wasDeclined = lastPurchase?.outcome === 'declined'
  const change = isWaiting ? changeRenewal(deps, profile, { renewal: undefined }) : undefined
  const remove = [...(change?.remove ?? []), ...(wasDeclined ? [expr`#lastPurchase`] : [])]
  if (remove.length === 0) return []
  const unchanged = [
    ...(change ? [change.unchanged] : []),
    ...(wasDeclined ? [expr`#lastPurchase.#id = ${lastPurchase.id}`] : []),
  ]
  return [
    {
      update: keys.profile(accountId),
      set: setRemove([expr`#updatedAtMs = ${deps.clock.nowMs()}`], remove),
      if: join(unchanged, ' AND '),
    },
    ...(change ? [...change.messages, wakeRenewal(deps, accountId)] : []),
  ]
}
