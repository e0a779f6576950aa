import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Deps, PaymentCustomer } from '../ports.ts'
import { wakeRenewal } from '../quota/wake-renewal.ts'
import { type Expression, expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { ConditionFailed, type Item, ignoreRefusal, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { billingAddressSchema, cardTombstone, parseStoredCard, unchangedCard } from './stored.ts'

const optionalText = z.optional(z.string())

/** Our copy of the provider's customer. `version` grows with each write, so that an older reading never wins. */
const customerSchema = z.object({
  version: z.number(),
  id: z.string(),
  email: optionalText,
  name: optionalText,
  phone: optionalText,
  description: optionalText,
  address: z.optional(billingAddressSchema),
  /** The card that purchases use. */
  defaultCardId: optionalText,
  balanceCents: z.number(),
  currency: optionalText,
  delinquent: z.boolean(),
  invoicePrefix: optionalText,
  livemode: z.boolean(),
  createdMs: z.number(),
})

export type StoredCustomer = z.infer<typeof customerSchema>

/** Reads a stored customer. @throws Error if it is not one. */
export const parseCustomer = (item: Item): StoredCustomer => z.parse(customerSchema, item)

export async function readStoredCustomer(
  deps: Deps<'table'>,
  accountId: string,
): Promise<StoredCustomer | undefined> {
  const item = await deps.table.get(keys.customer(accountId))
  return item && parseCustomer(item)
}

/** The item for a customer, with the version after the stored one. */
export function customerItem(
  accountId: string,
  customer: PaymentCustomer,
  last: StoredCustomer | undefined,
): Item {
  const { defaultPaymentMethodId, ...rest } = customer
  const copy = { ...rest, defaultCardId: defaultPaymentMethodId, version: (last?.version ?? 0) + 1 }
  return { ...keys.customer(accountId), ...z.parse(customerSchema, copy) }
}

/** Holds if the customer is unchanged since it was read. Another customer starts with version 1 again. */
export const unchangedCustomer = (stored: StoredCustomer | undefined): Expression =>
  stored ? expr`#version = ${stored.version} AND #id = ${stored.id}` : expr`attribute_not_exists(pk)`

/**
 * The account's customer, created at the provider when it is first needed. Safe to repeat and to run twice at once:
 * the provider knows the account by its idempotency key.
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

/** The operator may have deleted the customer that Stripe still returns for the idempotency key, for a day. */
async function createStripeCustomer(
  deps: Deps<'payments'>,
  { id: accountId, email }: { id: string; email: string },
  name: string,
): Promise<PaymentCustomer> {
  let deleted: string | undefined
  for (let tries = 0; tries < CUSTOMER_SYNC_ATTEMPTS; tries++) {
    const { id } = await deps.payments.createCustomer(accountId, deleted)
    try {
      // Apart from the creation, whose parameters must be the same however often it is repeated.
      return await deps.payments.updateCustomer(id, { email, name })
    } catch (error) {
      if (!(error instanceof DomainError && error.code === 'not_found')) throw error
      deleted = id
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** The account of a customer; undefined for a customer of nobody here. */
export async function ownerOf(
  deps: Deps<'table'>,
  customerId: string | undefined,
): Promise<string | undefined> {
  const item = customerId === undefined ? undefined : await deps.table.get(keys.customerOwner(customerId))
  return item && String(item.accountId)
}

const CUSTOMER_SYNC_ATTEMPTS = 10

/**
 * Updates our copy of the customer from Stripe. The version is read before Stripe is called, so of two concurrent
 * syncs the one that began first cannot overwrite the other. `eventDone` is written in the same transaction.
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
    const customer = await deps.payments.readCustomer(customerId)
    if (!customer) await forgetCards(deps, accountId, customerId)
    const copy: Write[] = customer
      ? [{ put: customerItem(accountId, customer, stored), if: unchangedCustomer(stored) }]
      : [
          { remove: keys.customer(accountId), if: unchangedCustomer(stored) },
          { remove: keys.customerOwner(customerId) },
          { update: keys.profile(accountId), set: expr`REMOVE #customerId` },
        ]
    // The default card changed at Stripe, and a renewal may be waiting for that.
    if (stored?.defaultCardId !== customer?.defaultPaymentMethodId) copy.push(wakeRenewal(deps, accountId))
    try {
      return await writeAll(deps, [...copy, ...eventDone])
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error
      // The event is recorded as done already: another delivery has done this work.
      if (eventDone.length > 0 && error.failed.has(copy.length)) return
    }
  }
  throw new DomainError('temporarily_unavailable')
}

/** Deleting a customer at Stripe has deleted its cards too. */
async function forgetCards(deps: Deps<'table'>, accountId: string, customerId: string): Promise<void> {
  for (const item of await deps.table.list(keys.account(accountId), 'CARD#')) {
    const stored = parseStoredCard(item)
    if (stored.card?.customerId !== customerId) continue
    const gone = cardTombstone(accountId, stored.cardId, stored.version, deps.clock.nowMs())
    await deps.table.put(gone, unchangedCard(stored)).catch(ignoreRefusal)
  }
}
