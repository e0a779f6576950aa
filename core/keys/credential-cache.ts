import type { Deps } from '../ports.ts'
import { cacheEntry } from '../quota/container-cache.ts'
import type { Key } from '../table/keys.ts'
import type { Item, Table } from '../table/table.ts'
import { type CredentialText, credentialCheck, credentialHash } from './credential-text.ts'

/** How long a container remembers what it has read about a credential. A revocation takes effect within this time. */
export const REMEMBERED_MS = 30_000

/** Number of credentials that a container remembers. */
const REMEMBERED = 100

/** A credential as a container has read it. */
interface Read<T> {
  /** When the read began, epoch ms. */
  sinceMs: number
  /** Whom the credential belongs to; undefined for one that was revoked. */
  owner: Promise<T | undefined>
}

/** Finds whom a credential belongs to; undefined for one that is unknown or was revoked. */
type Find<T> = (deps: Deps<'table' | 'keyring'>, credential: string) => Promise<T | undefined>

/**
 * The look-up of a kind of credential. A container reads a credential once in 30 seconds, however many requests bring it
 * at once.
 * @param keyOf the item that leads from a credential's hash to its owner.
 */
export function credentialFinder<T>(
  kind: CredentialText,
  keyOf: (hash: string) => Key,
  parse: (item: Item) => T,
): Find<T> {
  /** By the credential's hash; one map per table connection, so that connections do not share it. */
  const reads = new WeakMap<Table, Map<string, Read<T>>>()

  const read = (deps: Deps<'table'>, hash: string): Promise<T | undefined> =>
    deps.table.get(keyOf(hash)).then((item) => item && parse(item))

  function readOnce(deps: Deps<'table'>, hash: string): Promise<T | undefined> {
    const known = reads.get(deps.table) ?? new Map<string, Read<T>>()
    reads.set(deps.table, known)
    const nowMs = deps.clock.nowMs()
    const last = known.get(hash)
    // A clock that is set back must not prolong what is remembered.
    if (last && nowMs >= last.sinceMs && nowMs < last.sinceMs + REMEMBERED_MS) return last.owner
    const owner = read(deps, hash)
    const entry = { sinceMs: nowMs, owner }
    cacheEntry(known, hash, entry, REMEMBERED)
    // A failure is not remembered. A later read may have taken the place of this one.
    owner.catch(() => known.get(hash) === entry && known.delete(hash))
    return owner
  }

  return async (deps, credential) => {
    const check = credentialCheck(deps, kind, credential)
    if (check === 'wrong') return undefined
    const hash = credentialHash(kind, credential)
    // What may be made up is not remembered, because it would push out what is real.
    return check === 'right' ? readOnce(deps, hash) : read(deps, hash)
  }
}
