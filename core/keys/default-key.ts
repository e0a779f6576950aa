import type { Profile } from '../account/account.ts'
import type { Deps } from '../ports.ts'
import { type Key, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { keyHash } from './key-text.ts'

const PURPOSE = 'default-key'

export interface NewDefaultKey {
  key: string
  /** For the profile, so that the owner can read the key again. */
  sealed: string
  /** For the counter, where a consume checks the key. */
  hash: Buffer
  /** Leads from the key to its account, which a UUID does not name. */
  lookup: Item
}

/** The account's default application key: a version 4 UUID, as GreenCloud's page shows it. */
export function newDefaultKey(deps: Deps<'keyring'>, accountId: string): NewDefaultKey {
  const key = deps.ids.uuid()
  return {
    key,
    sealed: deps.keyring.seal(PURPOSE, accountId, key),
    hash: keyHash(deps, key),
    lookup: { ...defaultKeyLookupOf(deps, key), accountId },
  }
}

/** The default key in clear text, which only its owner may see. */
export const readDefaultKey = (deps: Deps<'keyring'>, profile: Profile): string =>
  deps.keyring.open(PURPOSE, profile.id, profile.defaultKey)

/** Where the look-up item of an account's default key stands. */
export const defaultKeyLookup = (deps: Deps<'keyring'>, profile: Profile): Key =>
  defaultKeyLookupOf(deps, readDefaultKey(deps, profile))

/** The key of the look-up item for a default key that a caller has sent. */
export const defaultKeyLookupOf = (deps: Deps<'keyring'>, key: string): Key =>
  keys.defaultKey(deps.keyring.mac(PURPOSE, key).toString('base64url'))
