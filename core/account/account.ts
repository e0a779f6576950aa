import * as z from 'zod/mini'
import { parseCustomer, type StoredCustomer } from '../cards/customer.ts'
import { DomainError, type ErrorCode } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { parseQuota, type Quota } from '../quota/quota.ts'
import type { Expression } from '../table/expression.ts'
import { CORE_PREFIX, keys } from '../table/keys.ts'
import { ConditionFailed, type Item } from '../table/table.ts'
import { usernameKey } from './fields.ts'

/** The profile item: who the account is and what it may do. */
const profileSchema = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string(),
  /** Full name; absent until given. */
  name: z.optional(z.string()),
  /** `pending`: registered, but the password vault does not have the user yet. */
  status: z.enum(['pending', 'active', 'suspended', 'deactivated']),
  emailVerified: z.boolean(),
  /** The look-up half of the live code, one for each purpose. */
  confirmCode: z.optional(z.string()),
  changeCode: z.optional(z.string()),
  resetCode: z.optional(z.string()),
  /** The new address of a confirmed account until its code is confirmed. */
  pendingEmail: z.optional(z.string()),
  /** Times of recent address changes, epoch ms. */
  emailChangesMs: z.optional(z.array(z.number())),
  createdAtMs: z.number(),
  updatedAtMs: z.number(),
  lastLoginAtMs: z.optional(z.number()),
  /** Live sessions: the `origin_jti` of each token family, and its sign-in time in epoch ms. */
  sessions: z.record(z.string(), z.number()),
  /** Grows with every password change, so a sign-in that began before the change cannot finish after it. */
  generation: z.number(),
  /** Until this time (epoch ms) a password change is in progress and no sign-in can finish. */
  changingUntilMs: z.optional(z.number()),
  /** The encrypted seed of an enrolment that no code has confirmed yet. */
  totpPending: z.optional(z.string()),
  totp: z.optional(
    z.object({
      seed: z.string(),
      /** The last accepted time step; no step is accepted twice. */
      lastStep: z.number(),
      /** MACs of the unused recovery codes. */
      recovery: z.record(z.string(), z.literal(true)),
    }),
  ),
  /** Attempts with two-factor codes since the last right code, and the time of the last attempt. */
  twofaTries: z.number(),
  twofaTriedAtMs: z.number(),
  /** The default application key, sealed by the keyring for this account. */
  defaultKey: z.string(),
  defaultKeyAtMs: z.number(),
  /** Number of live keys with the default key, and the next free slot. A slot is never used twice. */
  keyCount: z.number(),
  nextKeySlot: z.number(),
  flags: z.object({ bundleAutoRenewal: z.boolean(), lowQuotaNotification: z.boolean() }),
  /** Billing address as GreenCloud's page has it; `country` is ISO 3166-1 alpha-2. */
  address: z.optional(
    z.object({
      company: z.optional(z.string()),
      street: z.string(),
      district: z.optional(z.string()),
      city: z.string(),
      postCode: z.string(),
      country: z.string(),
    }),
  ),
  /** The payment provider's customer, once there is one. */
  customerId: z.optional(z.string()),
  /** The open card verification; an account has at most one. */
  openHold: z.optional(z.string()),
  /** Times of recent card attempts, epoch ms, newest last, for the limits against card testing. */
  cardTriesMs: z.optional(z.array(z.number())),
  cardChangedAtMs: z.optional(z.number()),
  /** Name of the bundle held; absent before the first. */
  bundle: z.optional(z.string()),
  /** The open purchase, whose money may still move; an account has at most one. */
  openPurchase: z.optional(z.string()),
  /** The last purchase that ended; it answers a second click. */
  lastPurchase: z.optional(
    z.object({
      id: z.string(),
      fingerprint: z.string(),
      outcome: z.enum(['credited', 'declined']),
      atMs: z.number(),
    }),
  ),
  /** Why auto-renewal does not work at the moment; absent while it works. */
  renewal: z.optional(
    z.object({
      state: z.enum(['retrying', 'paused', 'action_required', 'capped']),
      reason: z.string(),
      /** The card that failed, if there was one. The entry no longer counts once another card is the default. */
      cardId: z.optional(z.string()),
      nextAttemptAtMs: z.optional(z.number()),
      /** Number of consecutive declines. */
      failures: z.number(),
    }),
  ),
  /** Limit for renewals in a calendar month (UTC), and what they cost in the last month with a renewal. */
  monthlyCapCents: z.optional(z.number()),
  renewed: z.optional(z.object({ month: z.string(), cents: z.number() })),
  /** Units owed, by purchase: its money was returned after they had been spent. The next credit pays them. */
  owed: z.optional(z.record(z.string(), z.number())),
  /** Whether a purchase was ever credited. */
  paid: z.boolean(),
  /** Cents; negative is owed to us. */
  balanceCents: z.number(),
  /** Number of the last ledger entry. */
  ledgerSeq: z.number(),
  /** While pending: a MAC over the registration request, so that only the same request can resume it. */
  attempt: z.optional(z.string()),
})

