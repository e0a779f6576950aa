import { isDeepStrictEqual } from 'node:util'
import type { Account, SessionCaller } from '../account/account.ts'
import { changeSession } from '../account/change.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps } from '../ports.ts'
import { limitChange } from '../quota/limit-change.ts'
import { keyHashAttribute } from '../quota/quota.ts'
import { attr, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import type { Write } from '../table/table.ts'
import { type OwnedKey, ownedKey, plainDefaultKey, takeKeySlot } from './application-keys.ts'
import { DEFAULT_KEY_ID } from './key-text.ts'
import { changedSettings, type KeySettings, keyStamp, type SettingsChange } from './settings.ts'
import { findStoredKey, graceEnds, keyItem, type StoredKey } from './stored-keys.ts'

/**
 * Changes the name and the settings of a key. The new stamp makes every write fail that was checked against the old
 * settings, so the next spend keeps the new ones. A change to what the key has already writes nothing.
 * @param change what to change; or a function that derives it from the present settings, called again after a lost race
 * @throws DomainError `not_found`, `conflict`; `invalid_request` for another expiry that has passed
 */
export function changeKeySettings(
  deps: Deps<'table' | 'keyring'>,
  caller: SessionCaller,
  keyId: string,
  change: SettingsChange | ((settings: KeySettings) => SettingsChange),
): Promise<OwnedKey> {
  return changeSession(deps, caller, ({ account }) => changeKeyOf(deps, account, keyId, change))
}

/** As `changeKeySettings`, once, for whoever may change the account. @throws ConditionFailed if it has changed since */
export async function changeKeyOf(
  deps: Deps<'table' | 'keyring'>,
  account: Account,
  keyId: string,
  change: SettingsChange | ((settings: KeySettings) => SettingsChange),
): Promise<OwnedKey> {
  const kept = await findStoredKey(deps, account.id, keyId)
  const old = kept ?? (keyId === DEFAULT_KEY_ID ? plainDefaultKey(deps, account) : undefined)
  if (!old) throw new DomainError('not_found')
  const wanted = typeof change === 'function' ? change(old.settings ?? {}) : change
  const next = changedKey(deps, old, wanted)
  if (isDeepStrictEqual(next, old)) return ownedKey(deps, old)
  const { revision = 0 } = old
  const stored = { ...next, revision: revision + 1, changedAtMs: deps.clock.nowMs() }
  const stamp = attr(keyHashAttribute(old.slot))
  const limits = await limitChange(deps, account.id, old.slot, old.settings ?? {}, stored.settings ?? {})
  await deps.table.transact([
    // A change of all keys that has found no item of the default key has to conflict with the first one.
    kept ? keysUnchanged(account) : takeKeySlot(account),
    {
      put: keyItem(account.id, stored),
      if: kept ? unchangedSince(kept, ['slot', 'revision']) : expr`attribute_not_exists(pk)`,
    },
    {
      update: keys.quota(account.id),
      set: setRemove(
        [expr`${stamp} = ${keyStamp(stored.hash, stored.revision)}`, ...limits.sets],
        limits.removes,
      ),
      if: join([expr`${stamp} = ${keyStamp(old.hash, revision)}`, ...limits.conditions], ' AND '),
    },
    ...(stored.previous ? [] : graceEnds(old)),
    ...limits.checks,
    ...(concernsUse(old, stored) ? tellOwner(deps, account, 'key-changed') : []),
    announce(deps, account.id, 'key.changed', {
      keyId,
      ...(stored.settings?.disabled && { disabled: true as const }),
    }),
  ])
  return ownedKey(deps, stored)
}

/** The condition that no key was made, replaced or revoked since the account was read. */
const keysUnchanged = ({ id, nextKeySlot, keyCount, status }: Account): Write => ({
  check: keys.profile(id),
  if: expr`#nextKeySlot = ${nextKeySlot} AND #keyCount = ${keyCount} AND #status = ${status}`,
})

/** A key after a change. To switch a key off ends the grace period of its rotation for good. */
function changedKey(deps: Deps, old: StoredKey, change: SettingsChange): StoredKey {
  const settings = changedSettings(old.settings ?? {}, change, deps.clock.nowMs())
  const { previous, ...rest } = old
  return {
    ...rest,
    ...(previous && !settings.disabled && { previous }),
    name: change.name ?? old.name,
    ...((old.settings || Object.keys(settings).length > 0) && { settings }),
  }
}

/** Whether a change is one of who may use the key, and for what: its name and its metadata are notes. */
const concernsUse = ({ settings: old = {} }: StoredKey, { settings = {} }: StoredKey): boolean =>
  !isDeepStrictEqual({ ...old, metadata: undefined }, { ...settings, metadata: undefined })
