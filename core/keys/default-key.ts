import type { Profile } from '../account/account.ts'
import { keyList } from '../account/listed.ts'
import type { Deps } from '../ports.ts'
import { type Key, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { keyEnds, keyHash } from './key-text.ts'

const PURPOSE = 'default-key'

export interface NewDefaultKey {
  key: string
  /** The encrypted key for the profile, from which its owner can read the key again. */
  sealed: string
  /** The hash for the counter, against which a consume checks the key. */
  hash: Buffer
  /** Item that leads from the key to its account, because a UUID does not name an account. */
  lookup: Item
}

/** Makes an account's default application key: a version 4 UUID, as GreenCloud's page shows it. */
export function newDefaultKey(deps: Deps<'keyring'>, accountId: string): NewDefaultKey {
  const key = deps.ids.uuid()
  const { prefix, last4 } = keyEnds(key)
  return {
    key,
    sealed: deps.keyring.seal(PURPOSE, accountId, key),
    hash: keyHash(deps, key),
    lookup: {
      ...defaultKeyLookupOf(deps, key),
      accountId,
      // By which an operator finds the account.
      status: keyList(prefix, last4),
      id: accountId,
    },
  }
}

/** The default key in plain text, for its owner only. */
export const readDefaultKey = (deps: Deps<'keyring'>, profile: Profile): string =>
  deps.keyring.open(PURPOSE, profile.id, profile.defaultKey)

/** The table's key of the look-up item of an account's default key. */
export const defaultKeyLookup = (deps: Deps<'keyring'>, profile: Profile): Key =>
  defaultKeyLookupOf(deps, readDefaultKey(deps, profile))

/** The table's key of the look-up item of a default key that a request brings. */
export const defaultKeyLookupOf = (deps: Deps<'keyring'>, key: string): Key =>
  keys.defaultKey(deps.keyring.mac(PURPOSE, key).toString('base64url'))
