import { timingSafeEqual } from 'node:crypto'
import type { Deps } from '../ports.ts'
import { keys } from '../table/keys.ts'
import { stored } from '../table/stored.ts'
import type { Item } from '../table/table.ts'
import { DEFAULT_KEY_ID, HASH_BYTES } from './key-text.ts'
import { type KeySettings, keyStamp } from './settings.ts'

/**
 * What a request needs of a key's item. The default key has an item only since it has had settings or a grace period.
 * A container remembers the record, which may be out of date: `stamp` in the write that spends is then another one
 * than the counter has, and the write fails.
 */
export interface KeyRecord {
  name: string
  /** Hash of the key; undefined if the key was made before it was stored. */
  hash: Uint8Array | undefined
  /** How often the settings have changed. It never falls as long as the key has the same hash. */
  revision: number
  settings: KeySettings
  /** The key before the last rotation, which works until `untilMs` (epoch ms) too. */
  previous: { hash: Uint8Array; untilMs: number } | undefined
}

/** Of a default key that never had settings. */
export const PLAIN_DEFAULT: KeyRecord = {
  name: DEFAULT_KEY_ID,
  hash: undefined,
  revision: 0,
  settings: {},
  previous: undefined,
}

export const keyRecordOf = (item: Item): KeyRecord => ({
  name: stored(item, 'name', 'string'),
  hash: item.hash as Uint8Array | undefined,
  revision: Number(item.revision ?? 0),
  settings: (item.settings ?? {}) as KeySettings,
  previous: item.previous as KeyRecord['previous'],
})

export async function readKeyRecord(
  deps: Deps<'table'>,
  accountId: string,
  keyId: string,
): Promise<KeyRecord | undefined> {
  const item = await deps.table.get(keys.key(accountId, keyId))
  return item && keyRecordOf(item)
}

/** The hash in a stamp. */
export const hashIn = (stamp: Uint8Array): Uint8Array => stamp.subarray(0, HASH_BYTES)

export const isSameHash = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && timingSafeEqual(one, other)

/**
 * The stamp that the counter has as long as this record is the current one; undefined if a key with this hash is
 * neither the key of the record nor one that a rotation has replaced a short time ago.
 */
export function stampFor(record: KeyRecord, sent: Buffer, nowMs: number): Buffer | undefined {
  const { hash = sent, revision, previous } = record
  const works =
    isSameHash(hash, sent) || (previous && nowMs < previous.untilMs && isSameHash(previous.hash, sent))
  return works ? keyStamp(hash, revision) : undefined
}
