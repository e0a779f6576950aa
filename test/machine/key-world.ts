import type { DomainError } from '../../core/errors.ts'
import {
  createKey,
  deleteKey,
  listKeys,
  readKey,
  replaceEveryKey,
  rotateKey,
} from '../../core/keys/application-keys.ts'
import { changeKeySettings } from '../../core/keys/change-settings.ts'
import { readDefaultKey } from '../../core/keys/default-key.ts'
import type { SettingsChange } from '../../core/keys/settings.ts'
import { requireKey } from '../../core/quota/require-key.ts'
import { expr, join } from '../../core/table/expression.ts'
import { keys } from '../../core/table/keys.ts'
import type { Item } from '../../core/table/table.ts'
import { openAccountWorld } from './account-world.ts'

/** An account with its default key, in a table in memory, and what its owner does with the keys. */
export async function openKeyWorld(profileChange: Item = {}) {
  const world = await openAccountWorld(profileChange)
  const { id, ports, memory, account, caller } = world
  return {
    ...world,
    counter: async () => (await memory.get(keys.quota(id))) ?? {},
    all: () => memory.items(),
    /** The default key's text. */
    defaultText: async () => readDefaultKey(ports, await account()) ?? '',
    create: async (name: string, change: SettingsChange = {}, idempotencyKey?: string) =>
      createKey(ports, await caller(), { ...change, name }, idempotencyKey),
    rotate: async (keyId: string, options: Parameters<typeof rotateKey>[3] = {}) =>
      rotateKey(ports, await caller(), keyId, options),
    change: async (keyId: string, change: SettingsChange) =>
      changeKeySettings(ports, await caller(), keyId, change),
    remove: async (keyId: string) => deleteKey(ports, await caller(), keyId),
    list: async () => listKeys(ports, await account()),
    read: async (keyId: string) => readKey(ports, await account(), keyId),
    async replaceAll() {
      const { set, unchanged, writes } = await replaceEveryKey(ports, await account())
      const all = join([expr`SET `, join(set, ', ')], '')
      await memory.transact([{ update: keys.profile(id), set: all, if: unchanged }, ...writes])
    },
    /** What a container without a memory says of a key: `works`, or the code of the refusal. */
    told: (text: string, ip?: string) =>
      requireKey({ ...ports, table: { ...memory } }, { text, ip }).then(
        () => 'works',
        (error: DomainError) => error.code,
      ),
  }
}
