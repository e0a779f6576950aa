import * as z from 'zod/mini'
import type { Deps, PaymentCustomer } from '../ports.ts'
import { type Expression, expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { billingAddressSchema } from './stored.ts'

const optionalText = z.optional(z.string())

/**
 * Bursar's copy of a customer. `version` grows with each write, so an older reading never replaces a newer.
 */
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

/** Reads a stored customer. @throws Error if the item is not a customer. */
export const parseCustomer = (item: Item): StoredCustomer => z.parse(customerSchema, item)

export async function readStoredCustomer(
  deps: Deps<'table'>,
  accountId: string,
): Promise<StoredCustomer | undefined> {
  const item = await deps.table.get(keys.customer(accountId))
  return item && parseCustomer(item)
}

/** The item that stores a customer, with the version that follows `last`. */
export function customerItem(
  accountId: string,
  customer: PaymentCustomer,
  last: StoredCustomer | undefined,
): Item {
  const { defaultPaymentMethodId, ...rest } = customer
  const copy = { ...rest, defaultCardId: defaultPaymentMethodId, version: (last?.version ?? 0) + 1 }
  return { ...keys.customer(accountId), ...z.parse(customerSchema, copy) }
}

/** Condition: the stored customer is as it was read. The id counts: each customer's versions begin with 1. */
export const unchangedCustomer = (stored: StoredCustomer | undefined): Expression =>
  stored ? expr`#version = ${stored.version} AND #id = ${stored.id}` : expr`attribute_not_exists(pk)`
