import type { Account, Profile, SessionCaller } from '../account/account.ts'
import { changeSession } from '../account/change.ts'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { readLastUse } from '../quota/day-snapshot.ts'
import { limitAttributes, newKeyLimits } from '../quota/limit-change.ts'
import { DEFAULT_KEY_SLOT, dayOf, keyHashAttribute, keyUseAttribute } from '../quota/quota.ts'
import { attr, type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys, REVOKED_KEY_KEPT_MS, ttlAt } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { DAY_MS, MINUTE_MS } from '../time.ts'
import { earlierAnswer, type NamedRequest, namedRequest, storeAnswer } from './answers.ts'
import {
  defaultKeyEnds,
  defaultKeyHash,
  defaultKeyLookup,
  defaultKeySet,
  newDefaultKey,
} from './default-key.ts'
import { DEFAULT_KEY_ID, keyEnds, keyHash, keyIdOf, LAST_KEY_SLOT, newKeyText } from './key-text.ts'
import { changedSettings, type KeySettings, keyStamp, type SettingsChange } from './settings.ts'
import { findStoredKey, graceEnds, KEY_ID, keyItem, type StoredKey, storedKeys } from './stored-keys.ts'

type KeyDeps = Deps<'table' | 'keyring'>

/** How long a rotation is kept for another click that has begun before its end. */
const CLICK_KEPT_MS = MINUTE_MS

/** Live keys that an account may have, the default key included. */
const MAX_KEYS = 8

/** Rotations of an account's keys on one day (UTC), those that repeat an answer not included. */
const ROTATIONS_A_DAY = 20

const NO_SLOT_LEFT =
  'The account has made as many application keys as an account can ever make. Rotate one that you have.'

/** A key as its owner sees it: recognisable, but nobody can use what is shown. */
export interface OwnedKey {
  id: string
  name: string
  prefix: string
  last4: string
  createdAtMs: number
  /** When it was made, or its name or a setting changed last, epoch ms. */
  updatedAtMs: number
  settings: KeySettings
  /** Until when the key before the last rotation works too, epoch ms; undefined if it does not. */
  graceUntilMs?: number | undefined
}

/** A key in a list. */
export interface ListedKey extends OwnedKey {
  /** When the last day on which the key has used units began (UTC, epoch ms); undefined if there is none. */
  lastUsedDayMs: number | undefined
}

export interface ShownKey extends OwnedKey {
  /** The whole key. A further key cannot be read again later. */
  key: string
  /** Set if an earlier copy of the request has made the key. */
  replayed?: true
}

/** What a key's owner sees of its item. */
export function ownedKey(deps: Deps, stored: StoredKey): OwnedKey {
  const { id, name, prefix, last4, createdAtMs, changedAtMs = 0, settings = {}, previous } = stored
  const graceUntilMs = previous && previous.untilMs > deps.clock.nowMs() ? previous.untilMs : undefined
  const updatedAtMs = Math.max(createdAtMs, changedAtMs)
  return {
    id,
    name,
    prefix,
    last4,
    createdAtMs,
    updatedAtMs,
    settings,
    ...(graceUntilMs && { graceUntilMs }),
  }
}

/** One live key. @throws DomainError `not_found` */
export async function readKey(deps: KeyDeps, account: Account, keyId: string): Promise<OwnedKey> {
  const kept = await findStoredKey(deps, account.id, keyId)
  const found = kept ?? (keyId === DEFAULT_KEY_ID ? plainDefaultKey(deps, account) : undefined)
  if (!found) throw new DomainError('not_found')
  return ownedKey(deps, found)
}

/** All live keys, the default key first, the others in the order of their creation. */
export async function listKeys(deps: KeyDeps, account: Account): Promise<ListedKey[]> {
  const [kept, lastUsed] = await Promise.all([storedKeys(deps, account.id), readLastUse(deps, account.id)])
  const first = kept.find(({ id }) => id === DEFAULT_KEY_ID) ?? plainDefaultKey(deps, account)
  const further = kept.filter(({ id }) => id !== DEFAULT_KEY_ID).sort((a, b) => a.slot - b.slot)
  return [first, ...further].map((key) => ({ ...ownedKey(deps, key), lastUsedDayMs: lastUsed[key.slot] }))
}

