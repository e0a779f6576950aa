import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { parseQuota, type Quota } from '../quota/quota.ts'
import { CORE_PREFIX, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { usernameKey } from './fields.ts'

/** The profile item: who the account is and what it may do. */
const profileSchema = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string(),
  /** Full name; absent until given. */
  name: z.optional(z.string()),
  /** `pending`: registered but not yet known to the password vault. */
  status: z.enum(['pending', 'active', 'suspended', 'deactivated']),
  emailVerified: z.boolean(),
  /** Look-up half of the one live confirmation code. */
  confirmCode: z.optional(z.string()),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
  lastLoginAtMs: z.optional(z.number()),
  /** Live sessions: the token family's `origin_jti` and when it signed in (epoch ms). */
  sessions: z.record(z.string(), z.number()),
  /** Grows with every change of password, so that a sign-in that began before one cannot finish after it. */
  generation: z.number(),
  /** The default application key, sealed by the keyring for this account. */
  defaultKey: z.string(),
  flags: z.object({ bundleAutoRenewal: z.boolean(), lowQuotaNotification: z.boolean() }),
  /** Whether a purchase was ever credited. */
  paid: z.boolean(),
  /** Cents; negative is owed to us. */
  balanceCents: z.number(),
  /** Number of the last ledger entry. */
  ledgerSeq: z.number(),
  /** While pending: MAC over the request that registered it, so that only the same request can resume it. */
  attempt: z.optional(z.string()),
})

export type Profile = z.infer<typeof profileSchema>

/** An account as a request sees it. */
export interface Account extends Profile {
  quota: Quota | undefined
}

/** Reads a stored profile. @throws Error if it is not one. */
export const parseProfile = (item: Item): Profile => z.parse(profileSchema, item)

/** Profile and quota in one strongly consistent read; undefined where there is no such account. */
export async function readAccount(deps: Deps<'table'>, accountId: string): Promise<Account | undefined> {
  const items = await deps.table.list(keys.account(accountId), CORE_PREFIX)
  const find = (sk: string) => items.find((item) => item.sk === sk)
  const profile = find(keys.profile(accountId).sk)
  const quota = find(keys.quota(accountId).sk)
  return profile && { ...parseProfile(profile), quota: quota && parseQuota(quota) }
}

/** Whose token it is, as the authorizer read it from a verified access token. */
export interface Claims {
  accountId: string
  sessionId: string
  /** Epoch seconds. */
  expiresAtSec: number
}

/**
 * The account gate: every protected handler passes here, whatever the gateway has cached. One read.
 * @throws DomainError `session_ended` for an expired token or a session that is no longer listed,
 *   `account_deactivated`, `account_suspended`.
 */
export async function admit(deps: Deps<'table'>, claims: Claims): Promise<Account> {
  if (claims.expiresAtSec * 1000 <= deps.clock.nowMs()) throw new DomainError('session_ended')
  const account = await readAccount(deps, claims.accountId)
  if (!account || account.status === 'pending') throw new DomainError('session_ended')
  requireActive(account)
  if (!Object.hasOwn(account.sessions, claims.sessionId)) throw new DomainError('session_ended')
  return account
}

/** @throws DomainError `account_deactivated` or `account_suspended` */
export function requireActive({ status }: Pick<Profile, 'status'>): void {
  if (status === 'deactivated') throw new DomainError('account_deactivated')
  if (status === 'suspended') throw new DomainError('account_suspended')
}

/**
 * Whether the name in a path is the caller's own, in any case. Another's name and one that nobody has are alike.
 * @throws DomainError `not_found`
 */
export function requireOwnUsername(account: Account, name: string): void {
  if (usernameKey(name) !== usernameKey(account.username)) throw new DomainError('not_found')
}
