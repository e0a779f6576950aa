import * as z from 'zod/mini'
import { type CodePurpose, codeText } from '../credentials/codes.ts'
import { countMailTo } from '../limits/mailbox-limits.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import {
  CODE_MAIL_KEPT_MS,
  dueAt,
  type Key,
  keys,
  MAIL_MARK_KEPT_MS,
  NEWS_MAIL_KEPT_MS,
  ttlAt,
} from '../table/keys.ts'
import { LEASE_MS, leaseDue } from '../table/lease.ts'
import { ignoreRefusal, type Write } from '../table/table.ts'
import { HOUR_MS, MINUTE_MS } from '../time.ts'
import { currentMail } from './current-mail.ts'
import { keyUseInMonth } from './key-use.ts'
import { mailCauses } from './mail-causes.ts'
import { type MailValues, renderMail } from './mails.ts'
import { type MailMark, mailSchema, type QueuedMail } from './queued-mail.ts'
import { recoveryLinkCode } from './recovery-link.ts'
import type { RecoveryNews } from './recovery-texts.ts'
import { renewalLinkCode } from './renewal-link.ts'

export type MailToQueue = Omit<
  QueuedMail,
  'pk' | 'sk' | 'readyAtMs' | 'dueAtMs' | 'failures' | 'ttl' | 'isLimited'
> & {
  /** The mailbox has counted the mail already. */
  isCounted?: true
}

/**
 * Makes a mail, and the write that stores it. Send the mail with `deliverMail` once the transaction has
 * succeeded.
 * @param waitMs how long the job waits before it sends the mail instead; 0 if only the job is to send the
 *   mail.
 */
export function queueMail(
  deps: Deps,
  { isCounted, ...mail }: MailToQueue,
  waitMs = LEASE_MS,
): { mail: QueuedMail; write: Write } {
  const nowMs = deps.clock.nowMs()
  const due = dueAt('MAIL', mail.accountId, nowMs + waitMs)
  const keptMs = mail.codeLookup === undefined ? NEWS_MAIL_KEPT_MS : CODE_MAIL_KEPT_MS
  const state = { readyAtMs: nowMs, ...due, failures: 0, ...ttlAt(nowMs + keptMs) }
  // In the order of their times, so that the newest are found first.
  const id = nowMs.toString(16).padStart(12, '0') + deps.ids.hex(6)
  const isLimited = mailCauses[mail.template] === 'mailbox' && !isCounted
  const item = {
    ...keys.mail(mail.accountId, id),
    ...mail,
    ...(isLimited && { isLimited: true as const }),
    ...state,
  }
  return { mail: item, write: { put: item } }
}

/**
 * Sends a stored mail and removes it. A mail to a mailbox that has had its mails for the hour waits for the next one.
 * @returns whether the mail was sent.
 * @throws the provider's error; the mail then stays due.
 */
export async function deliverMail(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  mail: QueuedMail,
): Promise<boolean> {
  const { accountId, to, template, codeLookup } = mail
  const waitSeconds = mail.isLimited ? await countMailTo(deps, to, 'confirm-to') : 0
  if (waitSeconds > 0) {
    await moveDue(deps, mail, waitSeconds * 1000 + spreadMs(deps), mail.failures)
    return false
  }
  const code = codeLookup && codeText(deps, template as CodePurpose, accountId, codeLookup)
  const { recovery } = mail.values
  const about = recovery
    ? { stopCode: recoveryLinkCode(deps, { accountId, ...linkOf(recovery) }) }
    : await renewalDetails(deps, mail)
  const { appUrl, appName } = deps.mail
  const values = { ...mail.values, ...about, code, appUrl, appName }
  const email = { ...renderMail(to, template, values), accountId }
  await deps.mail.send(email).catch(async (error: unknown) => {
    // The mailbox has counted the mail, whose next try is not counted again.
    if (mail.isLimited) await deps.table.update(mail, expr`REMOVE #isLimited`, expr`attribute_exists(pk)`)
    throw error
  })
  await endMail(deps, mail, 'sent')
  return true
}

/** What the link of a mail stops. */
const linkOf = ({ what, beganAtMs }: RecoveryNews) =>
  ({ what: what === 'address' ? what : 'recovery', beganAtMs }) as const

/** Mails that wait for the next hour do not all come at its beginning, and none is always the first. */
const spreadMs = (deps: Deps): number => (10 * MINUTE_MS * Number.parseInt(deps.ids.hex(2), 16)) / 0xffff

/**
 * What only the delivery adds to a mail about renewals: the use by key, which the change itself need not
 * read, and the codes of the links, which are not stored.
 */