/** The item that the default key would have, of an account where it has none. */
export const plainDefaultKey = (deps: KeyDeps, account: Account): StoredKey => ({
  id: DEFAULT_KEY_ID,
  name: DEFAULT_KEY_ID,
  slot: DEFAULT_KEY_SLOT,
  ...defaultKeyEnds(deps, account),
  createdAtMs: account.defaultKeyAtMs,
  hash: defaultKeyHash(account),
})

/**
 * Creates a further key.
 * @param idempotencyKey the same request with the same key is answered alike for 48 hours: one key is made,
 *   and its text is shown again.
 * @throws DomainError `key_limit_reached`, `idempotency_key_reused`, `conflict`;
 *   `invalid_request` for an expiry that has passed
 */
export function createKey(
  deps: KeyDeps,
  caller: SessionCaller,
  { name, ...change }: SettingsChange & { name: string },
  idempotencyKey?: string,
): Promise<ShownKey> {
  const sent = namedRequest(idempotencyKey, ['create key', name, change])
  return changeKeys(deps, caller, sent, (account) => {
    if (account.keyCount >= MAX_KEYS) throw new DomainError('key_limit_reached')
    const slot = account.nextKeySlot
    if (slot > LAST_KEY_SLOT) throw new DomainError('key_limit_reached', { detail: NO_SLOT_LEFT })
    const settings = changedSettings({}, change, deps.clock.nowMs())
    const hasSettings = Object.keys(settings).length > 0
    const { key, stored } = makeKey(deps, account, {
      id: keyIdOf(account.id, slot),
      name,
      slot,
      ...(hasSettings && { settings }),
    })
    return {
      shown: { ...ownedKey(deps, stored), key },
      writes: [
        takeKeySlot(account, expr`#keyCount = ${account.keyCount + 1}`),
        { put: keyItem(account.id, stored) },
        setStamp(account.id, stored, newKeyLimits(slot, settings)),
        announce(deps, account.id, 'key.created', { keyId: stored.id }),
      ],
    }
  })
}

/**
 * Replaces a key by a new key with the same id, name, settings and slot, so that the count of used units continues.
 * The next request with the old key is refused, unless the rotation has a grace period.
 * @param graceSeconds for this long the old key works too. A grace period of an earlier rotation ends.
 * @param idempotencyKey as for `createKey`
 * @throws DomainError `not_found`, `too_many_requests`, `idempotency_key_reused`, `conflict`
 */
export function rotateKey(
  deps: KeyDeps,
  caller: SessionCaller,
  keyId: string,
  { graceSeconds = 0, idempotencyKey }: { graceSeconds?: number; idempotencyKey?: string | undefined } = {},
): Promise<ShownKey> {
  // Two clicks at once have read the same account. Both show one key, because the key of the first would be dead.
  const click = `rotate ${keyId} ${caller.account.nextKeySlot}`
  const sent =
    namedRequest(idempotencyKey, ['rotate key', keyId, graceSeconds]) ??
    namedRequest(click, ['rotate key', keyId], CLICK_KEPT_MS)
  return changeKeys(deps, caller, sent, async (account) => {
    const untilMs = deps.clock.nowMs() + graceSeconds * 1000
    const old = await findStoredKey(deps, account.id, keyId)
    if (!old && keyId !== DEFAULT_KEY_ID) throw new DomainError('not_found')
    return keyReplaced(deps, account, old, untilMs, countRotation(account, deps.clock.nowMs()))
  })
}

/**
 * What to write so that a key has another text, and the old one works until `untilMs`.
 * @param old undefined for a default key without an item.
 * @param more further assignments in the profile.
 */
