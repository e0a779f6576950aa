import * as z from 'zod/mini'
import type { Account } from '../account/account.ts'
import { INVOICES } from '../account/listed.ts'
import { DomainError } from '../errors.ts'
import type { Deps, Receipt } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import { type Item, ignoreRefusal } from '../table/table.ts'
import { DAY_MS } from '../time.ts'
import { type Purchase, readPurchase } from './purchase.ts'

/** What the list shows of an invoice. */
export interface ListedInvoice {
  /** The purchase's id. */
  id: string
  /** In the minor unit of `currency` (ISO 4217). */
  amountCents: number
  currency: string
  status: 'paid' | 'partially_refunded' | 'refunded' | 'disputed'
  paidAtMs: number
}

/** A payment of the account and what was bought with it. */
export interface Invoice extends ListedInvoice {
  bundle: string
  units: number
  /** The coupon, and what it took off the price; undefined without one. */
  discount: { code: string; amountCents: number; units: number } | undefined
  /** The card that paid and the receipt, where the provider named them. */
  cardBrand: string | undefined
  cardLast4: string | undefined
  receiptUrl: string | undefined
}

/**
 * What the list needs of a paid purchase, in an item of its own. Purchases that were not paid have no such item,
 * so that reading a page costs the same however many of them there are.
 */
const invoiceSchema = z.object({
  id: z.string(),
  amountCents: z.number(),
  currency: z.string(),
  paidAtMs: z.number(),
  refundedCents: z.number(),
  disputedCents: z.number(),
})

/** The item by which the list of invoices finds a credited purchase. A reversal keeps it up to date. */
export const invoiceItem = (purchase: Purchase): Item => ({
  ...keys.invoice(purchase.accountId, purchase.id),
  ...z.parse(invoiceSchema, purchase),
  // By which an operator finds its account.
  status: INVOICES,
})

const listedInvoice = (stored: z.infer<typeof invoiceSchema>): ListedInvoice => ({
  id: stored.id,
  amountCents: stored.amountCents,
  currency: stored.currency,
  status: invoiceStatus(stored),
  paidAtMs: stored.paidAtMs,
})

const invoiceOf = (purchase: Purchase): Invoice => ({
  ...listedInvoice(z.parse(invoiceSchema, purchase)),
  bundle: purchase.bundle,
  units: purchase.units,
  discount: purchase.coupon && {
    code: purchase.coupon.code,
    amountCents: purchase.coupon.discountCents,
    units: purchase.coupon.bonusUnits,
  },
  cardBrand: purchase.brand,
  cardLast4: purchase.last4,
  receiptUrl: purchase.receiptUrl,
})

function invoiceStatus({
  amountCents,
  refundedCents,
  disputedCents,
}: Pick<Purchase, 'amountCents' | 'refundedCents' | 'disputedCents'>): Invoice['status'] {
  if (disputedCents > 0) return 'disputed'
  if (refundedCents === 0) return 'paid'
  return refundedCents < amountCents ? 'partially_refunded' : 'refunded'
}

/**
 * The account's payments, newest first, with one read and no call to Stripe.
 * @param page.cursor `next` of the previous page.
 * @returns a page of `limit` invoices, unless it is the last one, and `next`, the cursor of the next page;
 *   undefined on the last page.
 */
export async function listInvoices(
  deps: Deps<'table'>,
  account: Pick<Account, 'id'>,
  page: { limit: number; cursor?: string | undefined },
): Promise<{ invoices: ListedInvoice[]; next: string | undefined }> {
  const { limit, cursor } = page
  const after = cursor === undefined ? undefined : keys.invoice(account.id, cursor)
  const read = (item: Item) => listedInvoice(z.parse(invoiceSchema, item))
  const newest = { limit, after, newestFirst: true }
  const { items, last } = await readPage(deps, keys.account(account.id), 'INVOICE#', newest, read)
  return { invoices: items, next: last?.id }
}

/** What the list shows of an invoice; undefined for one that is not there. */
export async function readListedInvoice(
  deps: Deps<'table'>,
  accountId: string,
  id: string,
): Promise<ListedInvoice | undefined> {
  const item = await deps.table.get(keys.invoice(accountId, id))
  return item && listedInvoice(z.parse(invoiceSchema, item))
}

/** How long a receipt's link is shown as it was read. Stripe lets a link expire 30 days after that. */
const RECEIPT_FRESH_MS = 7 * DAY_MS
const RECEIPT_EXPIRES_MS = 30 * DAY_MS

/**
 * One payment with its card and the link to its receipt. Reading it asks Stripe for a new link at most once a
 * week.
 * @throws DomainError `not_found` if the account has no paid purchase with this id
 */
export async function readInvoice(
  deps: Deps<'table' | 'payments'>,
  account: Account,
  id: string,
): Promise<Invoice> {
  // Never put untrusted text into a sort key, which DynamoDB limits to 1,024 bytes.
  const purchase = /^[0-9a-f]{24}$/.test(id) ? await readPurchase(deps, account.id, id) : undefined
  if (purchase?.state !== 'credited') throw new DomainError('not_found')
  return invoiceOf(await withReceipt(deps, purchase))
}

/**
 * The newest payment of the account, as `readInvoice` shows it.
 * @throws DomainError `not_found` if the account has paid nothing yet
 */
export async function readLastInvoice(deps: Deps<'table' | 'payments'>, account: Account): Promise<Invoice> {
  const { invoices } = await listInvoices(deps, account, { limit: 1 })
  return readInvoice(deps, account, invoices[0]?.id ?? '')
}

/** The purchase with a receipt whose link works. While the provider does not answer, a link may be missing. */
async function withReceipt(deps: Deps<'table' | 'payments'>, purchase: Purchase): Promise<Purchase> {
  const { accountId, id: purchaseId, paidAtMs = 0, receiptAtMs = paidAtMs } = purchase
  const ageMs = deps.clock.nowMs() - receiptAtMs
  if (ageMs < RECEIPT_FRESH_MS) return purchase
  try {
    const payment = await deps.payments.readPayment(purchase.paymentId ?? '')
    return await storeReceipt(deps, purchase, payment?.receipt)
  } catch (error) {
    const what = 'the link to a receipt could not be renewed; the next reading of the invoice tries again'
    deps.log.warn(what, error, { accountId, purchaseId })
    return ageMs < RECEIPT_EXPIRES_MS ? purchase : { ...purchase, receiptUrl: undefined }
  }
}

async function storeReceipt(
  deps: Deps<'table'>,
  purchase: Purchase,
  receipt: Receipt | undefined,
): Promise<Purchase> {
  const now = { ...purchase, receiptUrl: receipt?.url, receiptAtMs: deps.clock.nowMs() }
  const set = expr`SET #receiptUrl = ${now.receiptUrl}, #receiptAtMs = ${now.receiptAtMs}`
  const without = expr`SET #receiptAtMs = ${now.receiptAtMs} REMOVE #receiptUrl`
  await deps.table
    .update(
      keys.purchase(purchase.accountId, purchase.id),
      now.receiptUrl === undefined ? without : set,
      expr`#state = ${'credited'}`,
    )
    .catch(ignoreRefusal)
  return now
}
