import { type Account, type Profile, requireConfirmed, type SessionCaller } from '../account/account.ts'
import { changeSession } from '../account/change.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { DEFAULT_KEY_SLOT, keyHashAttribute, keyUseAttribute } from '../quota/quota.ts'
import { attr, type Expression, expr, join, setRemove } from '../table/expression.ts'
import { keys, REVOKED_KEY_KEPT_MS, ttlAt } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { MINUTE_MS } from '../time.ts'
import { earlierAnswer, type NamedRequest, namedRequest, storeAnswer } from './answers.ts'
import { defaultKeyLookup, newDefaultKey, readDefaultKey } from './default-key.ts'
import { DEFAULT_KEY_ID, keyHash, keyIdOf, newKeyText } from './key-text.ts'
import { furtherKeys, parseKey, type StoredKey } from './stored-keys.ts'

type KeyDeps = Deps<'table' | 'keyring'>

/** How long a rotation is kept for another click that has begun before its end. */
const CLICK_KEPT_MS = MINUTE_MS

/** Live keys that an account may have, the default key included. */
const MAX_KEYS = 8

const KEY_ID = /^[0-9a-f]{24}$/

/** A key as a list shows it: its owner can recognise the key, but nobody can use what is shown. */
export type ListedKey = Omit<StoredKey, 'slot'>

export interface ShownKey extends ListedKey {
  /** The whole key. A further key cannot be read again later. */
  key: string
  /** Set if an earlier copy of the request has made the key. */
  replayed?: true
}

const withoutSlot = ({ slot: _, ...key }: StoredKey): ListedKey => key

const keyEnds = (key: string) => ({ prefix: key.slice(0, 8), last4: key.slice(-4) })

/** All live keys, the default key first, the others in the order of their creation. */
export async function listKeys(deps: KeyDeps, account: Account): Promise<ListedKey[]> {
  const further = (await furtherKeys(deps, account.id)).sort((a, b) => a.slot - b.slot)
  return [defaultKey(account, readDefaultKey(deps, account)), ...further.map(withoutSlot)]
}

function defaultKey(account: Account, key: string): ListedKey {
  return { id: DEFAULT_KEY_ID, name: DEFAULT_KEY_ID, ...keyEnds(key), createdAtMs: account.defaultKeyAtMs }
}

/**
 * Creates a further key.
 * @param idempotencyKey the same request with the same key is answered alike for 48 hours: one key is made,
 *   and its text is shown again.
 * @throws DomainError `email_unconfirmed`, `key_limit_reached`, `idempotency_key_reused`, `conflict`
 */
export function createKey(
  deps: KeyDeps,
  caller: SessionCaller,
  name: string,
  idempotencyKey?: string,
): Promise<ShownKey> {
  const sent = namedRequest(idempotencyKey, ['create key', name])
  return changeKeys(deps, caller, sent, (account) => {
    requireConfirmed(account)
    if (account.keyCount >= MAX_KEYS) throw new DomainError('key_limit_reached')
    const slot = account.nextKeySlot
    const { key, stored } = makeKey(deps, account, { id: keyIdOf(deps, account.id, slot), name, slot })
    return {
      shown: { ...withoutSlot(stored), key },
      writes: [
        takeKeySlot(account, expr`#keyCount = ${account.keyCount + 1}`),
        { put: { ...keys.key(account.id, stored.id), ...stored } },
        setHash(account.id, stored.slot, keyHash(deps, key)),
      ],
    }
  })
}

/**
 * Replaces a key by a new key with the same id, name and slot, so that the count of used units continues. The
 * next request with the old key is refused.
 * @param idempotencyKey as for `createKey`
 * @throws DomainError `email_unconfirmed`, `not_found`, `idempotency_key_reused`, `conflict`
 */
export function rotateKey(
  deps: KeyDeps,
  caller: SessionCaller,
  keyId: string,
  idempotencyKey?: string,
): Promise<ShownKey> {
  const request = ['rotate key', keyId]
  // Two clicks at once have read the same account. Both show one key, because the key of the first would be dead.
  const click = `rotate ${keyId} ${caller.account.nextKeySlot}`
  const sent = namedRequest(idempotencyKey, request) ?? namedRequest(click, request, CLICK_KEPT_MS)
  return changeKeys(deps, caller, sent, async (account) => {
    requireConfirmed(account)
    if (keyId === DEFAULT_KEY_ID) return rotateDefault(deps, account)
    const old = await findKey(deps, account, keyId)
    if (!old) throw new DomainError('not_found')
    const { key, stored } = makeKey(deps, account, old)
    return {
      shown: { ...withoutSlot(stored), key },
      writes: [
        takeKeySlot(account),
        { put: { ...keys.key(account.id, keyId), ...stored }, if: expr`#slot = ${old.slot}` },
        setHash(account.id, stored.slot, keyHash(deps, key)),
      ],
    }
  })
}

/** A key to show, and the writes that make it valid. */
interface KeyChange {
  shown: ShownKey
  writes: Write[]
}

function rotateDefault(deps: KeyDeps, account: Account): KeyChange {
  const fresh = newDefaultKey(deps, account.id)
  const createdAtMs = deps.clock.nowMs()
  return {
    shown: { ...defaultKey({ ...account, defaultKeyAtMs: createdAtMs }, fresh.key), key: fresh.key },
    writes: [
      takeKeySlot(account, expr`#defaultKey = ${fresh.sealed}, #defaultKeyAtMs = ${createdAtMs}`),
      { remove: defaultKeyLookup(deps, account) },
      { put: fresh.lookup },
      setHash(account.id, DEFAULT_KEY_SLOT, fresh.hash),
    ],
  }
}

