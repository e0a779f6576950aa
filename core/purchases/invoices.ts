import type { Account } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { type Purchase, parsePurchase, readPurchase } from './purchase.ts'

/** A payment of the account and what was bought with it. */
export interface Invoice {
  /** The purchase's id. */
  id: string
  /** In the minor unit of `currency` (ISO 4217). */
  amountCents: number
  currency: string
  status: 'paid' | 'partially_refunded' | 'refunded' | 'disputed'
  paidAtMs: number
  bundle: string
  units: number
  /** The card that paid and the receipt, where the provider named them. */
  cardBrand: string | undefined
  cardLast4: string | undefined
  receiptUrl: string | undefined
}

const invoiceOf = (purchase: Purchase): Invoice => ({
  id: purchase.id,
  amountCents: purchase.amountCents,
  currency: purchase.currency,
  status: statusOf(purchase),
  paidAtMs: purchase.paidAtMs ?? purchase.createdAtMs,
  bundle: purchase.bundle,
  units: purchase.units,
  cardBrand: purchase.brand,
  cardLast4: purchase.last4,
  receiptUrl: purchase.receiptUrl,
})

function statusOf({ amountCents, refundedCents, disputedCents }: Purchase): Invoice['status'] {
  if (disputedCents > 0) return 'disputed'
  if (refundedCents === 0) return 'paid'
  return refundedCents < amountCents ? 'partially_refunded' : 'refunded'
}

const isPaid = ({ state }: Purchase) => state === 'credited'

/**
 * The account's payments, newest first, with one read and no call to Stripe. A page may have fewer than
 * `limit` invoices, because it leaves out purchases that were not paid.
 * @param page.cursor `next` of the previous page.
 * @returns `next`, the cursor of the next page; undefined on the last page.
 */
export async function listInvoices(
  deps: Deps<'table'>,
  account: Account,
  page: { limit: number; cursor?: string | undefined },
): Promise<{ invoices: Invoice[]; next: string | undefined }> {
  const items = await deps.table.list(keys.account(account.id), 'PURCHASE#', {
    limit: page.limit + 1,
    newestFirst: true,
    ...(page.cursor !== undefined && { after: keys.purchase(account.id, page.cursor) }),
  })
  const purchases = items.slice(0, page.limit).map(parsePurchase)
  return {
    invoices: purchases.filter(isPaid).map(invoiceOf),
    next: items.length > page.limit ? purchases.at(-1)?.id : undefined,
  }
}

/** @throws DomainError `not_found` if the account has no paid purchase with this id */
export async function readInvoice(deps: Deps<'table'>, account: Account, id: string): Promise<Invoice> {
  // Never put untrusted text into a sort key, which DynamoDB limits to 1,024 bytes.
  const purchase = /^[0-9a-f]{24}$/.test(id) ? await readPurchase(deps, account.id, id) : undefined
  if (!purchase || !isPaid(purchase)) throw new DomainError('not_found')
  return invoiceOf(purchase)
}
