import type { Account } from '../../core/account/account.ts'
import type { BillingChange } from '../../core/account/billing.ts'
import type { Invoice, ListedInvoice } from '../../core/purchases/invoices.ts'
import { isoTime } from './time-shapes.ts'

/** EMCP's pages about billing: its names of the fields of an address, and its invoices. */

const FIELDS = {
  address1: 'street',
  address2: 'street2',
  city: 'city',
  company: 'company',
  country: 'country',
  state: 'district',
  zip: 'postCode',
} as const satisfies Record<string, keyof NonNullable<Account['address']>>

type Field = keyof typeof FIELDS

/** What a body changes: null takes a field away, and a field that is not there stays. */
export function billingChange(
  body: {
    [Name in Field | 'taxId']?: string | null | undefined
  },
): BillingChange {
  const { taxId, ...sent } = body
  const address = Object.entries(sent).flatMap(([name, value]) =>
    value === undefined ? [] : [[FIELDS[name as Field], value ?? undefined]],
  )
  return { address: Object.fromEntries(address), ...(taxId !== undefined && { taxId: taxId ?? undefined }) }
}

export function billingSettings(account: Account) {
  const { id, address, taxId, createdAtMs, updatedAtMs } = account
  return {
    _id: id,
    user: id,
    address1: address?.street ?? null,
    address2: address?.street2 ?? null,
    city: address?.city ?? null,
    company: address?.company ?? null,
    country: address?.country ?? null,
    state: address?.district ?? null,
    zip: address?.postCode ?? null,
    taxId: taxId ?? null,
    createdAt: isoTime(createdAtMs),
    updatedAt: isoTime(updatedAtMs),
  }
}

/** An invoice of an account. Only one that was read on its own knows the link to its receipt. */
export const emcpInvoice = (
  accountId: string,
  invoice: ListedInvoice & Partial<Pick<Invoice, 'receiptUrl'>>,
) => ({
  _id: invoice.id,
  invoiceId: invoice.id,
  user: accountId,
  status: invoice.status,
  amount: invoice.amountCents,
  currency: invoice.currency,
  invoicePdf: invoice.receiptUrl ?? null,
  createdAt: isoTime(invoice.paidAtMs),
  updatedAt: isoTime(invoice.paidAtMs),
})
