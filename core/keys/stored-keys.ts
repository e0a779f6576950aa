import * as z from 'zod/mini'
import { keyList } from '../account/listed.ts'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import type { Item, Write } from '../table/table.ts'
import { DEFAULT_KEY_ID, FIXED_KEY_IDS } from './key-text.ts'
import type { KeySettings } from './settings.ts'

const isBinary = (value: unknown): boolean => value instanceof Uint8Array

const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  slot: z.number(),
  prefix: z.string(),
  last4: z.string(),
  createdAtMs: z.number(),
  /** When its name or a setting was changed last, epoch ms. */
  changedAtMs: z.optional(z.number()),
  hash: z.custom<Uint8Array>(isBinary),
  revision: z.optional(z.number()),
  settings: z.optional(z.custom<KeySettings>()),
  previous: z.optional(
    z.object({
      hash: z.custom<Uint8Array>(isBinary),
      untilMs: z.number(),
      /** Leads from an earlier default key to its account. A further key names its account. */
      lookup: z.optional(z.object({ pk: z.string(), sk: z.string() })),
    }),
  ),
})

/**
 * A key as it is stored: enough to recognise and check it, and nothing to use it with. `KeyRecord` explains `revision`,
 * `settings` and `previous`. The default key has an item only since it has had settings or a grace period.
 */
export type StoredKey = z.infer<typeof keySchema>

/**
 * Writes with which a grace period ends before its time. Without the look-up the earlier default key is refused after one
 * read, as any unknown key, and reaches no account's counter.
 */
export const graceEnds = ({ previous }: StoredKey): Write[] =>
  previous?.lookup ? [{ remove: previous.lookup }] : []

/** Reads a stored key. @throws Error if the item is not a key. */
export const parseKey = (item: unknown): StoredKey => z.parse(keySchema, item)

/** The item that stores a key. An operator finds its account by the ends of the key. */
export const keyItem = (accountId: string, stored: StoredKey): Item => ({
  ...keys.key(accountId, stored.id),
  ...stored,
  status: keyList(stored.prefix, stored.last4),
})

/** The keys of an account that have an item, in no particular order. */
export async function storedKeys(deps: Deps<'table'>, accountId: string): Promise<StoredKey[]> {
  return (await deps.table.list(keys.account(accountId), 'KEY#')).map(parseKey)
}

/** The further keys of an account, in no particular order. */
export async function furtherKeys(deps: Deps<'table'>, accountId: string): Promise<StoredKey[]> {
  return (await storedKeys(deps, accountId)).filter(({ id }) => id !== DEFAULT_KEY_ID)
}

/** The default key's item, if there is one, or a further key's. Text that is no id finds nothing. */
export async function findStoredKey(
  deps: Deps<'table'>,
  accountId: string,
  keyId: string,
): Promise<StoredKey | undefined> {
  // Text of another form never becomes part of a sort key: DynamoDB refuses sort keys beyond 1,024 bytes.
  if (keyId !== DEFAULT_KEY_ID && !KEY_ID.test(keyId)) return undefined
  const item = await deps.table.get(keys.key(accountId, keyId))
  return item && parseKey(item)
}

/** The id of a further key. */
export const KEY_ID = /^[0-9a-f]{24}$/

/** Key ids by slot, with the default key's and that of services. */
export async function keyIdsBySlot(deps: Deps<'table'>, accountId: string): Promise<Map<number, string>> {
  const further = (await furtherKeys(deps, accountId)).map(({ slot, id }) => [slot, id] as const)
  return new Map([...FIXED_KEY_IDS, ...further])
}

/** Names of the live keys by id. */
export async function keyNames(deps: Deps<'table'>, accountId: string): Promise<Map<string, string>> {
  const named = (await storedKeys(deps, accountId)).map(({ id, name }) => [id, name] as const)
  return new Map([...[...FIXED_KEY_IDS.values()].map((id) => [id, id] as const), ...named])
}
