import type { Profile } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { MoneyDeps } from '../ports.ts'
import { decideTrial, type TrialDecision } from '../quota/trial-card.ts'
import { join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { requireKnownCustomer } from './absence.ts'
import { withProof } from './declined.ts'
import { detachTwins } from './detach-twins.ts'
import { cardAdded, defaultCardChanged } from './events.ts'
import { readCardEntries } from './on-file.ts'
import { makeDefault } from './settle.ts'
import { cardItem, isLiveCard, unchangedCard } from './stored.ts'
import { customerItem, readStoredCustomer, unchangedCustomer } from './stored-customer.ts'
import { retireTwins, twinsOf } from './twins.ts'

const KEEP_ATTEMPTS = 5

/**
 * Puts a card that has just paid on file, and makes it the default card. The provider is updated first, so
 * that our copy never runs ahead of it. A card that was removed meanwhile stays removed. An older entry of the
 * same card gives way. Safe to repeat.
 * @param kept.decidesTrial whether no card has decided about the account's trial yet.
 * @throws DomainError `temporarily_unavailable` after too many lost races, and if neither the card nor its
 *   customer can be read
 */
export async function keepCard(
  deps: MoneyDeps,
  kept: {
    accountId: string
    customerId: string
    cardId: string
    address: Profile['address']
    decidesTrial: boolean
  },
): Promise<void> {
  const { accountId, customerId, cardId } = kept
  for (let tries = 0; tries < KEEP_ATTEMPTS; tries++) {
    const cards = await readCardEntries(deps, accountId)
    const stored = cards.find((each) => each.cardId === cardId)
    const customer = await readStoredCustomer(deps, accountId)
    if (stored?.removing || customer?.id !== customerId) return
    const card = await deps.payments.readCard(cardId)
    if (!card) await requireKnownCustomer(deps, customerId)
    if (card?.customerId !== customerId) return
    const changed = await makeDefault(deps, kept)
    if (!changed) return
    const twins = twinsOf(cards.filter(isLiveCard), card)
    try {
      const trial = kept.decidesTrial
        ? await decideTrial(deps, accountId, card.fingerprint, tries > 0)
        : undefined
      await deps.table.transact([
        ...(trial ? trialWrites(accountId, trial) : []),
        { put: cardItem(accountId, card, withProof(stored)), if: unchangedCard(stored) },
        { put: customerItem(accountId, changed, customer), if: unchangedCustomer(customer) },
        ...retireTwins(deps, accountId, twins),
        ...cardAdded(deps, accountId, cardId, stored),
        ...defaultCardChanged(deps, accountId, customer.defaultCardId, changed.defaultPaymentMethodId),
      ])
      return await detachTwins(deps, { accountId, customerId }, twins)
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
    }
  }
  throw new DomainError('temporarily_unavailable')
}

const trialWrites = (accountId: string, { set, remove, if: conditions, writes }: TrialDecision): Write[] => [
  { update: keys.profile(accountId), set: setRemove(set, remove), if: join(conditions, ' AND ') },
  ...writes,
]
