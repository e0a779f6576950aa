import { DomainError, type ErrorCode } from '../errors.ts'
import { defaultKeyLookupOf } from '../keys/default-key.ts'
import {
  hashIn,
  isSameHash,
  type KeyRecord,
  PLAIN_DEFAULT,
  readKeyRecord,
  stampFor,
} from '../keys/key-record.ts'
import { keyHash, keyIdOf, readKeyText, SERVICE_KEY_ID, SERVICE_SLOT } from '../keys/key-text.ts'
import { type Demands, type KeyLimits, type KeySettings, requireAllowed } from '../keys/settings.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr } from '../table/expression.ts'
import { stored } from '../table/stored.ts'
import type { Item } from '../table/table.ts'
import { cacheEntry, cacheOf } from './container-cache.ts'
import { DEFAULT_KEY_SLOT, keyHashAttribute } from './quota.ts'

/** Ports that consuming needs. */
export type QuotaDeps = Deps<'table' | 'keyring' | 'renewals'>

/** An application key as a request brings it, with what the request says of its caller. */
export interface SentKey extends Demands {
  text: string
}

/** An account that a service has named instead of a key. What a request demands of a key does not concern it. */
export interface NamedAccount extends Demands {
  accountId: string
}

/** Whose units a request is about: those of whoever has a key, or of the account that a service has named. */
export type KeyOrAccount = string | SentKey | NamedAccount

/** The owner of an application key, checked against the settings of the key. */
export interface KeyCaller {
  accountId: string
  slot: number
  /**
   * What the counter has in `h<slot>` as long as the key is live and the settings are those that were checked; undefined
   * for a service that has named the account, for which no key has to be live.
   */
  stamp: Buffer | undefined
  /** What the write that spends has to hold besides the balance. */
  limits: KeyLimits
  /** From when on the key is refused, epoch ms. */
  expiresAtMs?: number
  /** The key as it was sent, for another check when its settings change; undefined without a key. */
  sent: HashedKey | undefined
  /** How answers name the key. */
  key: Spender['key']
}

type HashedKey = SentKey & { hash: Buffer }

/** A default key is a version 4 UUID. The key belongs to slot 0 and does not contain its account id. */
const DEFAULT_KEY = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const ACCOUNT_ID = /^[0-9a-f]{24}$/

/** Number of default keys whose account a container remembers, and of keys whose record it does. */
const REMEMBERED = 10_000

export const wrongKey = () => new DomainError('unauthorized', { detail: 'Send a valid application key.' })

const noAccount = () => new DomainError('not_found', { detail: 'No account has this id.' })

interface Owner {
  accountId: string
  slot: number
}

/**
 * Finds the owner of an application key. A further key names its owner. A default key needs one read unless this
 * container remembers its owner.
 * @throws DomainError `unauthorized` for a malformed or unknown key
 */
async function findOwner(deps: Deps<'table' | 'keyring'>, { text, hash }: HashedKey): Promise<Owner> {
  const named = readKeyText(deps, text)
  if (named) return named
  if (!DEFAULT_KEY.test(text)) throw wrongKey()
  const { owners } = cacheOf(deps.table)
  const known = owners.get(hash.toString('hex'))
  if (known !== undefined) return { accountId: known, slot: DEFAULT_KEY_SLOT }
  const item = await deps.table.get(defaultKeyLookupOf(hash))
  // Unknown keys are not remembered, because guessed keys would push out real ones.
  if (!item) throw wrongKey()
  const accountId = stored(item, 'accountId', 'string')
  cacheEntry(owners, hash.toString('hex'), accountId, REMEMBERED)
  return { accountId, slot: DEFAULT_KEY_SLOT }
}

/**
 * Finds who has a key, and checks the key's settings. Only the record of a further key takes a read, once in a
 * container: a default key has no settings as far as a container knows, until a write fails that assumed so.
 * @throws DomainError `unauthorized`, `key_expired`, `key_disabled`, `ip_not_allowed`, `insufficient_scope`
 */
