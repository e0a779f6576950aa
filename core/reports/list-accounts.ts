import { type Account, readAccount } from '../account/account.ts'
import { bundleList, EVERY_ACCOUNT, owes } from '../account/listed.ts'
import { isUndeliverable } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY } from '../purchases/catalogue.ts'
import { isLowQuota } from '../quota/thresholds.ts'
import { accountIdIn } from '../table/keys.ts'
import { type Standing, standingOf, statusOf } from './standing.ts'

/** Which accounts to list: those for which all of this is true. */
export interface AccountFilter {
  /** Without it all but erased accounts. */
  standing?: Standing | undefined
  bundle?: string | undefined
  /** Whether they have ever bought something. */
  paid?: boolean | undefined
  /** Only those with less than a tenth of their bundle left. */
  low?: boolean | undefined
  /** Only those that owe units or money. */
  owed?: boolean | undefined
  /** Only those whose mail does not arrive. */
  undeliverable?: boolean | undefined
  /** When they were registered, epoch ms, both included. */
  fromMs?: number | undefined
  toMs?: number | undefined
}

/** A line of the list, as the account is now. */
export interface ListedAccount {
  account: Account
  standing: Standing
  isLow: boolean
  owes: boolean
  isUndeliverable: boolean
  /** ISO 4217: the currency of the balance. */
  currency: string
}

export const LIST_MOST = 25

/** Accounts that are looked at for one page, at most. */
const LOOKS = 100

/**
 * A page of accounts, the newest first. The index names the accounts of one list, which one of the filters chooses; the
 * accounts themselves are read, so that a page shows what is true now, and the other filters are checked on them. At
 * most `LOOKS` accounts are looked at, so a page costs the same however many accounts there are; with several filters it
 * may have less than `LIST_MOST` lines, or none, although others follow.
 * @param cursor `next` of the page before.
 * @returns `next`, the cursor of the next page; undefined on the last page.
 */
export async function listAccounts(
  deps: Deps<'table' | 'listing'>,
  filter: AccountFilter,
  cursor?: string,
): Promise<{ accounts: ListedAccount[]; next: string | undefined }> {
  const lists = listsOf(filter)
  const between = idsBetween(filter, cursor)
  if (between[0] > between[1]) return { accounts: [], next: undefined }
  // One more tells whether others follow.
  const most = (isWhollyListed(filter) ? LIST_MOST : LOOKS) + 1
  const found = await Promise.all(lists.map((list) => deps.listing.listed(list, between, most)))
  // Every list is complete down to its last entry, so the first of all of them are, too.
  const ids = [...new Set(found.flat().map(accountIdIn))].sort().reverse().slice(0, most)
  const accounts: ListedAccount[] = []
  let looked = 0
  while (looked < Math.min(ids.length, most - 1) && accounts.length < LIST_MOST) {
    const some = ids.slice(looked, Math.min(looked + LIST_MOST - accounts.length, most - 1))
    const read = await Promise.all(some.map((id) => readAccount(deps, id)))
    accounts.push(
      ...read.flatMap((account) => (account && matches(account, filter) ? [lineOf(account)] : [])),
    )
    looked += some.length
  }
  return { accounts, next: looked < ids.length ? ids[looked - 1] : undefined }
}

/** The lists that have every account for which the filter is true. The first filter that is set has the rarest. */
function listsOf({ low, owed, undeliverable, bundle, paid, standing }: AccountFilter): string[] {
  if (low) return ['low']
  if (owed) return ['owed']
  if (undeliverable) return ['undeliverable']
  if (standing !== undefined && statusOf[standing] !== 'active') return [statusOf[standing]]
  if (bundle !== undefined) return [bundleList(bundle)]
  if (paid) return ['paid']
  return standing === undefined ? [...EVERY_ACCOUNT] : ['active']
}

/** Whether nearly every account of the lists matches. */
const isWhollyListed = ({ fromMs: _, toMs: __, ...filters }: AccountFilter): boolean =>
  Object.values(filters).filter((each) => each !== undefined).length < 2 && filters.paid !== false

/** The ids between which the accounts lie: an id begins with the second of the registration. */
function idsBetween({ fromMs, toMs }: AccountFilter, cursor: string | undefined): [string, string] {
  const from = fromMs === undefined ? '0' : idAt(fromMs).padEnd(24, '0')
  const to = toMs === undefined ? 'f'.repeat(24) : idAt(toMs).padEnd(24, 'f')
  const below = cursor === undefined ? to : before(cursor)
  return [from, below < to ? below : to]
}

const idAt = (atMs: number): string =>
  Math.max(0, Math.floor(atMs / 1000))
    .toString(16)
    .padStart(8, '0')

/** The greatest id before this one. */
const before = (id: string): string => (BigInt(`0x${id}`) - 1n).toString(16).padStart(24, '0')

function matches(account: Account, filter: AccountFilter): boolean {
  const { fromMs = 0, toMs = Number.POSITIVE_INFINITY } = filter
  const line = lineOf(account)
  const isAs = (wanted: boolean | undefined, is: boolean) => wanted === undefined || wanted === is
  return (
    (filter.standing === undefined ? line.standing !== 'erased' : line.standing === filter.standing) &&
    (filter.bundle === undefined || account.bundle === filter.bundle) &&
    isAs(filter.paid, account.paid) &&
    isAs(filter.low, line.isLow) &&
    isAs(filter.owed, line.owes) &&
    isAs(filter.undeliverable, line.isUndeliverable) &&
    account.createdAtMs >= fromMs &&
    account.createdAtMs <= toMs
  )
}

const lineOf = (account: Account): ListedAccount => ({
  account,
  standing: standingOf(account),
  isLow: account.quota !== undefined && isLowQuota(account.quota.left, account.quota),
  owes: owes(account),
  isUndeliverable: isUndeliverable(account),
  currency: CURRENCY,
})