export function keyReplaced(
  deps: KeyDeps,
  account: Account,
  old: StoredKey | undefined,
  untilMs: number,
  more?: Expression,
): KeyChange {
  if (!old || old.id === DEFAULT_KEY_ID) return rotateDefault(deps, account, old, untilMs, more)
  const { key, stored } = makeKey(deps, account, { ...old, ...graceOf(deps, old, untilMs) })
  return {
    shown: { ...ownedKey(deps, stored), key },
    writes: [
      takeKeySlot(account, more),
      { put: keyItem(account.id, stored), if: unchangedSince(old, ['slot', 'revision']) },
      setStamp(account.id, stored),
      keyRotated(deps, account, stored),
    ],
  }
}

/**
 * Counts one more rotation on this day (UTC), in the write that rotates: its condition, that no other change of the keys
 * came between, makes the count exact.
 * @throws DomainError `too_many_requests` with the seconds until the day ends
 */
function countRotation({ keyRotations }: Account, nowMs: number): Expression {
  const day = dayOf(nowMs)
  const count = keyRotations?.day === day ? keyRotations.count : 0
  if (count < ROTATIONS_A_DAY) return expr`#keyRotations = ${{ day, count: count + 1 }}`
  throw new DomainError('too_many_requests', {
    detail: `Application keys may be rotated ${ROTATIONS_A_DAY} times a day. Try again after the time in Retry-After.`,
    retryAfterSeconds: Math.ceil(((day + 1) * DAY_MS - nowMs) / 1000),
  })
}

/** A key to show, and the writes that make it valid. */
interface KeyChange {
  shown: ShownKey
  writes: Write[]
}

/** The old key, if it is to work until `untilMs`. A key that is switched off has no grace period. */
const graceOf = (
  deps: Deps,
  { hash, settings }: StoredKey,
  untilMs: number,
): Pick<StoredKey, 'previous'> => ({
  previous: untilMs > deps.clock.nowMs() && !settings?.disabled ? { hash, untilMs } : undefined,
})

function rotateDefault(
  deps: KeyDeps,
  account: Account,
  kept: StoredKey | undefined,
  untilMs: number,
  more: Expression | undefined,
): KeyChange {
  const fresh = newDefaultKey(deps, account.id)
  const createdAtMs = deps.clock.nowMs()
  const old = kept ?? plainDefaultKey(deps, account)
  const lookup = defaultKeyLookup(account)
  const grace = graceOf(deps, old, untilMs).previous
  const previous = grace && { ...grace, lookup }
  const stored = { ...old, previous, ...keyEnds(fresh.key), createdAtMs, hash: fresh.hash }
  return {
    shown: { ...ownedKey(deps, stored), key: fresh.key },
    writes: [
      takeKeySlot(account, join([defaultKeySet(fresh, createdAtMs), ...(more ? [more] : [])], ', ')),
      // Until the grace period ends the old key has to lead to the account.
      previous ? { update: lookup, set: expr`SET #ttl = ${ttlAt(untilMs).ttl}` } : { remove: lookup },
      ...graceEnds(old),
      { put: fresh.lookup },
      ...(kept || previous
        ? [
            {
              put: keyItem(account.id, stored),
              if: kept ? unchangedSince(kept, ['revision']) : expr`attribute_not_exists(pk)`,
            },
          ]
        : []),
      setStamp(account.id, stored),
      keyRotated(deps, account, stored),
    ],
  }
}

const keyRotated = (deps: Deps, { id }: Pick<Account, 'id'>, { id: keyId, previous }: StoredKey): Write =>
  announce(deps, id, 'key.rotated', { keyId, ...(previous && { graceUntilMs: previous.untilMs }) })

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
      ...tellOwner(deps, account, 'key-created'),
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
  // The new default key begins without settings, because whoever had the old one may have made them.
  const kept = await storedKeys(deps, id)
  const further = kept.filter(({ slot }) => slot !== DEFAULT_KEY_SLOT)
  const attributes = further.flatMap(({ slot }) => keyAttributes(slot))
  return {
    set: [
      defaultKeySet(fresh, deps.clock.nowMs()),
      expr`#keyCount = ${1}`,
      expr`#nextKeySlot = ${nextKeySlot + 1}`,
    ],
    unchanged: expr`#nextKeySlot = ${nextKeySlot} AND #keyCount = ${keyCount} AND #defaultKeyAtMs = ${defaultKeyAtMs}`,
    writes: [
      { remove: defaultKeyLookup(account) },
      { put: fresh.lookup },
      {
        update: keys.quota(id),
        set: setRemove(
          [expr`${attr(keyHashAttribute(DEFAULT_KEY_SLOT))} = ${fresh.hash}`],
          [...attributes, ...limitAttributes(DEFAULT_KEY_SLOT)],
        ),
      },
      ...kept.flatMap((key): Write[] => [{ remove: keys.key(id, key.id) }, ...graceEnds(key)]),
      ...tellOwner(deps, account, 'keys-replaced'),
      announce(deps, id, 'key.rotated', { keyId: DEFAULT_KEY_ID }),
      ...further.map((key) => announce(deps, id, 'key.revoked', { keyId: key.id })),
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
    const key = await findStoredKey(deps, account.id, keyId)
    if (!key) return requireRevoked(deps, account, keyId)
    await deps.table.transact(keyRevoked(deps, account, key))
  })
}

