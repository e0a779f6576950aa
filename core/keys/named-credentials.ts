import * as z from 'zod/mini'
import { type Audited, auditWrites } from '../audit/entry.ts'
import { announceRevoked } from '../events/outbox.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import type { Key } from '../table/keys.ts'
import { ConditionFailed, type Item, type Write } from '../table/table.ts'
import { type CredentialText, credentialHash, newCredential } from './credential-text.ts'

/*
 * Credentials that programs of the company have, each by a name: services and admin keys.
 *
 * - A credential has an item by its name, for the operators' list, and one by its hash, which a request reads. A
 *   transaction writes both, so a name has at most one live credential.
 * - Revoking removes the item of the hash, and keeps the name with the time. The name may be used again.
 */

type CredentialDeps = Deps<'table' | 'keyring'>

/** What is stored of each credential by its name. */
export const credentialMembers = {
  name: z.string(),
  hash: z.string(),
  last4: z.string(),
  createdAtMs: z.number(),
  revokedAtMs: z.optional(z.number()),
}

/** A credential as its list shows it. */
export interface NamedCredential {
  name: string
  /** The last characters of the credential, which tell it apart. */
  last4: string
  /** Epoch ms. */
  createdAtMs: number
  /** Epoch ms; undefined while the credential is live. */
  revokedAtMs?: number | undefined
}

/** A kind of credential, and where it is stored. */
export interface CredentialKind<T extends NamedCredential> {
  text: CredentialText
  /** What the event of its revocation calls it. */
  what: 'service' | 'admin-key'
  /** The partition of the list, and what begins the sort keys there. */
  list: string
  prefix: string
  lookupKey(hash: string): Key
  parse(item: Item): T & { hash: string }
}

const listKey = ({ list, prefix }: CredentialKind<NamedCredential>, name: string): Key => ({
  pk: list,
  sk: prefix + name,
})

/** What a caller of `addCredential` decides. */
type Own<T extends NamedCredential> = Omit<T, 'last4' | 'createdAtMs' | 'revokedAtMs'> & { name: string }

/**
 * Makes a credential, whose text cannot be read again later.
 * @param own what both items hold.
 * @throws ConditionFailed if the name belongs to a live credential, or a condition of `writes` does not hold
 */
export async function addCredential<T extends NamedCredential>(
  deps: CredentialDeps,
  kind: CredentialKind<T>,
  own: Own<T>,
  audited: Audited,
  writes: readonly Write[] = [],
): Promise<{ added: T; credential: string }> {
  const credential = newCredential(deps, kind.text)
  const hash = credentialHash(kind.text, credential)
  const added = { ...own, last4: credential.slice(-4), createdAtMs: deps.clock.nowMs() }
  await deps.table.transact([
    {
      put: { ...listKey(kind, own.name), ...added, hash },
      if: expr`attribute_not_exists(pk) OR attribute_exists(#revokedAtMs)`,
    },
    { put: { ...kind.lookupKey(hash), ...own }, if: expr`attribute_not_exists(pk)` },
    ...writes,
    ...auditWrites(deps, audited),
  ])
  return { added: added as unknown as T, credential }
}

/** All credentials of a kind, those that were revoked too, by name. */
export async function listCredentials<T extends NamedCredential>(
  deps: Deps<'table'>,
  kind: CredentialKind<T>,
): Promise<Omit<T, 'hash'>[]> {
  const items = await deps.table.list(kind.list, kind.prefix)
  return items.map((item) => withoutHash(kind.parse(item)))
}

/**
 * Revokes a credential for good. Requests with it are refused within `REMEMBERED_MS`.
 * @returns the credential; one that was revoked before is returned as it is, and undefined for an unknown name
 */
export async function revokeCredential<T extends NamedCredential>(
  deps: CredentialDeps,
  kind: CredentialKind<T>,
  name: string,
  audited: Audited,
): Promise<Omit<T, 'hash'> | undefined> {
  const item = await deps.table.get(listKey(kind, name))
  if (!item) return undefined
  const { hash, ...live } = kind.parse(item)
  const known = live as Omit<T, 'hash'>
  if (known.revokedAtMs !== undefined) return known
  const revokedAtMs = deps.clock.nowMs()
  try {
    await deps.table.transact([
      {
        update: listKey(kind, name),
        set: expr`SET #revokedAtMs = ${revokedAtMs}`,
        if: expr`#hash = ${hash} AND attribute_not_exists(#revokedAtMs)`,
      },
      { remove: kind.lookupKey(hash) },
      announceRevoked(deps, kind.what, name),
      ...auditWrites(deps, audited),
    ])
  } catch (error) {
    // Otherwise another request has revoked the credential meanwhile, and the name may have a new one.
    if (!(error instanceof ConditionFailed)) throw error
  }
  return { ...known, revokedAtMs }
}

const withoutHash = <T extends { hash: string }>({ hash: _, ...rest }: T): Omit<T, 'hash'> => rest
