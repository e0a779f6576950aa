import * as z from 'zod/mini'
import { type Account, readAccount } from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { countEvent, waitOf } from '../limits/limits.ts'
import { mailboxOf } from '../limits/mailbox.ts'
import { deliverMailOrLeave, queueMail } from '../notifications/outbox.ts'
import type { QueuedMail } from '../notifications/queued-mail.ts'
import { holdsMailBack } from '../notifications/undeliverable.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run, type Worked } from '../table/due.ts'
import { attr, expr, join } from '../table/expression.ts'
import { ADDRESS_CHANGE_PREFIX, dueAt, type Key, keys, MAIL_REQUEST_KEPT_MS, ttlAt } from '../table/keys.ts'
import { leaseDue } from '../table/lease.ts'
import { ConditionFailed, type Write } from '../table/table.ts'
import { writeAll } from '../table/write-all.ts'
import { HOUR_MS } from '../time.ts'
import { CODE_IN_PROFILE, type CodePurpose, newCode, renewCode } from './codes.ts'
import { waitingMail } from './recovery-news.ts'
import { openRecovery } from './recovery-state.ts'
import { hasSecondFactor } from './two-factor.ts'

/** What anybody can request a mail for, by the address. */
export const mailRequestPurposes = ['reset-password', 'confirm-email', 'recovery'] as const

export type MailRequestPurpose = (typeof mailRequestPurposes)[number]

/** Most mails of one purpose that an address gets in an hour, however many are requested. */
const MAILS_AN_HOUR = 5
const mailRequestSchema = z.object({
  purpose: z.enum(mailRequestPurposes),
  email: z.string(),
  dueAtMs: z.number(),
  /** Times of recent mails for this request, epoch ms, for the hourly limit. */
  sentAtMs: z.optional(z.array(z.number())),
})

/**
 * Stores a request for a mail: one write, whether or not an account has the address. Only the job looks that
 * up, so neither the answer nor its cost reveals whether the address is known.
 */
export const requestMail = (deps: Deps<'table'>, purpose: MailRequestPurpose, email: string): Promise<void> =>
  writeAll(deps, [mailRequest(deps, purpose, email)])

/** The write that stores a request for a mail. */
export function mailRequest(deps: Deps, purpose: MailRequestPurpose, email: string): Write {
  const nowMs = deps.clock.nowMs()
  const key = emailKey(email)
  const { due, dueAtMs } = dueAt('ASK', deps.ids.hex(2), nowMs)
  const { ttl } = ttlAt(nowMs + MAIL_REQUEST_KEPT_MS)
  return {
    update: keys.ask(purpose, key),
    set: expr`SET #purpose = ${purpose}, #email = ${key}, #due = ${due}, #dueAtMs = ${dueAtMs}, #ttl = ${ttl}`,
  }
}

/**
 * Answers the requests that are due: mails a code. The code of the mail before is sent again for as long as it is
 * valid, so that nobody makes the code useless that its owner is about to type. An address that has had its mails for
 * the hour gets no other, but the code in its newest mail is made valid again: whoever asks all day keeps nobody from
 * a code that works.
 * @returns how many requests led to a mail, and how many failed and stay due.
 */
export function answerMailRequests(deps: Deps<'table' | 'mail' | 'keyring'>, run: Run): Promise<Worked> {
  return eachDue(deps, 'ASK', run, (key) => answerMailRequest(deps, key))
}

async function answerMailRequest(deps: Deps<'table' | 'mail' | 'keyring'>, key: Key): Promise<boolean> {
  const nowMs = deps.clock.nowMs()
  try {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const request = z.parse(mailRequestSchema, item)
    // A request that arrives meanwhile changes the due time. This condition then fails; the next run answers.
    const unchanged = expr`#dueAtMs = ${request.dueAtMs}`
    const recent = (request.sentAtMs ?? []).filter((sentMs) => sentMs > nowMs - HOUR_MS)
    const recipients = await findRecipients(deps, request.purpose, request.email)
    const mayMail = recent.length < MAILS_AN_HOUR
    const prepared = await Promise.all(recipients.map((recipient) => prepareMail(deps, recipient, mayMail)))
    const mails = prepared.filter((each) => each !== undefined)
    if (mails.length === 0) {
      await deps.table.update(key, expr`REMOVE #due, #dueAtMs`, unchanged)
      return false
    }
    await deps.table.transact([
      ...mails.flatMap(({ writes }) => writes),
      { update: key, set: expr`SET #sentAtMs = ${[...recent, nowMs]} REMOVE #due, #dueAtMs`, if: unchanged },
    ])
    await Promise.all(mails.map(({ mail }) => deliverMailOrLeave(deps, mail)))
    return true
  } catch (error) {
    if (error instanceof ConditionFailed) return false
    throw error
  }
}

/** Who needs a mail, and where it goes. During the 72 hours of a recovery it has no code. */
interface Recipient {
  account: Account
  purpose: CodePurpose | 'wait-for-recovery'
  to: string
}