export type Profile = z.infer<typeof profileSchema>

/** An account as a request sees it. */
export interface Account extends Profile {
  quota: Quota | undefined
  customer: StoredCustomer | undefined
}

/** Whether auto-renewal is on. It counts as on only once there is a bundle to renew. */
export const renewsItself = ({ flags, bundle }: Pick<Profile, 'flags' | 'bundle'>): boolean =>
  flags.bundleAutoRenewal && bundle !== undefined

/** The full name, or the username until a full name is given. */
export const displayName = ({ name, username }: Pick<Profile, 'name' | 'username'>): string =>
  name ?? username

/** Reads a stored profile. @throws Error if it is not one. */
export const parseProfile = (item: Item): Profile => z.parse(profileSchema, item)

/** Profile, quota and customer in one strongly consistent read; undefined if there is no such account. */
export async function readAccount(deps: Deps<'table'>, accountId: string): Promise<Account | undefined> {
  const items = await deps.table.list(keys.account(accountId), CORE_PREFIX)
  const find = (sk: string) => items.find((item) => item.sk === sk)
  const profile = find(keys.profile(accountId).sk)
  const quota = find(keys.quota(accountId).sk)
  const customer = find(keys.customer(accountId).sk)
  return (
    profile && {
      ...parseProfile(profile),
      quota: quota && parseQuota(quota),
      customer: customer && parseCustomer(customer),
    }
  )
}

/** The claims that the authorizer has read from a verified access token. */
export interface Claims {
  accountId: string
  sessionId: string
  /** Epoch seconds. */
  expiresAtSec: number
}

/**
 * The account gate, which every protected handler passes, whatever the gateway has cached. One read.
 * @throws DomainError `session_ended` for an expired token or a session that the account no longer lists,
 *   `account_deactivated`, `account_suspended`.
 */
export async function admitCaller(deps: Deps<'table'>, claims: Claims): Promise<Account> {
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
 * Requires that the name in a path is the caller's own, in any case. Unknown names and names of others are refused
 * alike.
 * @throws DomainError `not_found`
 */
export function requireOwnUsername(account: Account, name: string): void {
  if (usernameKey(name) !== usernameKey(account.username)) throw new DomainError('not_found')
}

/** Writes the profile under a condition. @throws DomainError `refusedAs` if the condition does not hold */
export async function updateProfile(
  deps: Deps<'table'>,
  accountId: string,
  set: Expression,
  condition: Expression,
  refusedAs: ErrorCode,
): Promise<void> {
  try {
    await deps.table.update(keys.profile(accountId), set, condition)
  } catch (error) {
    if (error instanceof ConditionFailed) throw new DomainError(refusedAs)
    throw error
  }
}
