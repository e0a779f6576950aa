import { newCode } from '../credentials/codes.ts'
import { isPasswordOf } from '../credentials/proof.ts'
import { networkMac } from '../credentials/stranger-tries.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { defaultKeyLookup } from '../keys/default-key.ts'
import { countedWrite } from '../limits/limits.ts'
import { mailboxOf } from '../limits/mailbox.ts'
import { mailboxLimits } from '../limits/mailbox-limits.ts'
import { deliverMailOrLeave, queueMail } from '../notifications/outbox.ts'
import type { Deps } from '../ports.ts'
import { macTexts } from '../rotation.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { AUDIT_PREFIX, dueAt, keys, LISTED_PREFIX } from '../table/keys.ts'
import { ConditionFailed, type Item, ignoreRefusal, type Write } from '../table/table.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, REPEAT_MS } from '../time.ts'
import { type Account, type Profile, parseProfile } from './account.ts'
import { emailKey, usernameKey } from './fields.ts'
import { requireMailDomain } from './mail-domains.ts'
import { newAccount } from './new-account.ts'

/** After this time the sweep removes an unfinished registration, and its names are free again. */
const PENDING_MS = HOUR_MS

/** Resuming an unfinished registration ends well before the sweep begins, so that the two never work on one account at once. */
const RESUME_MS = PENDING_MS - 10 * MINUTE_MS

/** An account whose address nobody confirms for this long is removed, and its names are free again. */
export const UNCONFIRMED_MS = 7 * DAY_MS

export type RegisterDeps = Deps<'table' | 'identity' | 'keyring' | 'mail' | 'mailDomains'>

export interface Registration {
  username: string
  email: string
  password: string
  /** Full name. */
  name?: string | undefined
}

const absent = expr`attribute_not_exists(pk)`

/**
 * Registers an account and mails the code that confirms its address.
 *
 * One transaction takes the names and stores the account as `pending`. Then the password vault creates its
 * user, and the account becomes active. A crash leaves a pending account, which only the same request can
 * resume. For an hour, the same request is answered with the account that it has made.
 * @throws DomainError `invalid_request` for a domain of mail that is blocked; `username_taken`, `email_taken`,
 *   `password_refused`; `password_locked` for a repeat with wrong passwords; `too_many_requests` if the mailbox has had
 *   its accounts for the day
 */
export async function registerAccount(deps: RegisterDeps, input: Registration): Promise<Account> {
  await requireMailDomain(deps, input.email)
  const profile = await reserve(deps, input)
  if (profile.status === 'active') return { ...profile, quota: undefined, customer: undefined }
  try {
    await deps.identity.enroll(profile.id, input.password)
  } catch (error) {
    if (error instanceof DomainError && error.code === 'password_refused')
      await removeUnconfirmed(deps, profile)
    throw error
  }
  return activateAccount(deps, profile)
}

async function reserve(deps: RegisterDeps, input: Registration): Promise<Profile> {
  const fresh = newProfile(deps, input)
  const guard = { accountId: fresh.profile.id }
  const { email } = input
  // Counted in the transaction that takes the names, so that no repeat of the request is counted again.
  const counted = countedWrite(deps, mailboxOf(email), ...mailboxLimits(email, 'sign-up-of'))
  try {
    await deps.table.transact([
      { put: fresh.item, if: absent },
      { put: { ...keys.usernameGuard(usernameKey(input.username)), ...guard }, if: absent },
      { put: { ...keys.emailGuard(emailKey(input.email)), ...guard }, if: absent },
      { put: fresh.keyLookup, if: absent },
      { put: fresh.quota },
      counted.write,
    ])
    return fresh.profile
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const { failed } = error
    const tooMany = failed.has(5) ? counted.refusal(failed.get(5)) : undefined
    if (tooMany && !failed.has(1) && !failed.has(2)) throw tooMany
    return resume(deps, input, failed.get(1), failed.get(2)).catch((refusal) => {
      // Whether the address is taken is no answer for whoever may not register it. A username says nothing of it.
      throw tooMany && isTaken(refusal) ? tooMany : refusal
    })
  }
}

