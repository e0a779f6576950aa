import { isRegisteredPassword, sealPassword } from '../credentials/first-password.ts'
import {
  countTry,
  countWrongPassword,
  forgetWrongPasswords,
  readName,
  requireUnlocked,
} from '../credentials/password-tries.ts'
import { lookAtPassword, networkMac } from '../credentials/stranger-tries.ts'
import { DomainError, type ErrorCode } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { countedWrite } from '../limits/limits.ts'
import { mailboxOf } from '../limits/mailbox.ts'
import { mailboxLimits } from '../limits/mailbox-limits.ts'
import { deliverMailOrLeave } from '../notifications/outbox.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { dueAt, keys } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed, type Item } from '../table/table.ts'
import { REPEAT_MS } from '../time.ts'
import { type Account, type Profile, parseProfile } from './account.ts'
import { emailKey, usernameKey } from './fields.ts'
import { requireMailDomain } from './mail-domains.ts'
import { newAccount } from './new-account.ts'
import { confirmationOf, moveUnconfirmed, UNCONFIRMED_MS } from './unconfirmed.ts'

export type RegisterDeps = Deps<'table' | 'keyring' | 'mail' | 'mailDomains'>

export interface Registration {
  username: string
  email: string
  password: string
  /** Full name. */
  name?: string | undefined
}

const absent = expr`attribute_not_exists(pk)`

/**
 * Registers an account and mails the code that confirms its address, in one transaction. The password waits in the profile,
 * sealed: the vault, which charges for each user, gets it once the address is confirmed. Until then nobody can sign in.
 *
 * For an hour, the same request is answered with the account that it has made. While nobody has confirmed the address, a
 * request that differs in it alone moves the account to the other address: somebody has mistyped it.
 * @throws DomainError `invalid_request` for a domain of mail that is blocked; `username_taken`, `email_taken`, which is also
 *   the answer while wrong passwords keep a repeat from being looked at; `too_many_requests` if the mailbox has had its
 *   accounts for the day
 */
export async function registerAccount(deps: RegisterDeps, input: Registration): Promise<Account> {
  await requireMailDomain(deps, input.email)
  return retryRaces(deps, () => registerOnce(deps, input), 'temporarily_unavailable')
}

async function registerOnce(deps: RegisterDeps, input: Registration): Promise<Account> {
  const { profile, item, quota, keyLookup, mail, mailed } = newRegistration(deps, input)
  const guard = { accountId: profile.id }
  // Counted in the transaction that takes the names, so that no repeat of the request is counted again.
  const counted = countSignUp(deps, input.email)
  try {
    await deps.table.transact([
      { put: item, if: absent },
      { put: { ...keys.usernameGuard(usernameKey(input.username)), ...guard }, if: absent },
      { put: { ...keys.emailGuard(emailKey(input.email)), ...guard }, if: absent },
      { put: keyLookup, if: absent },
      { put: quota },
      counted.write,
      ...mailed,
      announce(deps, profile.id, 'account.registered', {}),
    ])
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    const { failed } = error
    const tooMany = failed.has(5) ? counted.refusal(failed.get(5)) : undefined
    if (tooMany && !failed.has(1) && !failed.has(2)) throw tooMany
    return repeated(deps, input, failed.get(1), failed.get(2)).catch((refusal) => {
      // Whether the address is taken is no answer for whoever may not register it. A username says nothing of it.
      throw tooMany && isError(refusal, 'email_taken') ? tooMany : refusal
    })
  }
  await deliverMailOrLeave(deps, mail)
  return asAccount(profile)
}

const countSignUp = (deps: RegisterDeps, email: string) =>
  countedWrite(deps, mailboxOf(email), ...mailboxLimits(email, 'sign-up-of'))

const isError = (error: unknown, code: ErrorCode): boolean =>
  error instanceof DomainError && error.code === code

const asAccount = (profile: Profile): Account => ({ ...profile, quota: undefined, customer: undefined })