async function readKeyCaller(
  deps: Deps<'table' | 'keyring'>,
  key: SentKey | NamedAccount,
): Promise<KeyCaller> {
  if ('accountId' in key) return accountCaller(key)
  const sent = { ...key, hash: keyHash(key.text) }
  const owner = await findOwner(deps, sent)
  const { keyRecords } = cacheOf(deps.table)
  const isDefault = owner.slot === DEFAULT_KEY_SLOT
  const remembered = keyRecords.get(recordName(owner)) ?? (isDefault ? PLAIN_DEFAULT : undefined)
  if (!remembered) return rereadCaller(deps, { ...owner, sent })
  try {
    return checkedCaller(deps, { ...owner, sent }, remembered)
  } catch {
    // The settings may have changed since, so a container refuses nobody out of its memory.
    return rereadCaller(deps, { ...owner, sent })
  }
}

/**
 * Finds who has a key, out of the table alone: no container's memory decides.
 * @throws DomainError as `readKeyCaller` does
 */
export async function freshKeyCaller(
  deps: Deps<'table' | 'keyring'>,
  key: SentKey,
): Promise<KeyCaller & { stamp: Buffer }> {
  const sent = { ...key, hash: keyHash(key.text) }
  const { stamp, ...caller } = await rereadCaller(deps, { ...(await findOwner(deps, sent)), sent })
  if (!stamp) throw wrongKey()
  return { ...caller, stamp }
}

/** A service that has named an account. The first read or write of the counter finds out whether there is one. */
function accountCaller({ accountId }: NamedAccount): KeyCaller {
  // Text of another form never becomes part of a partition key.
  if (!ACCOUNT_ID.test(accountId)) throw noAccount()
  const key = { id: SERVICE_KEY_ID, name: SERVICE_KEY_ID, scopes: [] }
  return { accountId, slot: SERVICE_SLOT, stamp: undefined, limits: {}, sent: undefined, key }
}

const recordName = ({ accountId, slot }: Owner): string => `${accountId}/${slot}`

/**
 * Reads the record of a key and checks it.
 * @throws DomainError as `readKeyCaller` does
 */
export async function rereadCaller(
  deps: Deps<'table' | 'keyring'>,
  caller: Pick<KeyCaller, 'accountId' | 'slot' | 'sent'>,
): Promise<KeyCaller> {
  const { keyRecords, owners } = cacheOf(deps.table)
  const { sent } = caller
  // Without a key nothing can be checked again.
  if (!sent) throw wrongKey()
  const record = await readKeyRecord(deps, caller.accountId, keyIdOf(caller.accountId, caller.slot))
  if (record) {
    cacheEntry(keyRecords, recordName(caller), record, REMEMBERED)
    return checkedCaller(deps, { ...caller, sent }, record)
  }
  keyRecords.delete(recordName(caller))
  if (caller.slot !== DEFAULT_KEY_SLOT) throw wrongKey()
  // A default key without a record works as long as its look-up is there.
  owners.delete(sent.hash.toString('hex'))
  await findOwner(deps, sent)
  return checkedCaller(deps, { ...caller, sent }, PLAIN_DEFAULT)
}

/** @throws DomainError as `readKeyCaller` does */
function checkedCaller(
  deps: Deps<'table' | 'keyring'>,
  { accountId, slot, sent }: Owner & { sent: HashedKey },
  record: KeyRecord,
): KeyCaller {
  const nowMs = deps.clock.nowMs()
  const stamp = stampFor(record, sent.hash, nowMs)
  if (!stamp) throw wrongKey()
  const { name, settings } = record
  requireAllowed(settings, sent, nowMs)
  const { budget, rate, expiresAtMs } = settings
  return {
    accountId,
    slot,
    stamp,
    limits: { ...(budget && { budget }), ...(rate && { rate }) },
    ...(expiresAtMs !== undefined && { expiresAtMs }),
    sent,
    key: toldKey(keyIdOf(accountId, slot), name, settings),
  }
}