const isTaken = (error: unknown): boolean => error instanceof DomainError && error.code === 'email_taken'

/**
 * Resumes the pending account that an earlier try of the same request has registered, or finds the account that
 * it has made. An active account no longer stores anything of the request, so the vault compares the password.
 * @throws DomainError `username_taken`, `email_taken` if the names belong to another account, or this one is
 *   too old to resume
 */
async function resume(
  deps: RegisterDeps,
  wanted: Registration,
  byUsername: Item | undefined,
  byEmail: Item | undefined,
): Promise<Profile> {
  const taken = new DomainError(byUsername ? 'username_taken' : 'email_taken')
  if (!byUsername || byUsername.accountId !== byEmail?.accountId) throw taken
  const item = await deps.table.get(keys.profile(String(byUsername.accountId)))
  if (!item) throw taken
  const profile = parseProfile(item)
  const repeatableMs = profile.status === 'pending' ? RESUME_MS : REPEAT_MS
  if (deps.clock.nowMs() - profile.createdAtMs >= repeatableMs) throw taken
  const isSame =
    profile.status === 'pending'
      ? profile.attempt !== undefined && attemptMacs(deps, wanted).includes(profile.attempt)
      : profile.status === 'active' && (await isPasswordOf(deps, profile, wanted.password))
  if (!isSame) throw taken
  return profile
}

/** What a pending account keeps of the request that has made it. */
const attemptMacs = (deps: Deps<'keyring'>, { username, email, password }: Registration) =>
  macTexts(deps, 'mac:registration', usernameKey(username), emailKey(email), password)

function newProfile(deps: RegisterDeps, { username, email, password, name }: Registration) {
  const { profile: fresh, ...others } = newAccount(deps, { username, email })
  const [attempt] = attemptMacs(deps, { username, email, password })
  const named = name === undefined ? {} : { name }
  // Until the address is confirmed: then only the network that has shown the code stays.
  const network = networkMac(deps, fresh.id)
  const known = network === undefined ? {} : { networks: [network] }
  const profile: Profile = { ...fresh, ...named, ...known, status: 'pending', emailVerified: false, attempt }
  const { id, createdAtMs } = profile
  const item = { ...keys.profile(id), ...profile, ...dueAt('PENDING', id, createdAtMs + PENDING_MS) }
  return { profile, item, ...others }
}

/**
 * Makes a pending account active. Of several concurrent copies of a request only one can; the others find the
 * account active.
 * @throws DomainError `username_taken` if the account has been removed meanwhile
 */
