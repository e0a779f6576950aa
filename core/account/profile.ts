import { newCode, SAME_CODE_MS } from '../credentials/codes.ts'
import { changeHolder } from '../credentials/holder.ts'
import { DomainError } from '../errors.ts'
import { newNotice } from '../notifications/notices.ts'
import { deliverMailOrLeave, type MailToQueue, queueMail } from '../notifications/outbox.ts'
import { securityText } from '../notifications/security-texts.ts'
import { holdsMailBack, marksWithout, trustAddress } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { attr, type Expression, expr, join, setRemove, unchangedSince } from '../table/expression.ts'
import { ADDRESS_CHANGE_KEPT_MS, keys, ttlAt } from '../table/keys.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { HOUR_MS, MINUTE_MS } from '../time.ts'
import { type Account, parseProfile, requireActive, type SessionCaller } from './account.ts'
import { changeSession } from './change.ts'
import { customerDetailsDue } from './customer-due.ts'
import { emailKey, isMailable, UNMAILABLE, usernameKey } from './fields.ts'
import { requireMailDomain } from './mail-domains.ts'

export async function setName(deps: Deps<'table'>, account: Account, name: string): Promise<void> {
  const set = [expr`SET #name = ${name}, #updatedAtMs = ${deps.clock.nowMs()}`]
  await changeProfile(deps, account, join([...set, ...customerDetailsDue(deps, account)], ', '))
}

/**
 * Changes the profile of an active account, in one transaction with the writes in `more`.
 * @throws DomainError `account_deactivated`, `account_suspended` if the account stopped being active after
 *   the gate, `conflict` if another write fails its condition
 */
export async function changeProfile(
  deps: Deps<'table'>,
  { id }: Account,
  set: Expression,
  more: readonly Write[] = [],
): Promise<void> {
  try {
    await writeAll(deps, [{ update: keys.profile(id), set, if: expr`#status = ${'active'}` }, ...more])
  } catch (error) {
    if (error instanceof ConditionFailed) throw refusal(error)
    throw error
  }
}

/**
 * The error for a profile that was not written because it has changed.
 * @throws DomainError `account_deactivated`, `account_suspended` if that is the change
 */
function refusal(error: ConditionFailed): DomainError {
  const profile = error.failed.get(0)
  if (profile) requireActive(parseProfile(profile))
  return new DomainError('conflict')
}

/**
 * Whether a caller's username was changed from `name` to what is wanted by an earlier copy of this request. The
 * path of the repeat still has the old name.
 */
export const isRepeatedRename = (account: Account, name: string, wanted: WantedNames): boolean =>
  wanted.username !== undefined &&
  account.renamedFrom === usernameKey(name) &&
  usernameKey(wanted.username) === usernameKey(account.username) &&
  (wanted.email === undefined || hasAddress(account, wanted.email))

const hasAddress = ({ email, pendingEmail = email }: Account, wanted: string): boolean =>
  [email, pendingEmail].some((each) => emailKey(each) === emailKey(wanted))

/** The names that a caller wants; undefined keeps what there is. */
export interface WantedNames {
  username?: string | undefined
  email?: string | undefined
}

/**
 * Changes username, e-mail address or both, in one transaction. The address gets a mail about the request and stays until
 * the code mailed to the new one is confirmed. Only then does anybody learn whether the new one is taken.
 * @returns the account after the change.
 * @throws DomainError `invalid_request` for a domain of mail that is blocked, and for an address to which no mail can go;
 *   `username_taken`, `too_many_changes`, `conflict`
 */
export function renameAccount(
  deps: Deps<'table' | 'mail' | 'keyring' | 'mailDomains'>,
  caller: SessionCaller,
  wanted: WantedNames,
): Promise<Account> {
  return changeSession(deps, caller, (now) => renameOnce(deps, now, wanted))
}

async function renameOnce(
  deps: Deps<'table' | 'mail' | 'keyring' | 'mailDomains'>,
  { account, sessionId }: SessionCaller,
  wanted: WantedNames,
): Promise<Account> {
  const { email } = wanted
  if (email !== undefined && !hasAddress(account, email)) {
    requireMailable(email)
    await requireMailDomain(deps, email)
  }
  const username = wanted.username ?? account.username
  const isNewUsername = usernameKey(username) !== usernameKey(account.username)
  const address = emailChange(deps, { ...account, username }, wanted.email ?? account.email)
  const nowMs = deps.clock.nowMs()
  // Setting the present address again cancels a change that is not confirmed yet.
  const cancels = wanted.email !== undefined && address.isSame
  const holder = cancels ? changeHolder(account, { sessionId }) : { set: [], remove: [] }
  const trusted = wanted.email === undefined ? { set: [], remove: [], writes: [] } : address.trusted
  const renamed = isNewUsername ? [expr`#renamedFrom = ${usernameKey(account.username)}`] : []
  const set = [
    expr`#username = ${username}, #updatedAtMs = ${nowMs}`,
    ...customerDetailsDue(deps, account),
    ...renamed,
    ...address.set,
    ...holder.set,
    ...trusted.set,
  ]
  const guards = isNewUsername
    ? moveGuard(
        keys.usernameGuard(usernameKey(account.username)),
        keys.usernameGuard(usernameKey(username)),
        account.id,
      )
    : []
  try {
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: setRemove(set, [...holder.remove, ...trusted.remove]),
        if: join(
          [
            expr`#status = ${'active'} AND #username = ${account.username} AND #email = ${account.email}`,
            // The session may have ended, and another change of the address may have begun, since they were read.
            expr`attribute_exists(#sessions.${attr(sessionId)})`,
            unchangedSince(account, [
              'generation',
              'pendingEmail',
              'changeCode',
              'confirmCode',
              'emailChangesMs',
            ]),
          ],
          ' AND ',
        ),
      },
      ...guards,
      ...address.writes,
      ...trusted.writes,
    ])
  } catch (error) {
    // If the profile has changed, the change begins anew.
    if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
    throw new DomainError('username_taken')
  }
  await Promise.all(address.mails.map((mail) => deliverMailOrLeave(deps, mail)))
  return { ...account, username, email: address.email, updatedAtMs: nowMs }
}