async function renewalDetails(
  deps: Deps<'table' | 'keyring'>,
  { accountId, values: { renewed, news }, heldAtMs }: QueuedMail,
): Promise<Pick<MailValues, 'keyUse' | 'stopCode' | 'allowCode'>> {
  if (!renewed) return {}
  return {
    keyUse: await keyUseInMonth(deps, accountId, renewed.month),
    ...(news?.state !== 'off' && { stopCode: renewalLinkCode(deps, { act: 'stop', accountId }) }),
    ...(heldAtMs !== undefined && {
      allowCode: renewalLinkCode(deps, { act: 'allow', accountId, heldAtMs }),
    }),
  }
}

/**
 * Takes a mail out of the outbox. What stays for operators is a mark without an address, a name or a code. Of the last
 * mail of an account nothing stays.
 */
async function endMail(
  deps: Deps<'table'>,
  { pk, sk, accountId, template, values: { event } }: QueuedMail,
  outcome: MailMark['outcome'],
): Promise<void> {
  if (event === 'deleted') return deps.table.remove({ pk, sk })
  const endedAtMs = deps.clock.nowMs()
  const mark: MailMark = { accountId, template, event, outcome, endedAtMs }
  await deps.table
    .put({ pk, sk, ...mark, ...ttlAt(endedAtMs + MAIL_MARK_KEPT_MS) }, expr`attribute_exists(pk)`)
    // The account was removed meanwhile.
    .catch(ignoreRefusal)
}

/** Sends a stored mail. If that fails, the mail stays in the outbox; the change it announces stays valid. */
export async function deliverMailOrLeave(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  mail: QueuedMail,
): Promise<void> {
  await deliverMail(deps, mail).catch((error: unknown) => {
    const what = 'a mail could not be sent; the job send-mail will retry it'
    deps.log.warn(what, error, { accountId: mail.accountId, template: mail.template })
  })
}

/** A mail that waits longer than this is overdue, which raises an alarm. */
const OVERDUE_MS = 15 * MINUTE_MS

/**
 * Sends the mails that are due. Each is leased for a minute, so that two runs do not send the same mail. A mail
 * that is no longer true, or whose address gets no mail, is dropped.
 * @returns how many mails were sent, how many failed and stay due, how many were dropped, how many of the sent
 *   and failed ones were overdue, how long the oldest of them had waited, ms, and how many there was no time for.
 */
export async function sendDueMail(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  run: Run,
): Promise<Record<'sent' | 'failed' | 'dropped' | 'overdue' | 'waitedMs' | 'left', number>> {
  let [dropped, overdue, waitedMs] = [0, 0, 0]
  const sendOne = async (key: Key) => {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const mail = z.parse(mailSchema, item)
    const current = await currentMail(deps, mail)
    if ('dropped' in current) {
      await endMail(deps, mail, current.dropped)
      dropped++
      const { accountId, template } = mail
      const about = { accountId, template, reason: current.dropped }
      deps.log.warn('a queued mail was dropped instead of sent', undefined, about)
      return false
    }
    const mailWaitedMs = deps.clock.nowMs() - mail.readyAtMs
    const late = mailWaitedMs >= OVERDUE_MS ? 1 : 0
    // Why a mail waits that has failed is in the log.
    if (mail.failures === 0) waitedMs = Math.max(waitedMs, mailWaitedMs)
    const isSent = await deliverMail(deps, current).catch(async (error: unknown) => {
      overdue += late
      await postpone(deps, mail)
      throw error
    })
    // A mail that waits for its mailbox's next hour does so on purpose.
    if (isSent) overdue += late
    return isSent
  }
  // The mails of one account leave in the order in which they are due.
  const turns = new Map<string, Promise<unknown>>()
  const worked = await eachDue(deps, 'MAIL', run, (key) => {
    const turn = Promise.resolve(turns.get(key.pk)).then(() => sendOne(key))
    turns.set(key.pk, Promise.allSettled([turn]))
    return turn
  })
  const { done: sent, failed, left = 0 } = worked
  return { sent, failed, dropped, overdue, waitedMs, left }
}

/** Each failure doubles the wait, up to an hour, so that a refused address is not tried every minute. */
const postpone = (deps: Deps<'table'>, mail: QueuedMail): Promise<void> =>
  moveDue(deps, mail, Math.min(LEASE_MS * 2 ** mail.failures, HOUR_MS), mail.failures + 1)

async function moveDue(
  deps: Deps<'table'>,
  mail: QueuedMail,
  waitMs: number,
  failures: number,
): Promise<void> {
  const dueAtMs = Math.ceil(deps.clock.nowMs() + waitMs)
  // A mail that waits without a failure is not overdue.
  const readyAtMs = failures === mail.failures ? dueAtMs : mail.readyAtMs
  await deps.table
    .update(
      mail,
      expr`SET #dueAtMs = ${dueAtMs}, #readyAtMs = ${readyAtMs}, #failures = ${failures}`,
      expr`#dueAtMs = ${mail.dueAtMs}`,
    )
    .catch(ignoreRefusal)
}
