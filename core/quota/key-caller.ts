import { timingSafeEqual } from 'node:crypto'
import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import { defaultKeyLookupOf } from '../keys/default-key.ts'
import { keyHash, readKeyText } from '../keys/key-text.ts'
import type { Deps } from '../ports.ts'
import type { Item } from '../table/table.ts'
import { cacheEntry, cacheOf } from './container-cache.ts'
import { DEFAULT_KEY_SLOT, keyHashAttribute } from './quota.ts'

/** What consuming needs. */
export type QuotaDeps = Deps<'table' | 'keyring'>

/** Whose application key it is; that it still lives, the write that spends checks by its hash. */
export interface KeyCaller {
  accountId: string
  slot: number
  hash: Buffer
}

/** A default key: a version 4 UUID. It stands in slot 0 and says nothing of its account. */
const DEFAULT_KEY = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const lookupSchema = z.object({ accountId: z.string() })

/** Default keys whose account a container remembers. */
const REMEMBERED = 10_000

export const wrongKey = () => new DomainError('unauthorized', { detail: 'Send a valid application key.' })

/**
 * Whose key it is. No call for a further key, right or wrong; one read for a default key that this container has not
 * seen before.
 * @throws DomainError `unauthorized`
 */
export async function readKeyCaller(deps: Deps<'table' | 'keyring'>, key: string): Promise<KeyCaller> {
  const named = readKeyText(deps, key)
  if (named) return { ...named, hash: keyHash(deps, key) }
  if (!DEFAULT_KEY.test(key)) throw wrongKey()
  const hash = keyHash(deps, key)
  const { owners } = cacheOf(deps.table)
  const known = owners.get(hash.toString('hex'))
  if (known !== undefined) return { accountId: known, slot: DEFAULT_KEY_SLOT, hash }
  const item = await deps.table.get(defaultKeyLookupOf(deps, key))
  // Guesses are not remembered: they would push out what is worth it.
  if (!item) throw wrongKey()
  const { accountId } = z.parse(lookupSchema, item)
  cacheEntry(owners, hash.toString('hex'), accountId, REMEMBERED)
  return { accountId, slot: DEFAULT_KEY_SLOT, hash }
}

/** Whether the counter still has the caller's key. */
export function isLiveKey(counter: Item, { slot, hash }: KeyCaller): boolean {
  const stored = counter[keyHashAttribute(slot)]
  return stored instanceof Uint8Array && stored.length === hash.length && timingSafeEqual(stored, hash)
}
