import * as z from 'zod/mini'
import { type CodePurpose, codeText } from '../credentials/codes.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { CODE_MAIL_KEPT_MS, dueAt, keys, NEWS_MAIL_KEPT_MS, ttlAt } from '../table/keys.ts'
import { LEASE_MS, leaseDue } from '../table/lease.ts'
import { ignoreRefusal, type Write } from '../table/table.ts'
import { HOUR_MS } from '../time.ts'
import { mailTemplates, renderMail } from './mails.ts'

/**
 * The outbox: a mail is stored in the same transaction as the change it announces, sent, then removed. A mail that a
 * crash leaves here is due a minute later, and the job `send-mail` sends it. A crash causes at most one duplicate.
 */
const mailSchema = z.object({
  pk: z.string(),
  sk: z.string(),
  accountId: z.string(),
  to: z.string(),
  template: z.enum(mailTemplates),
  values: z.object({
    username: z.string(),
    bundle: z.optional(z.string()),
    amountCents: z.optional(z.number()),
    purchaseId: z.optional(z.string()),
  }),
  /**
   * Look-up half of the code in the mail; the other half is computed when the mail is sent. The template of such a
   * mail is named after the code's purpose.
   */
  codeLookup: z.optional(z.string()),
  dueAtMs: z.number(),
  /** Failed attempts of the job. */
  failures: z.number(),
  /** Epoch seconds after which the mail is no longer worth sending. */
  ttl: z.number(),
})

export type QueuedMail = z.infer<typeof mailSchema>
export type MailToQueue = Omit<QueuedMail, 'pk' | 'sk' | 'dueAtMs' | 'failures' | 'ttl'>

/**
 * A mail to store in a transaction, and to send with `deliverMail` afterwards.
 * @param waitMs how long the job waits before it sends the mail; 0 for a mail that the job is to send.
 */
export function queueMail(
  deps: Deps,
  mail: MailToQueue,
  waitMs = LEASE_MS,
): { mail: QueuedMail; write: Write } {
  const nowMs = deps.clock.nowMs()
  const due = dueAt('MAIL', mail.accountId, nowMs + waitMs)
  const expiry = ttlAt(nowMs + (mail.codeLookup === undefined ? NEWS_MAIL_KEPT_MS : CODE_MAIL_KEPT_MS))
  const item = { ...keys.mail(mail.accountId, deps.ids.uuid()), ...mail, ...due, failures: 0, ...expiry }
  return { mail: item, write: { put: item } }
}

/** Sends a stored mail and removes it. If the provider throws, the mail stays due. */
export async function deliverMail(deps: Deps<'table' | 'mail' | 'keyring'>, mail: QueuedMail): Promise<void> {
  const { accountId, to, template, codeLookup } = mail
  const code = codeLookup && codeText(deps, template as CodePurpose, accountId, codeLookup)
  await deps.mail.send(renderMail(to, template, { ...mail.values, code, appUrl: deps.mail.appUrl }))
  await deps.table.remove(mail)
}

/**
 * Sends a stored mail. If that fails, the mail stays in the outbox, and what it announces has happened all the
 * same.
 */
export async function deliverMailOrLeave(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  mail: QueuedMail,
): Promise<void> {
  await deliverMail(deps, mail).catch((error: unknown) => {
    const what = 'a mail is not sent; send-mail sends it'
    deps.log.warn(what, error, { accountId: mail.accountId, template: mail.template })
  })
}

/**
 * Sends the mails that are due. Each is leased, so that two runs do not send it twice.
 * @returns how many were sent and how many stay due.
 */
export async function sendDueMail(
  deps: Deps<'table' | 'mail' | 'keyring'>,
  run: Run,
): Promise<{ sent: number; failed: number }> {
  const { done, failed } = await eachDue(deps, 'MAIL', run, async (key) => {
    const item = await leaseDue(deps, key)
    if (!item) return false
    const mail = z.parse(mailSchema, item)
    if (mail.ttl * 1000 <= deps.clock.nowMs()) {
      await deps.table.remove(mail)
      return false
    }
    await deliverMail(deps, mail).catch(async (error: unknown) => {
      await postpone(deps, mail)
      throw error
    })
    return true
  })
  return { sent: done, failed }
}

/** Each failure doubles the wait, up to an hour, so that a refusing server is not called every minute. */
async function postpone(deps: Deps<'table'>, mail: QueuedMail): Promise<void> {
  const waitMs = Math.min(LEASE_MS * 2 ** mail.failures, HOUR_MS)
  await deps.table
    .update(
      mail,
      expr`SET #dueAtMs = ${deps.clock.nowMs() + waitMs}, #failures = ${mail.failures + 1}`,
      expr`#dueAtMs = ${mail.dueAtMs}`,
    )
    .catch(ignoreRefusal)
}
