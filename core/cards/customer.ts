import { DomainError } from '../errors.ts'
import type { Deps, PaymentCustomer } from '../ports.ts'
import { wakeRenewal } from '../quota/renewal-call.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, ignoreRefusal, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { absentObject } from './absence.ts'
import { cardTombstone, parseStoredCard, unchangedCard } from './stored.ts'
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
  account: { id: string; email: string; customer: StoredCustomer | undefined },
  name: string,
): Promise<StoredCustomer> {
  if (account.customer) return account.customer
  const created = await createStripeCustomer(deps, account, name)
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

/**
 * Creates a customer. For a day the provider's idempotency key may stand for a customer that the operator has
 * deleted; a new customer is then created instead.
 * @throws DomainError `temporarily_unavailable`
 */
async function createStripeCustomer(
  deps: Deps<'payments'>,
  { id: accountId, email }: { id: string; email: string },
  name: string,
): Promise<PaymentCustomer> {
  let deleted: string | undefined
  for (let tries = 0; tries < CUSTOMER_SYNC_ATTEMPTS; tries++) {
    const { id } = await deps.payments.createCustomer(accountId, deleted)
    try {
      // Separate from the creation, because an idempotent creation must repeat the same parameters.
      return await deps.payments.updateCustomer(id, { email, name })
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

const CUSTOMER_SYNC_ATTEMPTS = 10

/**
 * Brings Bursar's copy of a customer up to date. The version is read before the provider is asked, so that of
 * two concurrent readings the older one cannot replace the newer one. `eventDone` is written in the same
 * transaction.
 * @throws DomainError `temporarily_unavailable` after too many lost races, and for a customer that cannot be
 *   read although the provider has not said that it is deleted
 */
export async function syncCustomer(
  deps: Deps<'table' | 'payments'>,
  accountId: string,
  customerId: string,
  eventDone: readonly Write[] = [],
): Promise<void> {
  for (let tries = 0; tries < CUSTOMER_SYNC_ATTEMPTS; tries++) {
    const stored = await readStoredCustomer(deps, accountId)
    if (stored && stored.id !== customerId) return writeAll(deps, eventDone).catch(ignoreRefusal)
    const found = await deps.payments.readCustomer(customerId)
    if (!found) throw absentObject()
    const customer = found === 'deleted' ? undefined : found
    if (!customer) await forgetCards(deps, accountId, customerId)
    const copy: Write[] = customer
      ? [{ put: customerItem(accountId, customer, stored), if: unchangedCustomer(stored) }]
      : [
          { remove: keys.customer(accountId), if: unchangedCustomer(stored) },
          { remove: keys.customerOwner(customerId) },
          { update: keys.profile(accountId), set: expr`REMOVE #customerId` },
        ]
    // A renewal may be waiting for another default card.
    if (stored?.defaultCardId !== customer?.defaultPaymentMethodId) copy.push(wakeRenewal(deps, accountId))
    try {
      return await writeAll(deps, [...copy, ...eventDone])
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // The event is marked as done already: another delivery has done this work.
      if (eventDone.length > 0 && error.failed.has(copy.length)) return
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** Removes the cards of a deleted customer: the provider has deleted them together with the customer. */
async function forgetCards(deps: Deps<'table'>, accountId: string, customerId: string): Promise<void> {
  for (const item of await deps.table.list(keys.account(accountId), 'CARD#')) {
    const stored = parseStoredCard(item)
    if (stored.card?.customerId !== customerId) continue
    const tombstone = cardTombstone(accountId, stored.cardId, stored.version, deps.clock.nowMs())
    await deps.table.put(tombstone, unchangedCard(stored)).catch(ignoreRefusal)
  }
}
