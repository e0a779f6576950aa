import type { Account } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps, PaymentCustomer } from '../ports.ts'
import { wakeRenewal } from '../quota/renewal-call.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeUnlessDone, writeWithEvent } from '../table/write-all.ts'
import { absentObject, isAbsentObject } from './absence.ts'
import { successors } from './default-card.ts'
import { customerDetails, emailRefused } from './details.ts'
import { cardGone, defaultCardChanged } from './events.ts'
import { listLiveCards, readCardEntries } from './on-file.ts'
import { cardTombstone, unchangedCard } from './stored.ts'
import {
  customerItem,
  parseCustomer,
  readStoredCustomer,
  type StoredCustomer,
  unchangedCustomer,
} from './stored-customer.ts'

/**
 * The account's customer, created at the provider when it is first needed. Safe to repeat and to run
 * concurrently, because the provider's idempotency key is derived from the account.
 */
export async function ensureCustomer(
  deps: Deps<'table' | 'payments'>,
  account: Pick<Account, 'id' | 'email' | 'name' | 'username' | 'customer'>,
): Promise<StoredCustomer> {
  if (account.customer) return account.customer
  const created = await createStripeCustomer(deps, account)
  const item = customerItem(account.id, created, undefined)
  try {
    await deps.table.transact([
      { put: item, if: expr`attribute_not_exists(pk)` },
      { put: { ...keys.customerOwner(created.id), accountId: account.id } },
      {
        update: keys.profile(account.id),
        set: expr`SET #customerId = ${created.id}`,
        if: expr`attribute_exists(pk)`,
      },
    ])
    return parseCustomer(item)
  } catch (error) {
    const other = error instanceof ConditionFailed ? error.failed.get(0) : undefined
    if (!other) throw error
    return parseCustomer(other)
  }
}

const CUSTOMER_CREATE_ATTEMPTS = 10

/**
 * Creates a customer. For a day the provider's idempotency key may stand for a customer that the operator has
 * deleted; a new customer is then created instead.
 * @throws DomainError `temporarily_unavailable`
 */
