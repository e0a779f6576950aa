import { timingSafeEqual } from 'node:crypto'
import { DomainError } from '../errors.ts'
import { defaultKeyLookupOf } from '../keys/default-key.ts'
import { FIXED_KEY_IDS, keyHash, keyIdOf, readKeyText, SERVICE_SLOT } from '../keys/key-text.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { stored } from '../table/stored.ts'
import type { Item } from '../table/table.ts'
import { cacheEntry, cacheOf } from './container-cache.ts'
import { DEFAULT_KEY_SLOT, keyHashAttribute } from './quota.ts'

/** Ports that consuming needs. */
export type QuotaDeps = Deps<'table' | 'keyring' | 'renewals'>

/** The owner of an application key. The spending write checks by the hash that the key is still live. */
export interface KeyCaller {
  accountId: string
  slot: number
  /** Undefined for a service that has named the account. No key has to be live then. */
  hash: Buffer | undefined
}

/** Whose units a request is about: those of whoever has this key, or of the account that a service has named. */
export type KeyOrAccount = string | { accountId: string }

/** A default key is a version 4 UUID. The key belongs to slot 0 and does not contain its account id. */
const DEFAULT_KEY = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

const ACCOUNT_ID = /^[0-9a-f]{24}$/

/** Number of default keys whose account a container remembers, and of further keys whose name it does. */
const REMEMBERED = 10_000

export const wrongKey = () => new DomainError('unauthorized', { detail: 'Send a valid application key.' })

const noAccount = () => new DomainError('not_found', { detail: 'No account has this id.' })

/**
 * Finds the owner of an application key. A further key, valid or not, needs no call to the table. A default
 * key needs one read unless this container remembers its owner.
 * @throws DomainError `unauthorized` for a malformed or unknown key
 */
async function readKeyCaller(deps: Deps<'table' | 'keyring'>, key: KeyOrAccount): Promise<KeyCaller> {
  if (typeof key !== 'string') {
    if (!ACCOUNT_ID.test(key.accountId)) throw noAccount()
    return { accountId: key.accountId, slot: SERVICE_SLOT, hash: undefined }
  }
  const named = readKeyText(deps, key)
  if (named) return { ...named, hash: keyHash(deps, key) }
  if (!DEFAULT_KEY.test(key)) throw wrongKey()
  const hash = keyHash(deps, key)
  const { owners } = cacheOf(deps.table)
  const known = owners.get(hash.toString('hex'))
  if (known !== undefined) return { accountId: known, slot: DEFAULT_KEY_SLOT, hash }
  const item = await deps.table.get(defaultKeyLookupOf(deps, key))
  // Unknown keys are not remembered, because guessed keys would push out real ones.
  if (!item) throw wrongKey()
  const accountId = stored(item, 'accountId', 'string')
  cacheEntry(owners, hash.toString('hex'), accountId, REMEMBERED)
  return { accountId, slot: DEFAULT_KEY_SLOT, hash }
}

/** Who spends, as the answer tells it. */
export interface Spender {
  /** Account id. */
  account: string
  /** Without `name` where it could not be read. */
  key: { id: string; name?: string }
}

/**
 * Does something for whoever has the key, and says in the answer who that is, also in a refusal for want of units.
 * @throws DomainError `unauthorized` for a malformed or unknown key, `not_found` for an account that a service has named
 *   and that does not exist, and what `run` throws
 */
export async function forKey<T extends object>(
  deps: Deps<'table' | 'keyring'>,
  key: KeyOrAccount,
  run: (caller: KeyCaller) => Promise<T>,
): Promise<T & Spender> {
  const caller = await readKeyCaller(deps, key)
  try {
    const done = await run(caller)
    return { ...done, ...(await describeSpender(deps, caller)) }
  } catch (error) {
    if (error instanceof DomainError && error.code === 'quota_exhausted')
      Object.assign(error.members, await describeSpender(deps, caller))
    // Without a key, all that can be wrong is the account.
    if (!caller.hash && error instanceof DomainError && error.code === 'unauthorized') throw noAccount()
    throw error
  }
}

/**
 * Names the account and the key of a caller. Only the name of a further key takes a read, once in a container. The
 * units may be spent by then, so a failure of the read does not fail the request.
 */
async function describeSpender(
  deps: Deps<'table' | 'keyring'>,
  { accountId, slot }: KeyCaller,
): Promise<Spender> {
  const id = keyIdOf(deps, accountId, slot)
  const { keyNames } = cacheOf(deps.table)
  let name = FIXED_KEY_IDS.get(slot) ?? keyNames.get(id)
  if (name === undefined) {
    const item = await deps.table.get(keys.key(accountId, id)).catch((error: unknown) => {
      deps.log.warn('the name of a key was not read', error, { accountId })
      return undefined
    })
    name = item && stored(item, 'name', 'string')
    if (name !== undefined) cacheEntry(keyNames, id, name, REMEMBERED)
  }
  return { account: accountId, key: name === undefined ? { id } : { id, name } }
}

/** Whether the caller's key is still live according to the stored counter. */
export function isLiveKey(counter: Item, { slot, hash }: KeyCaller): boolean {
  if (!hash) return true
  const stored = counter[keyHashAttribute(slot)]
  return stored instanceof Uint8Array && stored.length === hash.length && timingSafeEqual(stored, hash)
}

/** The conditions under which the caller's key is live when a write takes effect. */
export const whileLive = ({ slot, hash }: KeyCaller): Expression[] =>
  hash ? [expr`${attr(keyHashAttribute(slot))} = ${hash}`] : []

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
export const callerId = ({ accountId, hash }: KeyCaller): string =>
  hash?.toString('hex') ?? `account ${accountId}`
