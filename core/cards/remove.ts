import { type Account, renewsItself } from '../account/account.ts'
import { changeAccount } from '../account/change.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ignoreRefusal } from '../table/table.ts'
import { absentObject } from './absence.ts'
import { syncCustomer } from './customer.ts'
import { successors } from './default-card.ts'
import { defaultCardChanged } from './events.ts'
import { readCardEntries } from './on-file.ts'
import { cardTombstone, isLiveCard, type LiveCard, type StoredCard, unchangedCard } from './stored.ts'
import { readStoredCard } from './sync.ts'
import { retireTwins, twinsOf } from './twins.ts'

type RemoveDeps = Deps<'table' | 'payments'>

/**
 * Removes a card from the account. The card is off the account at once, and is then detached at the provider;
 * if the provider does not answer, the sweep detaches it. If it was the default card, the newest other card
 * takes its place. Removing a card again is no error for as long as its mark is kept.
 * @throws DomainError `not_found` for a card that is not the account's, `card_in_use`, `conflict`
 */
export async function removeCard(deps: RemoveDeps, caller: Account, cardId: string): Promise<void> {
  const owner = await changeAccount(deps, caller, (account) => markRemoving(deps, account, cardId))
  // The card is off the account already; only the provider does not know of the removal yet.
  if (!owner) return
  for (const id of owner.cardIds) {
    await finishRemoval(deps, owner, id).catch((error: unknown) => {
      const what = 'a removed card could not be detached at the provider; the job sweep will retry it'
      deps.log.warn(what, error, { accountId: owner.accountId, cardId: id })
    })
  }
}

/** @returns undefined if the card was off the account before. */
async function markRemoving(
  deps: RemoveDeps,
  account: Account,
  cardId: string,
): Promise<{ accountId: string; customerId: string; cardIds: string[] } | undefined> {
  const { customer } = account
  const items = await readCardEntries(deps, account.id)
  const stored = items.find((each) => each.cardId === cardId)
  if (stored && !isLiveCard(stored)) return undefined
  if (!customer || !stored) throw new DomainError('not_found')
  const cards = items.filter(isLiveCard)
  // Entries of the same card go together, so that none is left to be charged.
  const gone = [stored, ...twinsOf(cards, stored.card)]
  const isDefault = gone.some((each) => each.cardId === customer.defaultCardId)
  const isBusy = account.openHold !== undefined || account.openPurchase !== undefined
  if (isDefault && (renewsItself(account) || isBusy)) {
    throw new DomainError('card_in_use')
  }
  const next = isDefault ? nextDefault(deps, cards, gone) : undefined
  await deps.table.transact([
    { check: keys.profile(account.id), if: isDefault ? DEFAULT_UNUSED : expr`#status = ${'active'}` },
    // Bursar's copy changes before the provider, so that no purchase uses the removed card.
    isDefault
      ? {
          update: keys.customer(account.id),
          set: setDefaultCard(next),
          if: expr`#defaultCardId = ${customer.defaultCardId}`,
        }
      : { check: keys.customer(account.id), if: isNotDefault(cardId) },
    ...retireTwins(deps, account.id, gone),
    ...(isDefault ? defaultCardChanged(deps, account.id, customer.defaultCardId, next) : []),
  ])
  return { accountId: account.id, customerId: customer.id, cardIds: gone.map((each) => each.cardId) }
}

/** Condition for removing the default card: no auto-renewal, open verification or open purchase needs it. */
const DEFAULT_UNUSED = expr`#status = ${'active'} AND attribute_not_exists(#openHold) AND attribute_not_exists(#openPurchase) AND (attribute_not_exists(#bundle) OR #flags.#bundleAutoRenewal = ${false})`

const isNotDefault = (cardId: string) =>
  expr`attribute_not_exists(#defaultCardId) OR #defaultCardId <> ${cardId}`

const setDefaultCard = (cardId: string | undefined) =>
  cardId === undefined
    ? expr`SET #version = #version + ${1} REMOVE #defaultCardId`
    : expr`SET #defaultCardId = ${cardId}, #version = #version + ${1}`

/**
 * Finishes the removal of a card: makes another card the default card, if necessary, then detaches the
 * removed one. Once a card is detached, the provider no longer shows that it was the default card; hence the
 * order. Safe to repeat.
 */
export async function finishRemoval(
  deps: RemoveDeps,
  owner: { accountId: string; customerId: string },
  cardId: string,
): Promise<void> {
  const { accountId, customerId } = owner
  const customer = await deps.payments.readCustomer(customerId)
  if (!customer) throw absentObject()
  const isDefault = customer !== 'deleted' && customer.defaultPaymentMethodId === cardId
  const next = isDefault ? await successorOf(deps, accountId, cardId) : undefined
  if (next !== undefined) await deps.payments.updateCustomer(customerId, { defaultPaymentMethodId: next })
  await deps.payments.detachCard(cardId)
  await syncCustomer(deps, accountId, customerId)
  const stored = await readStoredCard(deps, accountId, cardId)
  if (!stored?.removing) return
  const tombstone = cardTombstone(accountId, cardId, stored.version, deps.clock.nowMs())
  await deps.table.put(tombstone, unchangedCard(stored)).catch(ignoreRefusal)
}

/** The card that takes the place of a default card that goes together with other entries of the same card. */
const nextDefault = (
  deps: RemoveDeps,
  cards: readonly LiveCard[],
  gone: readonly StoredCard[],
): string | undefined => {
  const others = cards.filter((each) => !gone.some(({ cardId }) => cardId === each.cardId))
  return successors(others, { id: undefined }, deps.clock.nowMs())[0]?.cardId
}

async function successorOf(deps: RemoveDeps, accountId: string, cardId: string): Promise<string | undefined> {
  const items = await readCardEntries(deps, accountId)
  const fingerprint = items.find((each) => each.cardId === cardId)?.card?.fingerprint
  const others = items.filter(isLiveCard).filter((each) => each.cardId !== cardId)
  return successors(others, { id: cardId, fingerprint }, deps.clock.nowMs())[0]?.cardId
}