/**
 * The mail with a recipient's code, and the writes that store both.
 * @param mayMail whether the address may get another mail within this hour.
 * @returns undefined if there is to be no mail; the code in the newest mail is valid then, if there is one.
 */
async function prepareMail(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  { account, purpose, to }: Recipient,
  mayMail: boolean,
): Promise<{ mail: QueuedMail; writes: Write[] } | undefined> {
  const { id: accountId, emailVerified, status, username } = account
  const nowMs = deps.clock.nowMs()
  if (holdsMailBack(account, to, purpose !== 'wait-for-recovery', nowMs)) {
    const what = 'a mail that was asked for was not sent, because its address gets no mail'
    deps.log.warn(what, undefined, { accountId, template: purpose })
    return undefined
  }
  const profile = keys.profile(accountId)
  const isStill = expr`#status = ${status} AND ${attr(purpose === 'change-email' ? 'pendingEmail' : 'email')} = ${to}`
  if (purpose === 'wait-for-recovery') {
    const open = openRecovery(account, nowMs)
    if (!mayMail || !open) return undefined
    const { mail, write } = waitingMail(deps, account, 'recovery', open, 'running')
    return { mail, writes: [{ check: profile, if: isStill }, write] }
  }
  const attribute = CODE_IN_PROFILE[purpose]
  const lookup = account[attribute]
  const renew = (onlyValid: boolean) => lookup && renewCode(deps, purpose, lookup, onlyValid)
  // Only the owner of the mailbox can use a code up, and only the holder can void it: that frees another mail.
  const isOwners = emailVerified && purpose !== 'confirm-email' && purpose !== 'change-email'
  const isFreed = async () => (lookup === undefined ? isOwners : (await renew(false)) === 'spent')
  if (!mayMail && !(await isFreed())) return undefined
  const limit = purpose === 'reset-password' ? 'reset-to' : 'confirm-to'
  if (!isOwners && waitOf(await countEvent(deps, mailboxOf(to), limit)) > 0) {
    await renew(false)
    return undefined
  }
  const isRepeated = (await renew(true)) === 'renewed'
  const code = isRepeated ? undefined : newCode(deps, purpose, accountId)
  const codeLookup = code?.lookup ?? lookup ?? ''
  const { mail, write } = queueMail(deps, {
    accountId,
    to,
    template: purpose,
    values: { username, ...(status === 'deactivated' && { restores: true }) },
    codeLookup,
  })
  const codeWrites: Write[] = code
    ? [
        { update: profile, set: expr`SET ${attr(attribute)} = ${code.lookup}`, if: isStill },
        { put: code.item },
      ]
    : [{ check: profile, if: join([isStill, expr`${attr(attribute)} = ${codeLookup}`], ' AND ') }]
  return { mail, writes: [...codeWrites, write] }
}

/** Accounts whose change to one address is looked at, at most. */
const MOST_CHANGES = 3

/**
 * Who needs the code: the account that has the address, and for a confirmation also the accounts that wait for this
 * address to be confirmed.
 */
async function findRecipients(
  deps: Deps<'table'>,
  purpose: MailRequestPurpose,
  email: string,
): Promise<Recipient[]> {
  const guard = await deps.table.get(keys.emailGuard(email))
  const holder = guard && (await readAccount(deps, String(guard.accountId)))
  const own =
    holder && needsMail[purpose](holder)
      ? [{ account: holder, purpose: purposeFor(deps, holder, purpose), to: holder.email }]
      : []
  return purpose === 'confirm-email' ? [...own, ...(await findChanges(deps, email))] : own
}

/** Which accounts need a mail. A reset or a recovery is the way back to a deactivated account as well. */
const needsMail: Record<MailRequestPurpose, (account: Account) => boolean> = {
  'reset-password': ({ status }) => status === 'active' || status === 'deactivated',
  'confirm-email': ({ status, emailVerified }) => status === 'active' && !emailVerified,
  recovery: (account) =>
    needsMail['reset-password'](account) &&
    account.emailVerified &&
    (hasSecondFactor(account) || account.recovery !== undefined),
}

function purposeFor(deps: Deps, account: Account, asked: MailRequestPurpose): Recipient['purpose'] {
  if (asked !== 'recovery') return asked
  const open = openRecovery(account, deps.clock.nowMs())
  if (!open) return 'begin-recovery'
  return open.isReady ? 'finish-recovery' : 'wait-for-recovery'
}

async function findChanges(deps: Deps<'table'>, email: string): Promise<Recipient[]> {
  const items = await deps.table.list(keys.addressChanges(email), ADDRESS_CHANGE_PREFIX, {
    limit: MOST_CHANGES,
  })
  const accounts = await Promise.all(items.map(({ accountId }) => readAccount(deps, String(accountId))))
  return accounts.flatMap((account) => {
    const to = account?.pendingEmail
    const isWaiting = account?.status === 'active' && to !== undefined && emailKey(to) === email
    return isWaiting ? [{ account, purpose: 'change-email' as const, to }] : []
  })
}
