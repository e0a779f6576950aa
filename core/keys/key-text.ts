import type { Deps } from '../ports.ts'
import { checkOf, textHash, withCheck } from './text-check.ts'

/**
 * A further key as text: `bsr_<secret>_<slot>_<account>_<check>`, where the secret is 256 random bits in hex
 * and the check (`text-check.ts`) 16 hex digits over everything before it. The key names its account, so no look-up is
 * needed. A key that Bursar never made is refused without any call, so that guesses cannot overload an
 * account's partition.
 */
const KEY_TEXT = /^bsr_[0-9a-f]{64}_(\d{1,6})_([0-9a-f]{24})_[0-9a-f]{16}$/

/** Bytes of a key's hash that the hot counter stores. */
export const HASH_BYTES = 12

/** @throws Error for a slot that the text has no room for: such a key would never be accepted */
export function newKeyText(deps: Deps<'keyring'>, accountId: string, slot: number): string {
  if (slot > LAST_KEY_SLOT) throw new Error(`the text of a key has no room for the slot ${slot}`)
  return withCheck(deps, PURPOSE, `bsr_${deps.ids.hex(32)}_${slot}_${accountId}_`)
}

const PURPOSE = 'mac:key-check'

/** The account and the slot of a key; undefined if Bursar did not make the key, as far as its text tells. Calls nothing. */
export function readKeyText(
  deps: Deps<'keyring'>,
  key: string,
): { accountId: string; slot: number } | undefined {
  const [text, slot, accountId = ''] = KEY_TEXT.exec(key) ?? []
  if (!text || checkOf(deps, PURPOSE, text) === 'wrong') return undefined
  return { accountId, slot: Number(slot) }
}

/** What is shown of a key: enough to recognise it, and nothing to use it with. */
export const keyEnds = (key: string) => ({ prefix: key.slice(0, 8), last4: key.slice(-4) })

/** Id of the default key, which is in slot 0. */
export const DEFAULT_KEY_ID = 'default'

/** The last slot that the text of a key has room for. */
export const LAST_KEY_SLOT = 999_999

/** The slot and the id under which use counts when a service names an account instead of a key. No key has the slot. */
export const SERVICE_SLOT = LAST_KEY_SLOT + 1
export const SERVICE_KEY_ID = 'service'

/** Ids of the slots that are the same in each account. A name is the same as the id. */
export const FIXED_KEY_IDS = new Map([
  [0, DEFAULT_KEY_ID],
  [SERVICE_SLOT, SERVICE_KEY_ID],
])

/**
 * The id of an account's key, which follows from the key's slot: whoever has the key knows the id without a read.
 * A further key has 24 hex digits.
 */
export const keyIdOf = (accountId: string, slot: number): string =>
  FIXED_KEY_IDS.get(slot) ?? textHash('key-id', `${accountId} ${slot}`).toString('hex').slice(0, 24)

/**
 * What is stored of any key. A hash without a secret suffices, because a key has at least 122 random bits; so keys outlive
 * the root secret.
 */
export const keyHash = (key: string): Buffer => textHash('key-hash', key).subarray(0, HASH_BYTES)
