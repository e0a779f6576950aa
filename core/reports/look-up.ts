import { emailKey, usernameKey } from '../account/fields.ts'
import { INVOICES, keyList } from '../account/listed.ts'
import type { Deps } from '../ports.ts'
import { accountIdIn, type Key, keys, paymentKey } from '../table/keys.ts'
import type { ListedEntry } from '../table/table.ts'

const ID = /^[0-9a-f]{24}$/

/** Ids of accounts begin with a second since 1970, those of purchases with 12 digits of milliseconds, so with a 0. */
const isPurchaseId = (id: string): boolean => id.startsWith('0')

/** The ends of a key as lists show them, or with a space between them. */
const KEY_ENDS = /^(\S{8})(?:\.\.\.|…|\s+)(\S{4})$/u

/** Accounts that are shown of those whose keys begin and end alike. */
const MOST_ALIKE = 5

/**
 * The ids of the accounts that a text names: an e-mail address, a username, an account's id, a customer of Stripe
 * (`cus_…`), a payment (`pi_…`), an invoice's id, or the first 8 and the last 4 characters of an application key. One
 * read at most, and for a text that looks like the ends of a key two: it may be a username.
 * @returns no id if nothing has the name. More than one only for keys that look alike.
 */
export async function findAccountIds(deps: Deps<'table' | 'listing'>, text: string): Promise<string[]> {
  if (ID.test(text)) return isPurchaseId(text) ? ownersOf(await entryOf(deps, INVOICES, text)) : [text]
  if (text.includes('@')) return ownerIn(deps, keys.emailGuard(emailKey(text)))
  if (/^cus_\w+$/.test(text)) return ownerIn(deps, keys.customerOwner(text))
  if (/^pi_\w+$/.test(text)) return ownerIn(deps, paymentKey(text))
  const [, prefix, last4] = KEY_ENDS.exec(text) ?? []
  if (prefix !== undefined && last4 !== undefined) {
    const alike = ownersOf(await deps.listing.listed(keyList(prefix, last4), ALL, MOST_ALIKE))
    if (alike.length > 0) return alike
  }
  return ownerIn(deps, keys.usernameGuard(usernameKey(text)))
}

/** Between these two lie all ids. */
const ALL = ['0', '~'] as const

const entryOf = (deps: Deps<'listing'>, list: string, id: string): Promise<ListedEntry[]> =>
  deps.listing.listed(list, [id, id], 1)

async function ownerIn(deps: Deps<'table'>, key: Key): Promise<string[]> {
  const owner = (await deps.table.get(key))?.accountId
  return typeof owner === 'string' ? [owner] : []
}

/** The accounts of entries: an item of an account's partition, or a look-up whose entry has the account's id. */
function ownersOf(entries: readonly ListedEntry[]): string[] {
  const isOwn = ({ pk }: Key) => pk.startsWith(keys.account(''))
  return [...new Set(entries.map((entry) => (isOwn(entry) ? accountIdIn(entry) : entry.id)))]
}
