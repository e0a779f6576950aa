import type { Account } from '../account/account.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { type Purchase, parsePurchase, readPurchase } from './purchase.ts'

/** What is on an invoice's face. Amounts in dollars, days in UTC. */
const face = (purchase: Purchase) => ({
  amount: purchase.amountCents / 100,
  status: statusOf(purchase),
  paidDay: new Date(purchase.paidAtMs ?? purchase.createdAtMs).toISOString().slice(0, 10),
})

function statusOf({ amountCents, refundedCents, disputedCents }: Purchase) {
  if (disputedCents > 0) return 'disputed' as const
  if (refundedCents === 0) return 'paid' as const
  return refundedCents < amountCents ? ('partially_refunded' as const) : ('refunded' as const)
}

const isPaid = ({ state }: Purchase) => state === 'credited'

/**
 * The account's payments, newest first: one read, and no call to Stripe.
 * @param page.cursor the id of the last purchase looked at.
 */
export async function listInvoices(
  deps: Deps<'table'>,
  account: Account,
  page: { limit: number; cursor?: string | undefined },
) {
  const items = await deps.table.list(keys.account(account.id), 'PURCHASE#', {
    limit: page.limit + 1,
    newestFirst: true,
    ...(page.cursor !== undefined && { after: keys.purchase(account.id, page.cursor) }),
  })
  const purchases = items.slice(0, page.limit).map(parsePurchase)
  return {
    invoices: purchases.filter(isPaid).map((purchase) => ({ id: purchase.id, ...face(purchase) })),
    next: items.length > page.limit ? purchases.at(-1)?.id : undefined,
  }
}

/** @throws DomainError `not_found` for what is no payment of the account */
export async function readInvoice(deps: Deps<'table'>, account: Account, id: string) {
  // Text from outside is no part of a sort key, which may have 1,024 bytes.
  const purchase = /^[0-9a-f]{24}$/.test(id) ? await readPurchase(deps, account.id, id) : undefined
  if (!purchase || !isPaid(purchase)) throw new DomainError('not_found')
  const { bundle, units, brand = '', last4 = '', receiptUrl } = purchase
  return {
    ...face(purchase),
    description: `${bundle} (${units} invocations)`,
    payment: { card: { brand, last4 }, receiptUrl: receiptUrl ?? null },
  }
}