/**
 * Finds the account that an earlier copy of the same request has made, or moves it to the address of this one.
 * @throws DomainError `username_taken`, `email_taken` if the names belong to another account, or this one was confirmed or
 *   is too old for a repeat; `too_many_requests`
 * @throws ConditionFailed if the account or the address has changed meanwhile
 */
async function repeated(
  deps: RegisterDeps,
  wanted: Registration,
  byUsername: Item | undefined,
  byEmail: Item | undefined,
): Promise<Account> {
  const taken = new DomainError(byUsername ? 'username_taken' : 'email_taken')
  if (!byUsername || (byEmail && byEmail.accountId !== byUsername.accountId)) throw taken
  const item = await deps.table.get(keys.profile(String(byUsername.accountId)))
  if (!item) throw taken
  const profile = parseProfile(item)
  // A concurrent copy may have moved it since the address was found free.
  const isSame = emailKey(profile.email) === emailKey(wanted.email)
  const sinceMs = Math.max(profile.createdAtMs, profile.movedAtMs ?? 0)
  const isOver = isSame && deps.clock.nowMs() - sinceMs >= REPEAT_MS
  if (profile.status !== 'active' || profile.emailVerified || isOver) throw taken
  const isOwners = await hasPassword(deps, profile, wanted.password, isSame).catch((error) => {
    // A lock would tell that the name and the address are of one account.
    throw isError(error, 'password_locked') ? taken : error
  })
  if (!isOwners) throw taken
  return isSame ? asAccount(profile) : moveRegistration(deps, profile, wanted.email)
}

/**
 * Whether the account was registered with this password and still waits for its code. A wrong one counts as a try to sign
 * in with the username. A move is counted before it is looked at, so that no more guesses at once are looked at than one
 * after the other. Copies of a repeat are not, because there may be many, and a repeat is looked at for an hour alone.
 * @throws DomainError `password_locked`, `temporarily_unavailable`
 */
async function hasPassword(
  deps: RegisterDeps,
  profile: Profile,
  password: string,
  isRepeat: boolean,
): Promise<boolean> {
  if (profile.registeredPassword === undefined) return false
  const guard = keys.usernameGuard(usernameKey(profile.username))
  const { tries } = await readName(deps, guard)
  requireUnlocked(deps, tries)
  const counted = isRepeat ? undefined : await countTry(deps, guard, tries)
  const look = async () => isRegisteredPassword(deps, profile, password)
  const isRight = (await lookAtPassword(deps, profile, look, (right) => right)) === true
  if (isRight && counted) await forgetWrongPasswords(deps, guard, counted)
  if (!isRight && !counted) await countWrongPassword(deps, guard, tries)
  return isRight
}

async function moveRegistration(deps: RegisterDeps, profile: Profile, email: string): Promise<Account> {
  const { mail, writes, confirmCode } = moveUnconfirmed(deps, profile, email)
  const counted = countSignUp(deps, email)
  try {
    await deps.table.transact([...writes, counted.write])
  } catch (error) {
    const isFull =
      error instanceof ConditionFailed && [...error.failed.keys()].every((at) => at === writes.length)
    throw isFull ? counted.refusal(error.failed.get(writes.length)) : error
  }
  await deliverMailOrLeave(deps, mail)
  return asAccount({ ...profile, email, confirmCode, updatedAtMs: deps.clock.nowMs() })
}

function newRegistration(deps: RegisterDeps, { username, email, password, name }: Registration) {
  const { profile: fresh, ...others } = newAccount(deps, { username, email })
  const { id, createdAtMs } = fresh
  const { confirmCode, mail, writes: mailed } = confirmationOf(deps, fresh, email)
  // Until the address is confirmed: then only the network that has shown the code stays.
  const network = networkMac(deps, id)
  const profile: Profile = {
    ...fresh,
    ...(name !== undefined && { name }),
    ...(network !== undefined && { networks: [network] }),
    status: 'active',
    emailVerified: false,
    confirmCode,
    registeredPassword: sealPassword(deps, id, password),
    unenrolled: true,
  }
  const item = { ...keys.profile(id), ...profile, ...dueAt('PENDING', id, createdAtMs + UNCONFIRMED_MS) }
  return { profile, item, mail, mailed, ...others }
}