/** Who spends, as the answer tells it. */
export interface Spender {
  /** Account id. */
  account: string
  /** Without `metadata` if the key has none. */
  key: { id: string; name: string; scopes: string[]; metadata?: Record<string, unknown> }
}

/** Refusals that say whose request they refuse. */
const NAMED_REFUSALS: readonly ErrorCode[] = [
  'quota_exhausted',
  'key_budget_exhausted',
  'rate_limited',
  'over_burst',
]

/**
 * Does something for whoever has the key, and says in the answer who that is, also in a refusal for want of units.
 * @throws DomainError `unauthorized` for a malformed or unknown key; `key_expired`, `key_disabled`, `ip_not_allowed`,
 *   `insufficient_scope`; `not_found` for an account that a service has named and that does not exist; and what `run`
 *   throws
 */
export async function forKey<T extends object>(
  deps: Deps<'table' | 'keyring'>,
  key: KeyOrAccount,
  run: (caller: KeyCaller) => Promise<T>,
): Promise<T & Spender> {
  const caller = await readKeyCaller(deps, typeof key === 'string' ? { text: key } : key)
  const spender = () => spenderOf(deps, caller)
  try {
    return { ...(await run(caller)), ...spender() }
  } catch (error) {
    if (error instanceof DomainError && NAMED_REFUSALS.includes(error.code))
      Object.assign(error.members, spender())
    // Without a key, all that can be wrong is the account.
    if (!caller.stamp && error instanceof DomainError && error.code === 'unauthorized') throw noAccount()
    throw error
  }
}

/** The account and the key, as the record now says it: another one may have been read since the caller was found. */
function spenderOf(deps: Deps<'table' | 'keyring'>, caller: KeyCaller): Spender {
  const { accountId: account, key } = caller
  const record = cacheOf(deps.table).keyRecords.get(recordName(caller))
  if (!record) return { account, key }
  const { name, settings } = record
  return { account, key: toldKey(key.id, name, settings) }
}

/** How answers name a key. */
const toldKey = (id: string, name: string, { scopes = [], metadata }: KeySettings): Spender['key'] => ({
  id,
  name,
  scopes,
  ...(metadata !== undefined && { metadata: JSON.parse(metadata) as Record<string, unknown> }),
})

/** Whether the caller's key is still live, with the settings that were checked, according to the stored counter. */
export function isLiveKey(counter: Item, { slot, stamp }: Pick<KeyCaller, 'slot' | 'stamp'>): boolean {
  if (!stamp) return true
  const stored = counter[keyHashAttribute(slot)]
  return stored instanceof Uint8Array && isSameHash(stored, stamp)
}

/** Whether the stored counter has the caller's key, with whatever settings. */
export function hasHashOf(counter: Item, { slot, stamp }: Pick<KeyCaller, 'slot' | 'stamp'>): boolean {
  if (!stamp) return true
  const stored = counter[keyHashAttribute(slot)]
  return stored instanceof Uint8Array && isSameHash(hashIn(stored), hashIn(stamp))
}

/** The conditions under which the caller's key is live, with the settings that were checked, when a write takes effect. */
export const whileLive = ({ slot, stamp }: KeyCaller): Expression[] =>
  stamp ? [expr`${attr(keyHashAttribute(slot))} = ${stamp}`] : []

/** Whether use counts under a slot according to the stored counter: for a live key, and for services. */
export const countsUse = (counter: Item, slot: number): boolean =>
  slot === SERVICE_SLOT || counter[keyHashAttribute(slot)] !== undefined

/** The conditions under which this is still so when a write takes effect. */
export function whileCounting(counter: Item, slot: number): Expression[] {
  if (slot === SERVICE_SLOT) return []
  const hash = attr(keyHashAttribute(slot))
  return [countsUse(counter, slot) ? expr`attribute_exists(${hash})` : expr`attribute_not_exists(${hash})`]
}

/** What a container remembers about a caller goes by this text. */
export const callerId = ({ accountId, stamp }: KeyCaller): string =>
  stamp?.toString('hex') ?? `account ${accountId}`