/** Changes the keys once, or shows what an earlier copy of the same named request has made. */
function changeKeys(
  deps: KeyDeps,
  caller: SessionCaller,
  sent: NamedRequest | undefined,
  change: (account: Account) => Promise<KeyChange> | KeyChange,
): Promise<ShownKey> {
  return changeSession(deps, caller, async ({ account }) => {
    const earlier = await earlierAnswer(deps, account.id, sent)
    if (earlier !== undefined) return { ...(earlier as ShownKey), replayed: true }
    const { shown, writes } = await change(account)
    await deps.table.transact([
      ...writes,
      ...announce(deps, account, 'key-created'),
      ...(sent ? [storeAnswer(deps, account.id, sent, shown)] : []),
    ])
    return shown
  })
}

/** What `replaceEveryKey` writes: assignments and a condition for the profile, and other writes. */
export interface KeysReplaced {
  set: Expression[]
  unchanged: Expression
  writes: Write[]
}

/** Whether a key was made, replaced or revoked between two reads of an account. */
export const haveKeysChanged = (before: Profile, now: Profile): boolean =>
  before.nextKeySlot !== now.nextKeySlot || before.keyCount !== now.keyCount

/**
 * What to write so that no key that anybody has read works any more: the default key is replaced, and all others
 * are revoked.
 */
export async function replaceEveryKey(deps: KeyDeps, account: Profile): Promise<KeysReplaced> {
  const { id, nextKeySlot, keyCount, defaultKeyAtMs } = account
  const fresh = newDefaultKey(deps, id)
  const further = await furtherKeys(deps, id)
  const hashes = further.flatMap(({ slot }) => [attr(keyHashAttribute(slot)), attr(keyUseAttribute(slot))])
  return {
    set: [
      expr`#defaultKey = ${fresh.sealed}, #defaultKeyAtMs = ${deps.clock.nowMs()}, #keyCount = ${1}`,
      expr`#nextKeySlot = ${nextKeySlot + 1}`,
    ],
    unchanged: expr`#nextKeySlot = ${nextKeySlot} AND #keyCount = ${keyCount} AND #defaultKeyAtMs = ${defaultKeyAtMs}`,
    writes: [
      { remove: defaultKeyLookup(deps, account) },
      { put: fresh.lookup },
      {
        update: keys.quota(id),
        set: setRemove(
          [expr`${attr(keyHashAttribute(DEFAULT_KEY_SLOT))} = ${fresh.hash}`],
          hashes.map((name) => expr`${name}`),
        ),
      },
      ...further.map((key): Write => ({ remove: keys.key(id, key.id) })),
      ...announce(deps, account, 'keys-replaced'),
    ],
  }
}

/**
 * Revokes a key for good. Revoking it again is no error for as long as the mark of the revoked key is kept.
 * @throws DomainError `default_key_required`, `not_found`, `conflict`
 */
export async function deleteKey(deps: KeyDeps, caller: SessionCaller, keyId: string): Promise<void> {
  if (keyId === DEFAULT_KEY_ID) throw new DomainError('default_key_required')
  await changeSession(deps, caller, async ({ account }) => {
    const key = await findKey(deps, account, keyId)
    if (!key) return requireRevoked(deps, account, keyId)
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: expr`SET #keyCount = ${account.keyCount - 1}`,
        if: expr`#keyCount = ${account.keyCount} AND #status = ${'active'}`,
      },
      { remove: keys.key(account.id, keyId), if: expr`#slot = ${key.slot}` },
      {
        update: keys.quota(account.id),
        set: expr`REMOVE ${attr(keyHashAttribute(key.slot))}, ${attr(keyUseAttribute(key.slot))}`,
      },
      { put: { ...keys.revokedKey(account.id, keyId), ...ttlAt(deps.clock.nowMs() + REVOKED_KEY_KEPT_MS) } },
    ])
  })
}

/** @throws DomainError `not_found` unless the account has revoked a key with this id */
async function requireRevoked(deps: KeyDeps, { id }: Account, keyId: string): Promise<void> {
  const mark = KEY_ID.test(keyId) ? await deps.table.get(keys.revokedKey(id, keyId)) : undefined
  if (!mark) throw new DomainError('not_found')
}

async function findKey(deps: KeyDeps, account: Account, keyId: string): Promise<StoredKey | undefined> {
  // Text of another form never becomes part of a sort key: DynamoDB refuses sort keys beyond 1,024 bytes.
  const item = KEY_ID.test(keyId) ? await deps.table.get(keys.key(account.id, keyId)) : undefined
  return item && parseKey(item)
}

function makeKey(
  deps: KeyDeps,
  account: Account,
  { id, name, slot }: { id: string; name: string; slot: number },
) {
  const key = newKeyText(deps, account.id, slot)
  const stored: StoredKey = { id, name, slot, ...keyEnds(key), createdAtMs: deps.clock.nowMs() }
  return { key, stored }
}

/**
 * Takes the next slot. No two keys ever have the same slot, so that a slot's count of used units belongs to
 * one key. A rotation takes a slot too, which stays unused, so that it conflicts with concurrent changes.
 * `keyCount` may be written as it was read, because every write that changes it has a condition on it.
 */
function takeKeySlot(account: Account, more?: Expression): Write {
  const { nextKeySlot, keyCount } = account
  const set = expr`SET #nextKeySlot = ${nextKeySlot + 1}`
  return {
    update: keys.profile(account.id),
    set: more ? join([set, more], ', ') : set,
    if: expr`#nextKeySlot = ${nextKeySlot} AND #keyCount = ${keyCount} AND #status = ${'active'}`,
  }
}

const setHash = (accountId: string, slot: number, hash: Buffer): Write => ({
  update: keys.quota(accountId),
  set: expr`SET ${attr(keyHashAttribute(slot))} = ${hash}`,
})
