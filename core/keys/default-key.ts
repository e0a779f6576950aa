import type { Profile } from '../account/account.ts'
import { keyList } from '../account/listed.ts'
import { bytesOfBase64url } from '../base64url.ts'
import type { Deps } from '../ports.ts'
import { resealed } from '../rotation.ts'
import { type Expression, expr } from '../table/expression.ts'
import { type Key, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { keyEnds, keyHash } from './key-text.ts'

const PURPOSE = 'seal:default-key'

/** What the profile has of its default key. */
export type DefaultKeyParts = Pick<Profile, 'defaultKey' | 'keyHash'>

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
  const hash = keyHash(key)
  return {
    key,
    parts: {
      defaultKey: deps.keyring.seal(PURPOSE, accountId, packed(key)),
      keyHash: hash.toString('base64url'),
    },
    hash,
    lookup: {
      ...defaultKeyLookupOf(hash),
      accountId,
      // By which an operator finds the account.
      status: keyList(prefix, last4),
      id: accountId,
    },
  }
}

/** A UUID in 22 characters, because each byte of a profile counts. */
const packed = (key: string): string => Buffer.from(key.replaceAll('-', ''), 'hex').toString('base64url')

const unpacked = (text: string): string =>
  (bytesOfBase64url(text) ?? Buffer.alloc(0))
    .toString('hex')
    .replace(/(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')

/** The assignments with which a new default key takes the place of the one before. */
export const defaultKeySet = ({ parts }: NewDefaultKey, nowMs: number): Expression =>
  expr`#defaultKey = ${parts.defaultKey}, #keyHash = ${parts.keyHash}, #defaultKeyAtMs = ${nowMs}`

/**
 * The default key in plain text, for its owner only.
 * @returns undefined if the root secret is lost with which it was sealed; the key works all the same.
 */
export function readDefaultKey(deps: Deps<'keyring'>, profile: Profile): string | undefined {
  const text = deps.keyring.open(PURPOSE, profile.id, profile.defaultKey)
  return text === undefined ? undefined : unpacked(text)
}

/** Enough of the default key to recognise it; nothing of a key that cannot be read. */
export const defaultKeyEnds = (deps: Deps<'keyring'>, profile: Profile) =>
  keyEnds(readDefaultKey(deps, profile) ?? '')

/** The default key sealed with the root secret in use; undefined if it is, or cannot be read. */
export const resealedDefaultKey = (deps: Deps<'keyring'>, profile: Profile): string | undefined =>
  resealed(deps, PURPOSE, profile.id, profile.defaultKey)

/** The hash of an account's default key. */
export const defaultKeyHash = (profile: Pick<Profile, 'keyHash'>): Buffer =>
  bytesOfBase64url(profile.keyHash) ?? Buffer.alloc(0)

/** The table's key of the look-up item of an account's default key. */
export const defaultKeyLookup = (profile: Pick<Profile, 'keyHash'>): Key => keys.defaultKey(profile.keyHash)

/** The table's key of the look-up item of the default key with this hash. */
export const defaultKeyLookupOf = (hash: Buffer): Key => keys.defaultKey(hash.toString('base64url'))
