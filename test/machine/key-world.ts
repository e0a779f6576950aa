import { readAccount } from '../../core/account/account.ts'
import { newAccount } from '../../core/account/new-account.ts'
import { randomIds } from '../../core/adapters/ids.ts'
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
import type { Keyring, Ports } from '../../core/ports.ts'
import { requireKey } from '../../core/quota/require-key.ts'
import { join } from '../../core/table/expression.ts'
import { keys, OUT_EVENT_PREFIX } from '../../core/table/keys.ts'
import type { Item, Table } from '../../core/table/table.ts'
import { keyringOf } from '../support/keyrings.ts'
import { silentLog } from '../support/log.ts'
import { memoryTable } from './memory-table.ts'

const SESSION = 'session'

/** One confirmed account with its default key, in a table in memory, and what its owner does with the keys. */
export async function openKeyWorld(profileChange: Item = {}) {
  let nowMs = Date.UTC(2026, 10, 21, 12)
  const clock = { nowMs: () => nowMs, wait: () => new Promise<void>((resolve) => setImmediate(resolve)) }
  const memory = memoryTable()
  const keyring: Keyring = keyringOf('5'.repeat(64))
  const ports = {
    table: memory as Table,
    clock,
    keyring,
    ids: randomIds(clock),
    log: silentLog,
  } as unknown as Ports
  const { profile, quota, keyLookup } = newAccount(ports, { username: 'ada', email: 'ada@example.com' })
  const { id } = profile
  await memory.putAll([
    {
      ...keys.profile(id),
      ...profile,
      status: 'active',
      emailVerified: true,
      sessions: { [SESSION]: { sinceMs: nowMs, provedMs: nowMs } },
      ...profileChange,
    },
    quota,
    keyLookup,
  ])
  const account = async (through = ports) => {
    const found = await readAccount(through, id)
    if (!found) throw new Error('the account is gone')
    return found
  }
  const caller = async () => ({ account: await account(), sessionId: SESSION })
  const items = (prefix: string) => memory.list(keys.account(id), prefix)

  return {
    id,
    ports,
    account,
    caller,
    items,
    advance: (ms: number) => {
      nowMs += ms
    },
    nowMs: clock.nowMs,
    profile: () => memory.get(keys.profile(id)),
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
      await memory.transact([
        {
          update: keys.profile(id),
          set: join([{ text: ['SET '], args: [] }, join(set, ', ')], ''),
          if: unchanged,
        },
        ...writes,
      ])
    },
    /** What a container without a memory says of a key: `works`, or the code of the refusal. */
    told: (text: string, ip?: string) =>
      requireKey({ ...ports, table: { ...memory } }, { text, ip }).then(
        () => 'works',
        (error: DomainError) => error.code,
      ),
    /** The events that `work` announces, and the notices that the owner gets with it. */
    async announced(work: () => Promise<unknown>) {
      const read = async () => [await items(OUT_EVENT_PREFIX), await items('NOTICE#')] as const
      const before = (await read()).flat().map(({ sk }) => sk)
      await work()
      const [events, notices] = (await read()).map((all) => all.filter(({ sk }) => !before.includes(sk)))
      return {
        events: events?.map(({ type, data }) => [type, data]),
        notices: notices?.map(({ messageType }) => messageType),
      }
    },
  }
}

export const codeOf = (outcome: Promise<unknown>): Promise<string> =>
  outcome.then(
    () => 'done',
    (error: DomainError) => error.code ?? String(error),
  )
