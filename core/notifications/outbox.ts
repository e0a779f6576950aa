import * as z from 'zod/mini'
import { type CodePurpose, codeText } from '../credentials/codes.ts'
import { countInHour, mailboxOf } from '../credentials/hourly-limit.ts'
import type { Deps } from '../ports.ts'
import { eachDue, type Run } from '../table/due.ts'
import { expr } from '../table/expression.ts'
import { CODE_MAIL_KEPT_MS, dueAt, keys, NEWS_MAIL_KEPT_MS, ttlAt } from '../table/keys.ts'
import { LEASE_MS, leaseDue } from '../table/lease.ts'
import { ignoreRefusal, type Write } from '../table/table.ts'
import { HOUR_MS, MINUTE_MS } from '../time.ts'
import { keyUseInMonth } from './key-use.ts'
import { type MailValues, mailTemplates, renderMail } from './mails.ts'
import { recoveryLinkCode } from './recovery-link.ts'
import { recoveryNewsSchema } from './recovery-texts.ts'
import { renewalLinkCode } from './renewal-link.ts'
import { renewalNewsSchema } from './renewal-texts.ts'
import { securityEvents } from './security-texts.ts'

/**
 * A mail in the outbox. It is stored in the same transaction as the change it announces, sent, then removed.
 * A mail that a crash leaves behind is due after a minute, when the job `send-mail` sends it; so a crash
 * causes at most one duplicate.
 */
const mailSchema = z.object({
  pk: z.string(),
  sk: z.string(),
  accountId: z.string(),
  to: z.string(),
  template: z.enum(mailTemplates),
  values: z.object({
    username: z.string(),
    event: z.optional(z.enum(securityEvents)),
    restores: z.optional(z.boolean()),
    recovery: z.optional(recoveryNewsSchema),
    atMs: z.optional(z.number()),
    bundle: z.optional(z.string()),
    amountCents: z.optional(z.number()),
    currency: z.optional(z.string()),
    since: z.optional(z.enum(['refilled', 'removed'])),
    purchaseId: z.optional(z.string()),
    news: z.optional(renewalNewsSchema),
    renewed: z.optional(z.object({ month: z.string(), cents: z.number(), count: z.number() })),
  }),
  /** When renewals were held back, if the mail has a link that allows more, epoch ms. */
  heldAtMs: z.optional(z.number()),
  /**
   * Look-up half of the mail's code, if it has one; the other half is computed when the mail is sent. The
   * template of a mail with a code has the name of the code's purpose.
   */
  codeLookup: z.optional(z.string()),
  /** The mail counts towards the limit of its mailbox, because nobody has proved that the address is theirs. */
  isLimited: z.optional(z.literal(true)),
  dueAtMs: z.number(),
  /** Failed tries of the job `send-mail`. */
  failures: z.number(),
  /** Time after which the mail is no longer worth sending, epoch seconds. */
  ttl: z.number(),
})

export type QueuedMail = z.infer<typeof mailSchema>
export type MailToQueue = Omit<QueuedMail, 'pk' | 'sk' | 'dueAtMs' | 'failures' | 'ttl'>

/**
 * Makes a mail, and the write that stores it. Send the mail with `deliverMail` once the transaction has
 * succeeded.
 * @param waitMs how long the job waits before it sends the mail instead; 0 if only the job is to send the
 *   mail.
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
  const waitSeconds = mail.isLimited ? await countInHour(deps, 'confirm-to', mailboxOf(to)) : 0
  if (waitSeconds > 0) {
    await moveDue(deps, mail, waitSeconds * 1000 + spreadMs(deps), mail.failures)
    return false
  }
  const code = codeLookup && codeText(deps, template as CodePurpose, accountId, codeLookup)
  const { recovery } = mail.values
  const about = recovery
    ? { stopCode: recoveryLinkCode(deps, { accountId, beganAtMs: recovery.beganAtMs }) }
    : await renewalDetails(deps, mail)
  const values = { ...mail.values, ...about, code, appUrl: deps.mail.appUrl }
  await deps.mail.send(renderMail(to, template, values)).catch(async (error: unknown) => {
    // The mailbox has counted the mail, whose next try is not counted again.
    if (mail.isLimited) await deps.table.update(mail, expr`REMOVE #isLimited`, expr`attribute_exists(pk)`)
    throw error
  })
  await deps.table.remove(mail)
  return true
}

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

/**
 * Sends the mails that are due. Each is leased for a minute, so that two runs do not send the same mail.
 * @returns how many mails were sent, and how many failed and stay due.
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
    return deliverMail(deps, mail).catch(async (error: unknown) => {
      await postpone(deps, mail)
      throw error
    })
  })
  return { sent: done, failed }
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
  await deps.table
    .update(
      mail,
      expr`SET #dueAtMs = ${Math.ceil(deps.clock.nowMs() + waitMs)}, #failures = ${failures}`,
      expr`#dueAtMs = ${mail.dueAtMs}`,
    )
    .catch(ignoreRefusal)
}
