import { announce } from '../events/outbox.ts'
import { newNotice } from '../notifications/notices.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { accountIdIn, dueAt, type Key } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import { ignoreRefusal } from '../table/table.ts'
import { isInPayment } from './detach-twins.ts'
import { finishRemoval } from './remove.ts'
import { isLiveCard, nextNotice, parseStoredCard, type StoredCard, unchangedCard } from './stored.ts'

const TEXT = {
  expiring: (card: string) => `Your card (${card}) expires this month. Please add another one in time.`,
  expired: (card: string) => `Your card (${card}) has expired. Please add another one.`,
}

/**
 * Works on the cards that are due: finishes removals that a request left unfinished, and sends one notice
 * when a card is about to expire and one when it has expired.
 * @returns how many notices were sent, how many removals finished, and how many cards failed and stay due.
 */
export async function sweepCards(
  deps: Deps<'table' | 'payments'>,
  run: Run,
): Promise<{ expiryNotices: number; removalsFinished: number; cardsFailed: number }> {
  const done = { expiryNotices: 0, removalsFinished: 0 }
  const { failed } = await eachDue(deps, 'CARD', run, async (key) => {
    const item = await deps.table.get(key)
    if (!item) return false
    const stored = parseStoredCard(item)
    const accountId = accountIdIn(key)
    if (stored.removing && (await isInPayment(deps, accountId, stored.cardId))) {
      const later = expr`SET #dueAtMs = ${deps.clock.nowMs() + LEASE_MS}`
      await deps.table.update(key, later, unchangedCard(stored)).catch(ignoreRefusal)
      return false
    }
    if (stored.removing && stored.card?.customerId !== undefined) {
      await finishRemoval(deps, { accountId, customerId: stored.card.customerId }, stored.cardId)
      done.removalsFinished++
    } else if (isLiveCard(stored) && (await sendExpiryNotice(deps, key, accountId, stored)))
      done.expiryNotices++
    return true
  })
  return { ...done, cardsFailed: failed }
}

/** The notice to send now. If both notices are due, only the second is still true. */
function dueNotice(stored: StoredCard, nowMs: number): ReturnType<typeof nextNotice> {
  const first = nextNotice(stored)
  const last = first && nextNotice({ ...stored, noticed: first.mark })
  return [last, first].find((notice) => notice && notice.atMs <= nowMs)
}

/** Stores the notice, and marks the card with this notice and the date of the next, in one transaction. */
async function sendExpiryNotice(
  deps: Deps<'table'>,
  key: Key,
  accountId: string,
  stored: StoredCard,
): Promise<boolean> {
  const notice = dueNotice(stored, deps.clock.nowMs())
  if (!notice || !stored.card) return false
  const next = nextNotice({ ...stored, noticed: notice.mark })
  const { expMonth, expYear } = stored.card
  const text = TEXT[notice.kind](`${stored.card.brand} ending in ${stored.card.last4}`)
  return deps.table
    .transact([
      {
        update: key,
        set: next
          ? expr`SET #noticed = ${notice.mark}, #version = ${stored.version + 1}, #dueAtMs = ${dueAt('CARD', accountId, next.atMs).dueAtMs}`
          : expr`SET #noticed = ${notice.mark}, #version = ${stored.version + 1} REMOVE #due, #dueAtMs`,
        if: unchangedCard(stored),
      },
      { put: newNotice(deps, accountId, `card_${notice.kind}`, text) },
      announce(deps, accountId, `card.${notice.kind}`, { cardId: stored.cardId, expMonth, expYear }),
    ])
    .then(
      () => true,
      (error) => {
        ignoreRefusal(error)
        return false
      },
    )
}
