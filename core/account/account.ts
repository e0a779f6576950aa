import * as z from 'zod/mini'
import { parseCustomer, type StoredCustomer } from '../cards/stored-customer.ts'
import { isSinceRestore, liveSession, SESSION_MS } from '../credentials/session-life.ts'
import { DomainError } from '../errors.ts'
import { termsSchema } from '../plans/terms.ts'
import type { Deps } from '../ports.ts'
import { keyHashAttribute, parseQuota, type Quota } from '../quota/quota.ts'
import { CORE_PREFIX, keys } from '../table/keys.ts'
import type { Item } from '../table/table.ts'
import { usernameKey } from './fields.ts'

/** The stored profile: an account's identity, credentials and state. */
export const profileSchema = z.object({
  id: z.string(),
  username: z.string(),
  email: z.string(),
  /** Full name; absent until given. */
  name: z.optional(z.string()),
  /**
   * `pending`: about to be removed, because nobody has confirmed its address. `erased`: the time of `eraseAtMs` has passed, so
   * that nothing brings the account back; its names go once the services outside have forgotten it.
   */
  status: z.enum(['pending', 'active', 'suspended', 'deactivated', 'erased']),
  /** While suspended: since when, epoch ms, what the account was before, and whether its owner was told. */
  suspension: z.optional(
    z.object({ atMs: z.number(), from: z.enum(['active', 'deactivated']), silent: z.boolean() }),
  ),
  /** When a deactivated account whose owner has deleted it is erased, epoch ms. Restoring it removes the time. */
  eraseAtMs: z.optional(z.number()),
  /** Set once an operator has the account erased at once: from then on nothing brings it back. */
  erasing: z.optional(z.literal(true)),
  /** When the erasure was done: what is left is bookkeeping without a name. */
  erasedAtMs: z.optional(z.number()),
  emailVerified: z.boolean(),
  /**
   * The mailbox of the confirmed address, by a MAC (`limits/mailbox.ts`), to count what its accounts do together. Absent
   * in accounts that confirmed their address before it was kept.
   */
  mailbox: z.optional(z.string()),
  /**
   * Units of the trial, until the first card on file has decided whether the account keeps them (`quota/trial-card.ts`).
   */
  trialUnits: z.optional(z.number()),
  /** Look-up halves of the valid mailed codes, one for each purpose. */
  confirmCode: z.optional(z.string()),
  changeCode: z.optional(z.string()),
  resetCode: z.optional(z.string()),
  recoveryCode: z.optional(z.string()),
  /** The new address that a confirmed account has requested, until its code is confirmed. */
  pendingEmail: z.optional(z.string()),
  /** Key of the username before the last change of it, by which a repeat of that change is recognised. */
  renamedFrom: z.optional(z.string()),
  /** Times of recent changes of the address, epoch ms, for the hourly limit. */
  emailChangesMs: z.optional(z.array(z.number())),
  /**
   * Addresses of the account that get no more mail, in the form of `emailKey`: why, and when mail last failed to
   * arrive, epoch ms.
   */
  undeliverable: z.optional(
    z.record(
      z.string(),
      z.object({
        /** `replaced`: the owner has another address, which a restore of the table has lost. */
        reason: z.enum(['bounced', 'complained', 'suppressed', 'replaced']),
        atMs: z.number(),
      }),
    ),
  ),
  /** When the owner last set an address or confirmed one, epoch ms. Bounces of earlier mails no longer count. */
  addressSinceMs: z.optional(z.number()),
  /** Times of recent exports of the data, epoch ms, for the hourly limit. */
  exportsMs: z.optional(z.array(z.number())),
  /** The same of exports by operators, which have no limit. */
  operatorExportsMs: z.optional(z.array(z.number())),
  createdAtMs: z.number(),
  /** When an account that nobody had confirmed yet was moved to another address last, epoch ms. */
  movedAtMs: z.optional(z.number()),
  updatedAtMs: z.number(),
  lastLoginAtMs: z.optional(z.number()),
  /** Live sessions by the token family's `origin_jti`. */
  sessions: z.record(
    z.string(),
    z.object({
      /** When the session signed in, epoch ms. */
      sinceMs: z.number(),
      /** When the session was last seen to refresh its token, epoch ms; absent in its first hour. */
      seenMs: z.optional(z.number()),
      /** What signed in, in words of our own such as `Firefox on Windows`; absent if it did not say. */
      device: z.optional(z.string()),
      /** When its user last proved who they are: at sign-in or later, epoch ms. */
      provedMs: z.number(),
      /** True once a second factor or a passkey has proved it. */
      factor: z.optional(z.boolean()),
      /** MAC of the code that proved it last, by which a repeat of that request is recognised. */
      provedBy: z.optional(z.string()),
    }),
  ),
  /**
   * Sessions that application keys have begun, by the token family's `origin_jti`. Each lives as long as its token, and
   * only while the counter has this stamp (base64url) of the key in this slot: until the key is revoked, replaced or
   * changed (`credentials/key-sign-in.ts`).
   */
  keySessions: z.optional(
    z.record(
      z.string(),
      z.object({ slot: z.number(), stamp: z.string(), sinceMs: z.optional(z.number()), untilMs: z.number() }),
    ),
  ),
  /** Names of the devices that have signed in with this password, the newest first. */
  devices: z.optional(z.array(z.string())),
  /**
   * MACs of the networks from which the owner has signed in or used a mailed code, the newest first: passwords from there
   * are always looked at (`credentials/stranger-tries.ts`).
   */
  networks: z.optional(z.array(z.string())),
  /** Grows with every password change: a sign-in that began before the change cannot finish after it. */
  generation: z.number(),
  /**
   * The hash of the password that an imported account had elsewhere, sealed by the keyring for this account; until
   * somebody signs in with that password, or sets another (`credentials/first-password.ts`).
   */
  importedPassword: z.optional(z.string()),
  /** The password of a registered account, sealed by the keyring for it; until its address is confirmed. */
  registeredPassword: z.optional(z.string()),
  /** The vault may have no user for the account yet. */
  unenrolled: z.optional(z.literal(true)),
  /** Set while the vault changes the password: no sign-in can finish before this time, epoch ms. */
  changingUntilMs: z.optional(z.number()),
  /**
   * Seeds of enrolments that no code has confirmed yet, encrypted for this account, by the session that has begun
   * them; `atMs` is when, epoch ms.
   */
  totpPending: z.optional(z.record(z.string(), z.object({ seed: z.string(), atMs: z.number() }))),
  totp: z.optional(
    z.object({
      seed: z.string(),
      /** The last time step that was accepted. No step is accepted twice. */
      lastStep: z.number(),
      /** MACs of the unused recovery codes. */
      recovery: z.record(z.string(), z.literal(true)),
    }),
  ),
  /** Passkeys by id: the digest of the credential's id. `core/credentials/passkeys.ts` limits their number. */
  passkeys: z.optional(
    z.record(
      z.string(),
      z.object({
        name: z.string(),
        credentialId: z.string(),
        publicKey: z.string(),
        counter: z.number(),
        synced: z.boolean(),
        createdAtMs: z.number(),
        lastUsedAtMs: z.optional(z.number()),
        /** Id of the challenge that made it, by which a repeat of that request is recognised. */
        madeBy: z.string(),
      }),
    ),
  ),
  /** Id of the passkey that was removed last, by which a repeat is recognised. */
  removedPasskey: z.optional(z.string()),
  /** The generation of the password change that replaced every key, by which a repeat is recognised. */
  keysReplacedIn: z.optional(z.number()),
  /** The recovery of a lost second factor that has not ended; its beginning, epoch ms, also names it. */
  recovery: z.optional(
    z.object({
      beganAtMs: z.number(),
      /** Set if an operator has begun it: then it ends by itself with the second factors switched off. */
      by: z.optional(z.literal('operator')),
    }),
  ),
  /** A change of the address that an operator has begun, while its owner can stop it; named as a recovery is. */
  addressMove: z.optional(z.object({ email: z.string(), beganAtMs: z.number() })),
  /** Times of the recoveries that began in the last week, epoch ms, and the last one that was finished. */
  recoveriesMs: z.optional(z.array(z.number())),
  recoveredFrom: z.optional(z.number()),
  /** The comparable form of the address whose mailbox has set the password: its owner is the account's holder. */
  holderEmail: z.optional(z.string()),
  /** MAC of the code that restored the account last, or of none, by which a repeat is recognised. */
  restoredBy: z.optional(z.string()),
  /** MAC of the code that switched two-factor authentication off, until it is on again. */
  twofaOffBy: z.optional(z.string()),
  /** Two-factor codes tried since the last right code, and the time of the last try. */
  twofaTries: z.number(),
  twofaTriedAtMs: z.number(),
  /** The default application key, sealed by the keyring for this account. */
  defaultKey: z.string(),
  /** The hash of the default key, base64url. It names the item that leads from the key to the account. */
  keyHash: z.string(),
  defaultKeyAtMs: z.number(),
  /** Number of live keys, the default key included, and the next free slot. No slot is used twice. */
  keyCount: z.number(),
  nextKeySlot: z.number(),
  /** How many keys were rotated on the day (days since 1970, UTC) of the last rotation. */
  keyRotations: z.optional(z.object({ day: z.number(), count: z.number() })),
  flags: z.object({ bundleAutoRenewal: z.boolean(), lowQuotaNotification: z.boolean() }),
  /** Billing address with the fields of GreenCloud's page; `country` is ISO 3166-1 alpha-2. */
  address: z.optional(
    z.object({
      company: z.optional(z.string()),
      street: z.string(),
      /** A second line, which EMCP's page has. */
      street2: z.optional(z.string()),
      district: z.optional(z.string()),
      city: z.string(),
      postCode: z.string(),
      country: z.string(),
    }),
  ),
  /** The owner's tax id as typed, for the owner's own books. */
  taxId: z.optional(z.string()),
  /** Id of the customer at the payment provider; absent before the first card or purchase. */
  customerId: z.optional(z.string()),
  /** Id of the open card verification. An account has at most one. */
  openHold: z.optional(z.string()),
  /** Times of recent tries of cards not on file, epoch ms, newest last, for the limits against card testing. */
  cardTriesMs: z.optional(z.array(z.number())),
  /** Times of recent declines of cards on file, epoch ms, newest last, for the same limits. */
  chargeDeclinesMs: z.optional(z.array(z.number())),
  cardChangedAtMs: z.optional(z.number()),
  /** The last card that was proved, so that a repeat of its request holds no other dollar. */
  lastProof: z.optional(z.object({ request: z.string(), cardId: z.string(), atMs: z.number() })),
  /** Name of the account's bundle; absent before the first purchase. */
  bundle: z.optional(z.string()),
  /** The terms with which the account took its bundle; absent in accounts of older versions. */
  plan: z.optional(termsSchema),
  /** Id of the open purchase, which may still charge the card. An account has at most one. */
  openPurchase: z.optional(z.string()),
  /** The last purchase that ended. A second click soon afterwards gets its outcome. */
  lastPurchase: z.optional(
    z.object({
      id: z.string(),
      fingerprint: z.string(),
      outcome: z.enum(['credited', 'declined']),
      atMs: z.number(),
    }),
  ),
  /** Why the bundle does not renew at the moment; absent while nothing prevents it. */
  renewal: z.optional(
    z.object({
      state: z.enum(['retrying', 'paused', 'action_required', 'capped', 'held_back']),
      reason: z.string(),
      /** The default card at that time, if there was one. Another default card makes the state obsolete. */
      cardId: z.optional(z.string()),
      nextAttemptAtMs: z.optional(z.number()),
      /** When renewals were held back. The mailed link that allows more is valid for this hold only. */
      heldAtMs: z.optional(z.number()),
      /** Number of consecutive declines. */
      failures: z.number(),
    }),
  ),
  /** Name of the bundle that renewals buy, if the owner chose one; otherwise they buy the bundle held. */
  renewalBundle: z.optional(z.string()),
  /** The terms of that bundle when the owner chose it. */
  renewalPlan: z.optional(termsSchema),
  /**
   * The owner's limits: the cost of renewals in a calendar month (UTC), in the currency's minor unit, and their
   * number.
   */
  monthlyCapCents: z.optional(z.number()),
  maxRenewalsPerHour: z.optional(z.number()),
  maxRenewalsPerDay: z.optional(z.number()),
  /** What renewals have charged. `core/purchases/renewal-limits.ts` counts them. */
  renewed: z.optional(
    z.object({
      /** The last month with renewals, such as 2026-11, with their cost and number. */
      month: z.string(),
      cents: z.number(),
      count: z.optional(z.number()),
      /** The renewals that count towards the limits of an hour and a day, oldest first. */
      recent: z.optional(z.array(z.object({ atMs: z.number(), count: z.number() }))),
    }),
  ),
  /**
   * Units owed, by purchase: they were spent before a refund or dispute. Under the key `TAKEN_BY_OPERATOR`, those that
   * an operator has taken and that were not left. The next credit pays them back.
   */
  owed: z.optional(z.record(z.string(), z.number())),
  /** Whether a purchase was ever credited. */
  paid: z.boolean(),
  /** In the currency's minor unit; negative if the customer owes money, positive only by operators' credits. */
  balanceCents: z.number(),
  /**
   * What operators have put on the balance, less what they took off it; never negative. It is part of the balance; the
   * rest of the balance is what the customer owes.
   */
  creditCents: z.optional(z.number()),
  /** Number of the last ledger entry. */
  ledgerSeq: z.number(),
})

