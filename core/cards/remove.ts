import { type Account, renewsItself } from '../account/account.ts'
import { changeAccount } from '../account/change.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { LEASE_MS } from '../table/lease.ts'
import { ignoreRefusal } from '../table/table.ts'
import { absentObject } from './absence.ts'
import { syncCustomer } from './customer.ts'
import { cardTombstone, isLiveCard, parseStoredCard, unchangedCard } from './stored.ts'
import { readStoredCard } from './sync.ts'

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
  await finishRemoval(deps, owner, cardId).catch((error: unknown) => {
    const what = 'a removed card could not be detached at the provider; the job sweep will retry it'
    deps.log.warn(what, error, { accountId: owner.accountId, cardId })
  })
}

/** @returns undefined if the card was off the account before. */
async function markRemoving(
  deps: RemoveDeps,
  account: Account,
  cardId: string,
): Promise<{ accountId: string; customerId: string } | undefined> {
  const { customer } = account
  const stored = await readStoredCard(deps, account.id, cardId)
  if (stored && !isLiveCard(stored)) return undefined
  if (!customer || !stored) throw new DomainError('not_found')
  const isDefault = customer.defaultCardId === cardId
  const isBusy = account.openHold !== undefined || account.openPurchase !== undefined
  if (isDefault && (renewsItself(account) || isBusy)) {
    throw new DomainError('card_in_use')
  }
  const due = dueAt('CARD', account.id, deps.clock.nowMs() + LEASE_MS)
  const next = isDefault ? await newestOtherCard(deps, account.id, cardId) : undefined
  await deps.table.transact([
    {
      update: keys.card(account.id, cardId),
      set: expr`SET #removing = ${true}, #version = ${stored.version + 1}, #due = ${due.due}, #dueAtMs = ${due.dueAtMs}`,
      if: unchangedCard(stored),
    },
    { check: keys.profile(account.id), if: isDefault ? DEFAULT_UNUSED : expr`#status = ${'active'}` },
    // Bursar's copy changes before the provider, so that no purchase uses the removed card.
    isDefault
      ? {
          update: keys.customer(account.id),
          set: setDefaultCard(next),
          if: expr`#defaultCardId = ${cardId}`,
        }
      : { check: keys.customer(account.id), if: isNotDefault(cardId) },
  ])
  return { accountId: account.id, customerId: customer.id }
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
  const next = isDefault ? await newestOtherCard(deps, accountId, cardId) : undefined
  if (next !== undefined) await deps.payments.updateCustomer(customerId, { defaultPaymentMethodId: next })
  await deps.payments.detachCard(cardId)
  await syncCustomer(deps, accountId, customerId)
  const stored = await readStoredCard(deps, accountId, cardId)
  if (!stored?.removing) return
  const tombstone = cardTombstone(accountId, cardId, stored.version, deps.clock.nowMs())
  await deps.table.put(tombstone, unchangedCard(stored)).catch(ignoreRefusal)
}

async function newestOtherCard(
  deps: RemoveDeps,
  accountId: string,
  cardId: string,
): Promise<string | undefined> {
  const items = await deps.table.list(keys.account(accountId), 'CARD#')
  const live = items.map(parseStoredCard).filter(isLiveCard)
  const others = live.filter((each) => each.cardId !== cardId)
  return others.sort((a, b) => b.card.createdMs - a.card.createdMs)[0]?.cardId
}
