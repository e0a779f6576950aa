import { announce } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import type { Write } from '../table/table.ts'
import { type Card, type LiveCard, type StoredCard, unchangedCard } from './stored.ts'

/** Other cards on file with the same number. */
export const twinsOf = (
  cards: readonly LiveCard[],
  { id, fingerprint }: Pick<Card, 'id' | 'fingerprint'>,
): LiveCard[] =>
  cards.filter(
    ({ cardId, card }) => cardId !== id && fingerprint !== undefined && card.fingerprint === fingerprint,
  )

/** Takes twins off the account. They are detached at the provider afterwards. */
export const retireTwins = (deps: Deps, accountId: string, twins: readonly StoredCard[]): Write[] =>
  twins.flatMap((twin) => [
    retireTwin(deps, accountId, twin),
    announce(deps, accountId, 'card.removed', { cardId: twin.cardId }),
  ])

function retireTwin(deps: Deps, accountId: string, twin: StoredCard): Write {
  const { due, dueAtMs } = dueAt('CARD', accountId, deps.clock.nowMs() + LEASE_MS)
  return {
    update: keys.card(accountId, twin.cardId),
    set: expr`SET #removing = ${true}, #version = ${twin.version + 1}, #due = ${due}, #dueAtMs = ${dueAtMs}`,
    if: unchangedCard(twin),
  }
}