export type Profile = z.infer<typeof profileSchema>

/** An account as requests read it: the profile, the counter and the customer. */
export interface Account extends Profile {
  quota: Quota | undefined
  customer: StoredCustomer | undefined
}

/** Whether auto-renewal is on. It counts as on only once there is a bundle to renew. */
export const renewsItself = ({ flags, bundle }: Pick<Profile, 'flags' | 'bundle'>): boolean =>
  flags.bundleAutoRenewal && bundle !== undefined

/** The state of auto-renewal: whether it is on, and why it does not renew at the moment. */
export const renewalStateOf = (account: Pick<Profile, 'flags' | 'bundle' | 'renewal'>) =>
  renewsItself(account) ? (account.renewal?.state ?? 'on') : 'off'

/** The full name, or the username until a full name is given. */
export const displayName = ({ name, username }: Pick<Profile, 'name' | 'username'>): string =>
  name ?? username

/** Reads a stored profile. @throws Error if the item is not a profile. */
export const parseProfile = (item: Item): Profile => z.parse(profileSchema, item)

/** Profile, quota and customer in one strongly consistent read; undefined for an unknown account. */
export async function readAccount(deps: Deps<'table'>, accountId: string): Promise<Account | undefined> {
  return (await readStoredAccount(deps, accountId)).parse()
}

