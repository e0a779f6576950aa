import { type Account, readAccount, renewalStateOf, renewsItself } from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { type CodePurpose, isCodeAlive } from '../credentials/codes.ts'
import type { Deps } from '../ports.ts'
import { readAlerts } from '../quota/alerts.ts'
import { isLowQuota } from '../quota/thresholds.ts'
import { mailCauses } from './mail-causes.ts'
import type { MailTemplate } from './mails.ts'
import type { MailMark, QueuedMail } from './queued-mail.ts'
import { holdsMailBack } from './undeliverable.ts'

/** Why a queued mail is not sent. */
type DropReason = Exclude<MailMark['outcome'], 'sent'>

/**
 * A queued mail as it is true now, or why it is not sent: its time is over, its code has ended or was superseded,
 * its news is no longer so, or its address gets no mail. The one place that decides this, for every mail that the
 * job `send-mail` sends; a request sends only what it has just written. One read, and one more for a mail with a
 * code.
 */
export async function currentMail(
  deps: Deps<'table'>,
  mail: QueuedMail,
): Promise<QueuedMail | { dropped: DropReason }> {
  const nowMs = deps.clock.nowMs()
  if (mail.ttl * 1000 <= nowMs) return { dropped: 'expired' }
  const account = await readAccount(deps, mail.accountId)
  if (!account) return { dropped: 'no account' }
  const { codeLookup, template } = mail
  const hasCode = codeLookup !== undefined
  if (hasCode && !(await isCodeAlive(deps, account, mail.template as CodePurpose, codeLookup)))
    return { dropped: 'code ended' }
  const current = hasCode ? mail : NEWS[template as NewsTemplate](account, mail)
  if (!current) return { dropped: 'no longer true' }
  // An address that nobody has proved may be a stranger's.
  if (mailCauses[template] === 'owner' && current.to === account.email && !account.emailVerified)
    return { dropped: 'undeliverable' }
  return holdsMailBack(account, current.to, hasCode, nowMs) ? { dropped: 'undeliverable' } : current
}

/** The mail as it is true now; undefined if it no longer is. */
type Renew = (account: Account, mail: QueuedMail) => QueuedMail | undefined

/** News for the account's holder goes to the address that the account has now, and to no former one. */
const toOwner = ({ email }: Account, mail: QueuedMail): QueuedMail => ({ ...mail, to: email })

/** What has happened, and is told to chosen addresses, stays true. */
const asWritten: Renew = (_, mail) => mail

type NewsTemplate = Exclude<MailTemplate, CodePurpose>

/** How mails without a code age. */
const NEWS: Record<NewsTemplate, Renew> = {
  'email-is-changing': ({ pendingEmail, email }, mail) =>
    pendingEmail !== undefined && emailKey(mail.to) === emailKey(email) ? mail : undefined,
  'low-quota': lowQuota,
  'quota-alert': quotaAlert,
  // Whoever stops or finishes a recovery has another mail that says so.
  recovery: ofWaiting,
  renewed: toOwner,
  // Its link leads to a payment that waits for its customer.
  'renewal-action': (account, mail) =>
    account.openPurchase === mail.values.purchaseId ? toOwner(account, mail) : undefined,
  'renewal-declined': ofState,
  'renewal-state': ofState,
  security: asWritten,
}

/**
 * That somebody switched auto-renewal on or off stays true. What keeps it from renewing asks its owner to act, and is
 * told only while it lasts; a hold is another one after a time, with a link of its own.
 */
function ofState(account: Account, mail: QueuedMail): QueuedMail | undefined {
  const { news } = mail.values
  const isDone = news === undefined || news.state === 'on' || news.state === 'off'
  const lasts = news?.state === renewalStateOf(account)
  const isSameHold = mail.heldAtMs === undefined || mail.heldAtMs === account.renewal?.heldAtMs
  return isDone || (lasts && isSameHold) ? toOwner(account, mail) : undefined
}

/** A change that waits is told only while it does. */
function ofWaiting(account: Account, mail: QueuedMail): QueuedMail | undefined {
  const { what, beganAtMs } = mail.values.recovery ?? {}
  const waiting = what === 'address' ? account.addressMove : account.recovery
  return waiting?.beganAtMs === beganAtMs ? toOwner(account, mail) : undefined
}

/** What little is left may have been refilled since; and it is no news for an owner who wants none. */
function lowQuota(account: Account, mail: QueuedMail): QueuedMail | undefined {
  const { quota, flags, status } = account
  if (status !== 'active' || !flags.lowQuotaNotification) return undefined
  const isRefilled = quota !== undefined && !isLowQuota(quota.left, quota)
  const { renewed, ...values } = mail.values
  // Only a mail that announces a charge says what renewals have charged.
  const announces = !isRefilled && renewed !== undefined && renewsItself(account)
  const since = isRefilled ? 'refilled' : values.since === 'refilled' ? undefined : values.since
  return toOwner(account, { ...mail, values: { ...values, since, ...(announces && { renewed }) } })
}

/** That the balance fell stays true, but it is no news for an owner who has removed the alert since. */
function quotaAlert(account: Account, mail: QueuedMail): QueuedMail | undefined {
  const { alerts } = readAlerts(account.quota?.alerts)
  const isWanted = alerts.some(({ below }) => below === mail.values.alert?.below)
  return account.status === 'active' && isWanted ? toOwner(account, mail) : undefined
}
