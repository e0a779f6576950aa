import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { cacheEntry } from '../quota/container-cache.ts'
import { stored } from '../table/stored.ts'
import type { Table } from '../table/table.ts'
import { isServiceText, serviceHash, serviceKey } from './service-text.ts'

/** How long a container remembers what it has read about a credential. A revocation takes effect within this time. */
export const REMEMBERED_MS = 30_000

/** Number of credentials that a container remembers. */
const REMEMBERED = 100

/** A credential as a container has read it. */
interface Read {
  /** When the read began, epoch ms. */
  sinceMs: number
  /** The service's name; undefined for a credential that was revoked. */
  name: Promise<string | undefined>
}

/** By the credential's hash; one map per table connection, so that connections do not share it. */
const reads = new WeakMap<Table, Map<string, Read>>()

/**
 * Finds the service that a credential belongs to. A container reads a credential once in 30 seconds, however many
 * requests bring it at once.
 * @returns the service's name
 * @throws DomainError `service_refused` for a credential that is unknown or was revoked, `temporarily_unavailable`
 */
export async function findService(deps: Deps<'table' | 'keyring'>, credential: string): Promise<string> {
  if (!isServiceText(deps, credential)) throw new DomainError('service_refused')
  const name = await readOnce(deps, serviceHash(deps, credential))
  if (name === undefined) throw new DomainError('service_refused')
  return name
}

function readOnce(deps: Deps<'table'>, hash: string): Promise<string | undefined> {
  const known = reads.get(deps.table) ?? new Map<string, Read>()
  reads.set(deps.table, known)
  const nowMs = deps.clock.nowMs()
  const last = known.get(hash)
  // A clock that is set back must not prolong what is remembered.
  if (last && nowMs >= last.sinceMs && nowMs < last.sinceMs + REMEMBERED_MS) return last.name
  const name = deps.table.get(serviceKey(hash)).then((item) => item && stored(item, 'name', 'string'))
  const read = { sinceMs: nowMs, name }
  cacheEntry(known, hash, read, REMEMBERED)
  // A failure is not remembered. A later read may have taken the place of this one.
  name.catch(() => known.get(hash) === read && known.delete(hash))
  return name
}