/** The same read, which leaves the work of parsing, which takes as long as there is something to parse, for later. */
export async function readStoredAccount(
  deps: Deps<'table'>,
  accountId: string,
): Promise<{ profile: Item | undefined; parse(): Account | undefined }> {
  const items = await deps.table.list(keys.account(accountId), CORE_PREFIX)
  const { sk } = keys.profile(accountId)
  return { profile: items.find((item) => item.sk === sk), parse: () => accountOfItems(items, accountId) }
}

function accountOfItems(items: readonly Item[], accountId: string): Account | undefined {
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

/** A signed-in caller. */
export interface SessionCaller {
  account: Account
  sessionId: string
}

/** What the authorizer read from a verified access token. */
export interface Claims {
  accountId: string
  sessionId: string
  /** Epoch seconds. */
  expiresAtSec: number
}

/** A caller with a genuine access token that has not expired. */
export interface Caller {
  account: Account
  sessionId: string
  /** Why the caller is not admitted; undefined for an admitted caller. */
  refusal: DomainError | undefined
  /** Set if only its being a session of an application key keeps the caller out: it may be let in to read. */
  ofKey?: true
}

/**
 * The account gate: every protected handler calls it, because the gateway may have cached an outdated answer
 * of the authorizer. One read.
 * @returns the caller, with a `refusal` `session_ended` for a session that the account no longer lists, that began before
 *   `deps.sessionsSinceMs`, or that an application key has begun; `account_deactivated` or `account_suspended`.
 * @throws DomainError `token_expired` for an expired token of a session that may be refreshed; `session_ended` for
 *   one of any other session, and for an account that does not exist. No expired token gets past this.
 */
export async function readCaller(deps: Deps<'table'>, claims: Claims): Promise<Caller> {
  const { accountId, sessionId } = claims
  const items = await deps.table.list(keys.account(accountId), CORE_PREFIX)
  const account = accountOfItems(items, accountId)
  if (!account || isNobodys(account)) throw new DomainError('session_ended')
  const live = liveSession(deps, account, sessionId)
  const nowMs = deps.clock.nowMs()
  if (claims.expiresAtSec * 1000 <= nowMs) {
    const canRefresh = live && nowMs < live.sinceMs + SESSION_MS
    throw new DomainError(canRefresh ? 'token_expired' : 'session_ended')
  }
  const inactive = inactivity(account)
  const ofKey = !live && !inactive && isKeySessionLive(deps, account, sessionId, items)
  return {
    account,
    sessionId,
    refusal: inactive ?? (live ? undefined : new DomainError('session_ended')),
    ...(ofKey && { ofKey: true as const }),
  }
}

/** Whether an application key has begun the session, and still is as it was then. */
function isKeySessionLive(
  deps: Deps,
  { id, keySessions = {} }: Profile,
  sessionId: string,
  items: readonly Item[],
): boolean {
  const session = Object.hasOwn(keySessions, sessionId) ? keySessions[sessionId] : undefined
  if (!session || deps.clock.nowMs() >= session.untilMs || !isSinceRestore(deps, session)) return false
  const stamp = items.find(({ sk }) => sk === keys.quota(id).sk)?.[keyHashAttribute(session.slot)]
  return stamp instanceof Uint8Array && Buffer.from(stamp).toString('base64url') === session.stamp
}

/** The account of a caller who is admitted. @throws DomainError as `readCaller`, and its refusal */
export async function admitCaller(deps: Deps<'table'>, claims: Claims): Promise<Account> {
  const { account, refusal } = await readCaller(deps, claims)
  if (refusal) throw refusal
  return account
}

/** Whether nobody can get into the account: it is not there yet, or not there any more. */
export const isNobodys = ({ status, erasing }: Pick<Profile, 'status' | 'erasing'>): boolean =>
  status === 'pending' || status === 'erased' || erasing === true

function inactivity({ status }: Pick<Profile, 'status'>): DomainError | undefined {
  if (status === 'deactivated') return new DomainError('account_deactivated')
  if (status === 'erased') return new DomainError('session_ended')
  return status === 'suspended' ? new DomainError('account_suspended') : undefined
}

/** Whether the account of something that is left open is active. One read. */
export const isActive = async (deps: Deps<'table'>, accountId: string): Promise<boolean> =>
  (await deps.table.get(keys.profile(accountId)))?.status === 'active'

/** @throws DomainError `account_deactivated` or `account_suspended` */
export function requireActive(profile: Pick<Profile, 'status'>): void {
  const refusal = inactivity(profile)
  if (refusal) throw refusal
}

/**
 * Nobody signs in to an account whose address nobody has proved, so that nobody settles in under the address of someone
 * else.
 * @throws DomainError `email_unconfirmed`
 */
export function requireConfirmed({ emailVerified }: Pick<Profile, 'emailVerified'>): void {
  if (!emailVerified) throw new DomainError('email_unconfirmed')
}

/**
 * Checks that the id in a path is the caller's own: an account is a team of one.
 * @throws DomainError `not_found` for any other id, so that nobody learns which ids exist
 */
export function requireOwnTeam({ id }: Pick<Profile, 'id'>, teamId: string): void {
  if (teamId !== id) throw new DomainError('not_found')
}

/**
 * Checks that the username in a path is the caller's own, in upper or lower case.
 * @throws DomainError `not_found` for any other name, so that nobody learns which names exist
 */
export function requireOwnUsername({ username }: Pick<Profile, 'username'>, name: string): void {
  if (usernameKey(name) !== usernameKey(username)) throw new DomainError('not_found')
}
