import * as z from 'zod/mini'
import { alertNewsSchema } from './alert-text.ts'
import { mailTemplates } from './mails.ts'
import { recoveryNewsSchema } from './recovery-texts.ts'
import { renewalNewsSchema } from './renewal-texts.ts'
import { securityEvents } from './security-texts.ts'

/**
 * A mail in the outbox. It is stored in the same transaction as the change it announces, and sent; a mark stays of it.
 * A mail that a crash leaves behind is due after a minute, when the job `send-mail` sends it; so a crash
 * causes at most one duplicate.
 */
export const mailSchema = z.object({
  pk: z.string(),
  sk: z.string(),
  accountId: z.string(),
  to: z.string(),
  template: z.enum(mailTemplates),
  values: z.object({
    username: z.string(),
    event: z.optional(z.enum(securityEvents)),
    restores: z.optional(z.boolean()),
    keepsPassword: z.optional(z.boolean()),
    recovery: z.optional(recoveryNewsSchema),
    atMs: z.optional(z.number()),
    bundle: z.optional(z.string()),
    amountCents: z.optional(z.number()),
    currency: z.optional(z.string()),
    since: z.optional(z.enum(['refilled', 'removed'])),
    lowPercent: z.optional(z.number()),
    alert: z.optional(alertNewsSchema),
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
  /** When it could first be sent, epoch ms. */
  readyAtMs: z.number(),
  dueAtMs: z.number(),
  /** Failed tries of the job `send-mail`. */
  failures: z.number(),
  /** Time after which the mail is no longer worth sending, epoch seconds. */
  ttl: z.number(),
})

export type QueuedMail = z.infer<typeof mailSchema>

/** What stays of a mail that has left the outbox. */
export const mailMarkSchema = z.object({
  accountId: z.string(),
  template: z.string(),
  /** What the mail told of, where the template does not say it. */
  event: z.optional(z.string()),
  /** `sent`: the mail service took it. Otherwise why it was not sent. */
  outcome: z.enum(['sent', 'expired', 'no account', 'code ended', 'no longer true', 'undeliverable']),
  endedAtMs: z.number(),
})

export type MailMark = z.infer<typeof mailMarkSchema>

/** When a mail was queued, epoch ms; its id begins with this time. Mails of older versions have no such id. */
export const queuedAtMs = (mailId: string): number | undefined =>
  /^[0-9a-f]{24}$/.test(mailId) ? Number.parseInt(mailId.slice(0, 12), 16) : undefined
