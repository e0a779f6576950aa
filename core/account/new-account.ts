import { newDefaultKey } from '../keys/default-key.ts'
import type { Deps } from '../ports.ts'
import { newQuota } from '../quota/quota.ts'
import type { Item } from '../table/table.ts'
import type { Profile } from './account.ts'

/** What every new account begins with: a profile, a counter without units, and a default key with its look-up. */
export function newAccount(
  deps: Deps<'keyring'>,
  { username, email }: Pick<Profile, 'username' | 'email'>,
): { profile: Omit<Profile, 'status' | 'emailVerified'>; quota: Item; keyLookup: Item } {
  const id = deps.ids.accountId()
  const nowMs = deps.clock.nowMs()
  const key = newDefaultKey(deps, id)
  const profile = {
    id,
    username,
    email,
    createdAtMs: nowMs,
    updatedAtMs: nowMs,
    sessions: {},
    generation: 0,
    twofaTries: 0,
    twofaTriedAtMs: 0,
    ...key.parts,
    defaultKeyAtMs: nowMs,
    keyCount: 1,
    nextKeySlot: 1,
    flags: { bundleAutoRenewal: true, lowQuotaNotification: true },
    paid: false,
    balanceCents: 0,
    ledgerSeq: 0,
  }
  return { profile, quota: newQuota(id, key.hash, nowMs), keyLookup: key.lookup }
}