/** The writes that revoke a further key. */
export const keyRevoked = (deps: Deps, account: Account, key: StoredKey): Write[] => [
  {
    update: keys.profile(account.id),
    set: expr`SET #keyCount = ${account.keyCount - 1}`,
    if: expr`#keyCount = ${account.keyCount} AND #status = ${account.status}`,
  },
  { remove: keys.key(account.id, key.id), if: expr`#slot = ${key.slot}` },
  {
    update: keys.quota(account.id),
    set: setRemove([], keyAttributes(key.slot)),
  },
  { put: { ...keys.revokedKey(account.id, key.id), ...ttlAt(deps.clock.nowMs() + REVOKED_KEY_KEPT_MS) } },
  announce(deps, account.id, 'key.revoked', { keyId: key.id }),
  ...auditWrites(deps, {
    accountId: account.id,
    action: 'account.key-revoked',
    before: { key: key.id, last4: key.last4 },
  }),
]

/** @throws DomainError `not_found` unless the account has revoked a key with this id */
async function requireRevoked(deps: KeyDeps, { id }: Account, keyId: string): Promise<void> {
  const mark = KEY_ID.test(keyId) ? await deps.table.get(keys.revokedKey(id, keyId)) : undefined
  if (!mark) throw new DomainError('not_found')
}

/** The item of a key with a new text, in place of what is known of the text before. */
function makeKey(
  deps: KeyDeps,
  account: Account,
  key: Pick<StoredKey, 'id' | 'name' | 'slot' | 'revision' | 'settings' | 'previous'>,
) {
  const text = newKeyText(deps, account.id, key.slot)
  const createdAtMs = deps.clock.nowMs()
  const stored: StoredKey = { ...key, ...keyEnds(text), createdAtMs, hash: keyHash(text) }
  return { key: text, stored }
}

/**
 * Takes the next slot. No two keys ever have the same slot, so that a slot's count of used units belongs to
 * one key. A rotation takes a slot too, which stays unused, so that it conflicts with concurrent changes, and so do the
 * first settings of a default key.
 * `keyCount` may be written as it was read, because every write that changes it has a condition on it.
 */
export function takeKeySlot(account: Account, more?: Expression): Write {
  const { nextKeySlot, keyCount, status } = account
  const set = expr`SET #nextKeySlot = ${nextKeySlot + 1}`
  return {
    update: keys.profile(account.id),
    set: more ? join([set, more], ', ') : set,
    if: expr`#nextKeySlot = ${nextKeySlot} AND #keyCount = ${keyCount} AND #status = ${status}`,
  }
}

/** All that the counter has of a key. */
const keyAttributes = (slot: number): Expression[] => [
  expr`${attr(keyHashAttribute(slot))}, ${attr(keyUseAttribute(slot))}`,
  ...limitAttributes(slot),
]

const setStamp = (
  accountId: string,
  { slot, hash, revision = 0 }: StoredKey,
  limits: Expression[] = [],
): Write => ({
  update: keys.quota(accountId),
  set: setRemove([expr`${attr(keyHashAttribute(slot))} = ${keyStamp(hash, revision)}`, ...limits], []),
})
