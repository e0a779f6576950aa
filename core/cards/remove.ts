import type { Account } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { ConditionFailed } from '../table/table.ts'
import { type StoredCustomer, syncCustomer } from './customer.ts'
import { HOLD_LEASE_MS } from './hold.ts'
import { isLive, parseStoredCard, tombstone } from './stored.ts'
import { readCard, unchanged } from './sync.ts'

type RemoveDeps = Deps<'table' | 'payments'>

/** Auto-renewal counts as on only once there is a bundle to renew (product rule). */
export const renewsItself = (account: Account): boolean =>
  account.flags.bundleAutoRenewal && account.bundle !== undefined

/**
 * Takes a card off the account. It is gone from our lists at once and detached at the provider then, by the sweep
 * if the provider does not answer. Another card becomes the default one if this was it.
 * @throws DomainError `not_found` for a card that is not the account's, `card_in_use`
 */
export async function removeCard(deps: RemoveDeps, account: Account, cardId: string): Promise<void> {
  const { customer } = account
  const stored = await readCard(deps, account.id, cardId)
  if (!customer || !isLive(stored)) throw new DomainError('not_found')
  if (customer.defaultCardId === cardId && renewsItself(account)) throw new DomainError('card_in_use')
  if (account.openHold !== undefined) throw new DomainError('card_in_use')
  const due = dueAt('CARD', account.id, deps.clock.nowMs() + HOLD_LEASE_MS)
  const wasDefault = customer.defaultCardId === cardId
  const next = wasDefault ? await newestOther(deps, account.id, cardId) : customer.defaultCardId
  try {
    await deps.table.transact([
      {
        update: keys.card(account.id, cardId),
        set: expr`SET #removing = ${true}, #version = ${stored.version + 1}, #due = ${due.due}, #dueAtMs = ${due.dueAtMs}`,
        if: unchanged(stored),
      },
      {
        check: keys.profile(account.id),
        if: expr`attribute_not_exists(#openHold) AND #status = ${'active'} AND #flags = ${account.flags}`,
      },
      // Ours first, so that nothing is charged to a card that is gone; that none became the default one meanwhile.
      wasDefault
        ? { update: keys.customer(account.id), set: defaultIs(next), if: atVersion(customer) }
        : { check: keys.customer(account.id), if: atVersion(customer) },
    ])
  } catch (error) {
    if (error instanceof ConditionFailed) throw new DomainError('conflict')
    throw error
  }
  // Its owner is rid of it: what is left to do is done by the sweep when this fails.
  await finishRemoval(deps, { accountId: account.id, customerId: customer.id }, cardId).catch(() => {})
}

const atVersion = ({ version }: StoredCustomer) => expr`#version = ${version}`

const defaultIs = (cardId: string | undefined) =>
  cardId === undefined
    ? expr`SET #version = #version + ${1} REMOVE #defaultCardId, #defaultBy`
    : expr`SET #defaultCardId = ${cardId}, #version = #version + ${1} REMOVE #defaultBy`

/** Detaches a card that is marked as removed, and finds the account another default card. Safe to repeat. */
export async function finishRemoval(
  deps: RemoveDeps,
  owner: { accountId: string; customerId: string },
  cardId: string,
): Promise<void> {
  const { accountId, customerId } = owner
  await deps.payments.detachCard(cardId)
  const customer = await deps.payments.readCustomer(customerId)
  if (
    customer &&
    (customer.defaultPaymentMethodId === undefined || customer.defaultPaymentMethodId === cardId)
  ) {
    const next = await newestOther(deps, accountId, cardId)
    if (next !== undefined) await deps.payments.updateCustomer(customerId, { defaultPaymentMethodId: next })
  }
  await syncCustomer(deps, accountId, customerId)
  const stored = await readCard(deps, accountId, cardId)
  if (!stored?.removing) return
  await deps.table.put(tombstone(accountId, cardId, stored.version, deps.clock.nowMs()), unchanged(stored))
}

async function newestOther(deps: RemoveDeps, accountId: string, cardId: string): Promise<string | undefined> {
  const items = await deps.table.list(keys.account(accountId), 'CARD#')
  const live = items.map(parseStoredCard).filter(isLive)
  const others = live.filter((each) => each.cardId !== cardId)
  return others.sort((a, b) => b.card.createdMs - a.card.createdMs)[0]?.cardId
}
