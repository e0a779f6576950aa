import * as z from 'zod/mini'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { FIXED_KEY_IDS } from './key-text.ts'

const keySchema = z.object({
  id: z.string(),
  name: z.string(),
  slot: z.number(),
  prefix: z.string(),
  last4: z.string(),
  createdAtMs: z.number(),
})

/** A further key as it is stored: enough to recognise it, and nothing to use it with. */
export type StoredKey = z.infer<typeof keySchema>

/** Reads a stored key. @throws Error if the item is not a key. */
export const parseKey = (item: unknown): StoredKey => z.parse(keySchema, item)

/** The further keys of an account, in no particular order. */
export async function furtherKeys(deps: Deps<'table'>, accountId: string): Promise<StoredKey[]> {
  return (await deps.table.list(keys.account(accountId), 'KEY#')).map(parseKey)
}

/** Key ids by slot, with the default key's and that of services. */
export async function keyIdsBySlot(deps: Deps<'table'>, accountId: string): Promise<Map<number, string>> {
  const further = (await furtherKeys(deps, accountId)).map(({ slot, id }) => [slot, id] as const)
  return new Map([...FIXED_KEY_IDS, ...further])
}

/** Names of the live keys by id. */
export async function keyNames(deps: Deps<'table'>, accountId: string): Promise<Map<string, string>> {
  const further = (await furtherKeys(deps, accountId)).map(({ id, name }) => [id, name] as const)
  return new Map([...[...FIXED_KEY_IDS.values()].map((id) => [id, id] as const), ...further])
}