async function createStripeCustomer(
  deps: Deps<'payments'>,
  account: Pick<Account, 'id' | 'email' | 'name' | 'username'>,
): Promise<PaymentCustomer> {
  const { id: accountId } = account
  const details = customerDetails(account)
  let deleted: string | undefined
  for (let tries = 0; tries < CUSTOMER_CREATE_ATTEMPTS; tries++) {
    const { id } = await deps.payments.createCustomer(accountId, deleted)
    try {
      // Separate from the creation, because an idempotent creation must repeat the same parameters.
      const customer = await deps.payments.updateCustomer(id, details)
      if (customer.email === undefined) emailRefused(deps, accountId)
      return customer
    } catch (error) {
      if (!(error instanceof DomainError && error.code === 'not_found')) throw error
      deleted = id
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** Id of the account that a customer belongs to; undefined if the customer is not one of Bursar's. */
export async function ownerOf(
  deps: Deps<'table'>,
  customerId: string | undefined,
): Promise<string | undefined> {
  const item = customerId === undefined ? undefined : await deps.table.get(keys.customerOwner(customerId))
  return item && String(item.accountId)
}

/**
 * Brings Bursar's copy of a customer up to date. The version is read before the provider is asked, so that of
 * two concurrent readings the older one cannot replace the newer one. `eventDone` is written in the same
 * transaction.
 * @param goneCardId a card that was just found to be gone at the provider.
 * @throws DomainError `temporarily_unavailable` after too many lost races, and for a customer that cannot be
 *   read although the provider has not said that it is deleted
 */
export async function syncCustomer(
  deps: Deps<'table' | 'payments'>,
  accountId: string,
  customerId: string,
  eventDone: readonly Write[] = [],
  goneCardId?: string,
): Promise<void> {
  const sync = async () => {
    const stored = await readStoredCustomer(deps, accountId)
    if (stored && stored.id !== customerId) return writeUnlessDone(deps, eventDone)
    const found = await deps.payments.readCustomer(customerId)
    if (!found) throw absentObject()
    const customer =
      found === 'deleted' ? undefined : await withDefaultCard(deps, accountId, found, stored, goneCardId)
    if (!customer) await forgetCards(deps, accountId, customerId)
    const copy: Write[] = customer
      ? [{ put: customerItem(accountId, customer, stored), if: unchangedCustomer(stored) }]
      : [
          { remove: keys.customer(accountId), if: unchangedCustomer(stored) },
          { remove: keys.customerOwner(customerId) },
          { update: keys.profile(accountId), set: expr`REMOVE #customerId` },
        ]
    // A renewal may be waiting for another default card.
    const [was, is] = [stored?.defaultCardId, customer?.defaultPaymentMethodId]
    if (was !== is) copy.push(wakeRenewal(deps, accountId), ...defaultCardChanged(deps, accountId, was, is))
    await writeWithEvent(deps, copy, eventDone)
  }
  await retryRaces(deps, sync, 'temporarily_unavailable')
}

/**
 * As `syncCustomer`, for a customer for whom the provider refused a payment because it does not know the customer, which
 * no caller can cause. If the operator has deleted the customer, the next try creates another one.
 */
export async function syncRefusedCustomer(
  deps: Deps<'table' | 'payments'>,
  { accountId, customerId }: { accountId: string; customerId: string },
): Promise<void> {
  await syncCustomer(deps, accountId, customerId).catch((error: unknown) => {
    if (!isAbsentObject(error)) throw error
    const what =
      'Stripe does not know the customer of an account under our secret key: compare STRIPE_SECRET_KEY with the account of Stripe that has the customers'
    deps.log.error(what, error, { accountId })
  })
}

/**
 * The customer with a default card, as long as a card is on file: if the default card is gone, or is no card
 * of the account, the best other card takes its place, at the provider first. Whichever way the default card
 * went, this rule finds it.
 */
async function withDefaultCard(
  deps: Deps<'table' | 'payments'>,
  accountId: string,
  customer: PaymentCustomer,
  stored: StoredCustomer | undefined,
  goneCardId: string | undefined,
): Promise<PaymentCustomer> {
  const { id, defaultPaymentMethodId } = customer
  // A card that goes is noticed by its own event, so an unchanged default card needs no look.
  const isUnchanged =
    defaultPaymentMethodId === stored?.defaultCardId && defaultPaymentMethodId !== goneCardId
  if (defaultPaymentMethodId !== undefined && isUnchanged) return customer
  const cards = await listLiveCards(deps, accountId)
  if (cards.some(({ cardId }) => cardId === defaultPaymentMethodId)) return customer
  if (defaultPaymentMethodId !== undefined && (await isOwnCard(deps, id, defaultPaymentMethodId)))
    return customer
  for (const { cardId } of successors(cards, { id: stored?.defaultCardId }, deps.clock.nowMs())) {
    try {
      return await deps.payments.updateCustomer(id, { defaultPaymentMethodId: cardId })
    } catch (error) {
      // The card is gone too, and its own event is on its way.
      if (!(error instanceof DomainError && error.code === 'not_found')) throw error
    }
  }
  return customer
}

/** Whether a card that is not on file here yet is the customer's at the provider: its event comes later. */
async function isOwnCard(deps: Deps<'payments'>, customerId: string, cardId: string): Promise<boolean> {
  return (await deps.payments.readCard(cardId))?.customerId === customerId
}

/** Removes the cards of a deleted customer: the provider has deleted them together with the customer. */
async function forgetCards(deps: Deps<'table'>, accountId: string, customerId: string): Promise<void> {
  for (const stored of await readCardEntries(deps, accountId)) {
    if (stored.card?.customerId !== customerId) continue
    const tombstone = cardTombstone(accountId, stored.cardId, stored.version, deps.clock.nowMs())
    await writeUnlessDone(deps, [
      { put: tombstone, if: unchangedCard(stored) },
      ...cardGone(deps, accountId, stored),
    ])
  }
}