async function activateAccount(deps: RegisterDeps, pending: Profile): Promise<Account> {
  const active: Account = { ...pending, status: 'active', quota: undefined, customer: undefined }
  const code = newCode(deps, 'confirm-email', pending.id)
  const { mail, write } = queueMail(deps, {
    accountId: pending.id,
    to: pending.email,
    template: 'confirm-email',
    values: { username: pending.username },
    codeLookup: code.lookup,
  })
  try {
    await deps.table.transact([
      {
        update: keys.profile(pending.id),
        set: expr`SET #status = ${'active'}, #confirmCode = ${code.lookup}, #dueAtMs = ${pending.createdAtMs + UNCONFIRMED_MS} REMOVE #attempt`,
        if: expr`#status = ${'pending'}`,
      },
      { put: code.item },
      write,
      announce(deps, pending.id, 'account.registered', {}),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    if (error.failed.get(0)?.status !== 'active') throw new DomainError('username_taken')
    return active
  }
  await deliverMailOrLeave(deps, mail)
  return active
}

/** What an account without a confirmed address may have besides its profile and counter. */
const LEFTOVERS = ['KEY#', 'NOTICE#', 'MAIL#', 'DAY#', AUDIT_PREFIX, 'OUT', LISTED_PREFIX]

/**
 * Removes an account whose address nobody has confirmed, and frees its names. It never bought or spent anything.
 * @returns false if it has been confirmed, or has finished its registration, since it was read.
 */
async function removeUnconfirmed(deps: Deps<'table'>, profile: Profile): Promise<boolean> {
  const { id, status, email, username } = profile
  const isOwn = expr`#accountId = ${id}`
  // The owner of the address may have taken it with a mailed code.
  const emailGuard = keys.emailGuard(emailKey(email))
  const hasAddress = (await deps.table.get(emailGuard))?.accountId === id
  // A registration that never finished has nothing else.
  for (const prefix of profile.attempt === undefined ? LEFTOVERS : [])
    for (const { pk, sk } of await deps.table.list(keys.account(id), prefix))
      await deps.table.remove({ pk: String(pk), sk: String(sk) })
  return deps.table
    .transact([
      { remove: keys.profile(id), if: expr`#status = ${status} AND #emailVerified = ${false}` },
      { remove: keys.usernameGuard(usernameKey(username)), if: isOwn },
      ...(hasAddress ? [{ remove: emailGuard, if: isOwn }] : []),
      { remove: defaultKeyLookup(profile) },
      { remove: keys.quota(id) },
    ])
    .then(
      () => true,
      (error) => {
        ignoreRefusal(error)
        return false
      },
    )
}

/**
 * Removes registrations that never finished, and accounts that nobody confirmed within a week. The vault's user is
 * removed before the account, because after a crash the next sweep can find the account only by its profile.
 * @returns how many were removed, and how many failed and stay due.
 */
export async function sweepPending(deps: Deps<'table' | 'identity'>, run: Run): Promise<Worked> {
  return eachDue(deps, 'PENDING', run, async (key) => {
    const item = await deps.table.get(key)
    if (!item) return false
    const profile = parseProfile(item)
    if (profile.emailVerified) return false
    if (profile.status !== 'pending' && !(await stopUnconfirmed(deps, profile))) return false
    await deps.identity.remove(profile.id)
    return removeUnconfirmed(deps, { ...profile, status: 'pending' })
  })
}

/** Lets nobody sign in to an account or confirm it any more, before the vault forgets its user. */
const stopUnconfirmed = (deps: Deps<'table'>, { id }: Profile): Promise<boolean> =>
  deps.table
    .update(
      keys.profile(id),
      expr`SET #status = ${'pending'}, #sessions = ${{}} REMOVE #confirmCode, #resetCode`,
      expr`#emailVerified = ${false} AND attribute_exists(#due)`,
    )
    .then(
      () => true,
      (error) => {
        ignoreRefusal(error)
        return false
      },
    )

/**
 * Writes with which the owner of an address takes it from an account that never proved it. The sweep removes that
 * account.
 * @returns undefined if the account that has the address has proved it.
 * @throws ConditionFailed if that account is removed meanwhile
 */
export async function takeAddress(
  deps: Deps<'table'>,
  newOwnerId: string,
  address: string,
): Promise<Write[] | undefined> {
  const guard = keys.emailGuard(emailKey(address))
  const put = { ...guard, accountId: newOwnerId }
  const holderId = (await deps.table.get(guard))?.accountId
  if (holderId === undefined) return [{ put, if: absent }]
  if (holderId === newOwnerId) return []
  const item = await deps.table.get(keys.profile(String(holderId)))
  // It has just been removed.
  if (!item) throw new ConditionFailed(new Map())
  const holder = parseProfile(item)
  if (holder.emailVerified) return undefined
  const due = dueAt('PENDING', holder.id, deps.clock.nowMs())
  return [
    { put, if: expr`#accountId = ${holder.id}` },
    {
      update: keys.profile(holder.id),
      set: expr`SET #status = ${'pending'}, #sessions = ${{}}, #due = ${due.due}, #dueAtMs = ${due.dueAtMs} REMOVE #attempt, #confirmCode, #resetCode`,
      if: expr`#emailVerified = ${false}`,
    },
  ]
}