/** @throws DomainError `invalid_request`: a present address may be such a one, which an import has brought */
function requireMailable(email: string): void {
  if (!isMailable(email))
    throw new DomainError('invalid_request', { fields: [{ field: 'email', message: UNMAILABLE }] })
}

/** Moves a uniqueness guard: takes the new key and frees the old key, which must still be the account's. */
export function moveGuard(
  from: { pk: string; sk: string },
  to: { pk: string; sk: string },
  accountId: string,
): Write[] {
  return [
    { put: { ...to, accountId }, if: expr`attribute_not_exists(pk)` },
    { remove: from, if: expr`#accountId = ${accountId}` },
  ]
}

function emailChange(deps: Deps<'keyring'>, account: Account, email: string) {
  const mails: ReturnType<typeof queueMail>[] = []
  const queue = (mail: MailToQueue) => mails.push(queueMail(deps, mail))
  const set: Expression[] = []
  const writes: Write[] = []
  const { id: accountId, username } = account
  const sameKey = emailKey(email) === emailKey(account.email)
  const nowMs = deps.clock.nowMs()
  // The owner says that this address works: it gets mail again, and a former one may still not.
  const trusted = trustAddress(nowMs, sameKey ? {} : marksWithout(account, email), account)
  // A repeat: both mails are on their way.
  if (!sameKey && wasJustRequested(deps, account, email)) {
    return { email: account.email, isSame: false, trusted, set, writes, mails: [] }
  }
  if (sameKey) {
    set.push(expr`#email = ${email}`)
  } else {
    set.push(expr`#emailChangesMs = ${countChange(deps, account)}`)
    const code = newCode(deps, 'change-email', accountId, freshCode(deps, account, email))
    const notice = newNotice(deps, accountId, 'address-is-changing', securityText('address-is-changing'))
    const kept = ttlAt(deps.clock.nowMs() + ADDRESS_CHANGE_KEPT_MS)
    const change = { ...keys.addressChange(emailKey(email), accountId), accountId, ...kept }
    writes.push({ put: code.item }, { put: notice }, { put: change })
    set.push(expr`#pendingEmail = ${email}, #changeCode = ${code.lookup}`)
    queue({
      accountId,
      to: email,
      template: 'change-email',
      values: { username },
      codeLookup: code.lookup,
    })
    queue({ accountId, to: account.email, template: 'email-is-changing', values: { username } })
  }
  return {
    email: sameKey ? email : account.email,
    isSame: sameKey,
    trusted,
    set,
    writes: [...writes, ...mails.map(({ write }) => write)],
    // What is held back is left to the job, which drops it and says so.
    mails: mails
      .map(({ mail }) => mail)
      .filter(({ to }) => to === email || !holdsMailBack(account, to, false, nowMs)),
  }
}

/** Within this time a repeated change of a confirmed address mails nothing; later it mails another code. */
const SAME_CHANGE_MS = MINUTE_MS

const wasJustRequested = (deps: Deps, account: Account, email: string): boolean =>
  sinceRequestMs(deps, account, email) < SAME_CHANGE_MS

/** The code that was mailed to this address a moment ago, which the next mail repeats; undefined if another is due. */
const freshCode = (deps: Deps, account: Account, email: string): string | undefined =>
  sinceRequestMs(deps, account, email) < SAME_CODE_MS ? account.changeCode : undefined

/** The time since the change that is pending was requested for this address; without end for any other address. */
const sinceRequestMs = (deps: Deps, { pendingEmail, emailChangesMs = [] }: Account, email: string): number =>
  pendingEmail !== undefined && emailKey(pendingEmail) === emailKey(email)
    ? deps.clock.nowMs() - (emailChangesMs.at(-1) ?? 0)
    : Number.POSITIVE_INFINITY

/** Address changes allowed in an hour. Each mails the new address, which may belong to a stranger. */
const CHANGES_AN_HOUR = 5
/**
 * Counts a change of the address.
 * @returns the times of the changes in the last hour, this one included, epoch ms.
 * @throws DomainError `too_many_changes` with the seconds until the next change is allowed
 */
function countChange(deps: Deps, account: Account): number[] {
  const nowMs = deps.clock.nowMs()
  const recent = (account.emailChangesMs ?? []).filter((atMs) => atMs > nowMs - HOUR_MS)
  const [oldest = nowMs] = recent
  if (recent.length < CHANGES_AN_HOUR) return [...recent, nowMs]
  throw new DomainError('too_many_changes', {
    retryAfterSeconds: Math.ceil((oldest + HOUR_MS - nowMs) / 1000),
  })
}
