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
 * The outbox: a mail is stored in the transaction of what it tells, sent, then removed. What a crash leaves
 * behind is due a minute later and the job `send-mail` sends it; so each crash costs one duplicate at most.
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
   * Look-up half of the code that the mail carries; the other half is made when it is sent. The template has the
   * name of the code's purpose then.
   */
  codeLookup: z.optional(z.string()),
  dueAtMs: z.number(),
  /** Tries of the job that failed. */
  failures: z.number(),
  /** Epoch seconds after which it is not worth sending. */
  ttl: z.number(),
})

export type QueuedMail = z.infer<typeof mailSchema>
export type MailToQueue = Omit<QueuedMail, 'pk' | 'sk' | 'dueAtMs' | 'failures' | 'ttl'>

/**
 * A mail to be stored, and sent with `deliver` once its transaction is through.
 * @param waitMs how long the job leaves it to that; 0 for a mail that the job is to send.
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

/** Sends a stored mail and removes it. Throws what the provider throws; the mail then stays due. */
export async function deliverMail(deps: Deps<'table' | 'mail' | 'keyring'>, mail: QueuedMail): Promise<void> {
  const { accountId, to, template, codeLookup } = mail
  const code = codeLookup && codeText(deps, template as CodePurpose, accountId, codeLookup)
  await deps.mail.send(renderMail(to, template, { ...mail.values, code, appUrl: deps.mail.appUrl }))
  await deps.table.remove(mail)
}

/** Sends a stored mail. If that fails, the mail stays in the outbox, and what it announces has happened all the same. */
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
 * Takes mails that are due, each for a minute so that two runs do not send one twice.
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

/** Each failure doubles the wait, up to an hour: a refused address must not be knocked at every minute. */
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
