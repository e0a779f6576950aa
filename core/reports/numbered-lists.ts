import { type Account, readAccount } from '../account/account.ts'
import { EVERY_ACCOUNT, INVOICES } from '../account/listed.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type ListedInvoice, listInvoices, readListedInvoice } from '../purchases/invoices.ts'
import { accountIdIn } from '../table/keys.ts'
import { entriesUpTo, type NumberedPage, pageOf } from './page-number.ts'

/** An invoice with the account that paid it. */
export type OwnedInvoice = ListedInvoice & { accountId: string }

/** The first and the last text that an id may be. */
const ALL_IDS = ['0', '~'] as const

/**
 * A page of all accounts but erased ones, the newest first: one Query of the index for each status, and one of each
 * account that is shown. Accounts that are erased meanwhile are missing on their page.
 */
export async function accountsByPage(
  deps: Deps<'table' | 'listing'>,
  page: NumberedPage,
): Promise<{ accounts: Account[]; hasNext: boolean }> {
  const found = await Promise.all(
    EVERY_ACCOUNT.map((list) => deps.listing.listed(list, ALL_IDS, entriesUpTo(page))),
  )
  // Every list is complete down to its last entry, so the first of all of them are, too.
  const ids = [...new Set(found.flat().map(accountIdIn))].sort().reverse()
  const { entries, hasNext } = pageOf(ids, page)
  const accounts = await Promise.all(entries.map((id) => readAccount(deps, id)))
  return {
    accounts: accounts.filter((account) => account && account.status !== 'erased') as Account[],
    hasNext,
  }
}

/** A page of the invoices of all accounts, the newest purchase first: one Query of the index, and one read for each. */
export async function invoicesByPage(
  deps: Deps<'table' | 'listing'>,
  page: NumberedPage,
): Promise<{ invoices: OwnedInvoice[]; hasNext: boolean }> {
  const { entries, hasNext } = pageOf(await deps.listing.listed(INVOICES, ALL_IDS, entriesUpTo(page)), page)
  const invoices = entries.map(async (entry) => {
    const accountId = accountIdIn(entry)
    const invoice = await readListedInvoice(deps, accountId, entry.id)
    return invoice ? [{ ...invoice, accountId }] : []
  })
  return { invoices: (await Promise.all(invoices)).flat(), hasNext }
}

/**
 * A page of the invoices of an account, the newest first: one Query, also for those of an erased account.
 * @throws DomainError `not_found` for an unknown account
 */
export async function invoicesOfAccountByPage(
  deps: Deps<'table'>,
  accountId: string,
  page: NumberedPage,
): Promise<{ invoices: OwnedInvoice[]; hasNext: boolean }> {
  const upTo = { limit: page.page * page.limit }
  const [account, { invoices, next }] = await Promise.all([
    readAccount(deps, accountId),
    listInvoices(deps, { id: accountId }, upTo),
  ])
  if (!account) throw new DomainError('not_found')
  const { entries } = pageOf(invoices, page)
  return { invoices: entries.map((invoice) => ({ ...invoice, accountId })), hasNext: next !== undefined }
}
