import type { Profile } from '../account/account.ts'
import { keyList } from '../account/listed.ts'
import type { Deps } from '../ports.ts'
import { resealed } from '../rotation.ts'
import { type Expression, expr } from '../table/expression.ts'
import { type Key, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { HASH_BYTES, keyDigest, keyEnds } from './key-text.ts'

const PURPOSE = 'seal:default-key'

/** What the profile has of its default key. */
export type DefaultKeyParts = Pick<Profile, 'defaultKey' | 'defaultKeyDigest' | 'defaultKeyEnds'>

export interface NewDefaultKey {
  key: string
  parts: DefaultKeyParts
  /** The hash for the counter, against which a consume checks the key. */
  hash: Buffer
  /** Item that leads from the key to its account, because a UUID does not name an account. */
  lookup: Item
}

/** Makes an account's default application key: a version 4 UUID, as GreenCloud's page shows it. */
export function newDefaultKey(deps: Deps<'keyring'>, accountId: string): NewDefaultKey {
  const key = deps.ids.uuid()
  const { prefix, last4 } = keyEnds(key)
  const parts = {
    defaultKey: deps.keyring.seal(PURPOSE, accountId, key),
    defaultKeyDigest: keyDigest(key).toString('base64url'),
    defaultKeyEnds: { prefix, last4 },
  }
  return {
    key,
    parts,
    hash: defaultKeyHash(parts),
    lookup: {
      ...defaultKeyLookup(parts),
      accountId,
      // By which an operator finds the account.
      status: keyList(prefix, last4),
      id: accountId,
    },
  }
}

/** The assignments with which a new default key takes the place of the one before. */
export const defaultKeySet = ({ parts }: NewDefaultKey, nowMs: number): Expression =>
  expr`#defaultKey = ${parts.defaultKey}, #defaultKeyDigest = ${parts.defaultKeyDigest}, #defaultKeyEnds = ${parts.defaultKeyEnds}, #defaultKeyAtMs = ${nowMs}`

/**
 * The default key in plain text, for its owner only.
 * @returns undefined if the root secret is lost with which it was sealed; the key works all the same.
 */
export const readDefaultKey = (deps: Deps<'keyring'>, profile: Profile): string | undefined =>
  deps.keyring.open(PURPOSE, profile.id, profile.defaultKey)

/** The default key sealed with the root secret in use; undefined if it is, or cannot be read. */
export const resealedDefaultKey = (deps: Deps<'keyring'>, profile: Profile): string | undefined =>
  resealed(deps, PURPOSE, profile.id, profile.defaultKey)

/** The hash of an account's default key. */
export const defaultKeyHash = ({ defaultKeyDigest }: Pick<Profile, 'defaultKeyDigest'>): Buffer =>
  Buffer.from(defaultKeyDigest, 'base64url').subarray(0, HASH_BYTES)

/** The table's key of the look-up item of an account's default key. */
export const defaultKeyLookup = ({ defaultKeyDigest }: Pick<Profile, 'defaultKeyDigest'>): Key =>
  keys.defaultKey(defaultKeyDigest)

/** The table's key of the look-up item of a default key that a request brings. */
export const defaultKeyLookupOf = (key: string): Key => keys.defaultKey(keyDigest(key).toString('base64url'))
