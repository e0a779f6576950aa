import * as z from 'zod/mini'
import { type Profile, parseProfile } from '../account/account.ts'
import { emailKey } from '../account/fields.ts'
import { mark as listAs } from '../account/listed.ts'
import type { Deps } from '../ports.ts'
import { expr, unchangedSince } from '../table/expression.ts'
import { BUS_EVENT_KEPT_MS, keys, ttlAt } from '../table/keys.ts'
import { retryRaces } from '../table/race.ts'
import { ConditionFailed } from '../table/table.ts'
import { newNotice } from './notices.ts'
import { ACCOUNT_TAG } from './undeliverable.ts'

const text = z.string().check(z.maxLength(1000))

/**
 * An event of SES about one mail, as EventBridge delivers it: the members that decide. SES may add others. A bounce
 * may name a mailbox behind the address, to which mail was forwarded, so only the mail's own destination counts.
 */
const mailEvent = z.object({
  id: z.string().check(z.minLength(1), z.maxLength(100)),
  detail: z.object({
    eventType: text,
    bounce: z.optional(z.object({ bounceType: text, bounceSubType: z.nullish(text) })),
    complaint: z.optional(
      z.object({ complaintFeedbackType: z.nullish(text), complaintSubType: z.nullish(text) }),
    ),
    mail: z.object({
      timestamp: z.iso.datetime({ offset: true }),
      destination: z.tuple([text]),
      tags: z.object({ [ACCOUNT_TAG]: z.tuple([z.string().check(z.regex(/^[0-9a-f]{24}$/))]) }),
    }),
  }),
})

type Detail = z.infer<typeof mailEvent>['detail']
type AddressMark = NonNullable<Profile['undeliverable']>[string]

/** What SES reports. */
type SesReason = Exclude<AddressMark['reason'], 'replaced'>

/** What became of an event. `outdated`: the owner has set or confirmed the address since the mail was sent. */
export type MailEventOutcome =
  | 'marked'
  | 'known'
  | 'repeated'
  | 'passing'
  | 'rejected'
  | 'outdated'
  | 'other address'
  | 'no such account'
  | 'malformed'

/** Types of a complaint's report that are no complaint of a person about the mail. */
const NO_COMPLAINT = ['not-spam', 'auth-failure']

/** Kinds of a bounce by which SES tells that it has not tried to deliver the mail. */
const SUPPRESSED = ['OnAccountSuppressionList', 'Suppressed', 'UnsubscribedRecipient']

/** Why the address gets no more mail; undefined if the next mail may well arrive. */
function reasonOf({ eventType, bounce, complaint }: Detail): SesReason | undefined {
  if (eventType === 'Complaint' && complaint) {
    if (complaint.complaintSubType === 'OnAccountSuppressionList') return 'suppressed'
    return NO_COMPLAINT.includes(complaint.complaintFeedbackType ?? '') ? undefined : 'complained'
  }
  if (eventType !== 'Bounce' || bounce?.bounceType !== 'Permanent') return undefined
  return SUPPRESSED.includes(bounce.bounceSubType ?? '') ? 'suppressed' : 'bounced'
}

/** What the log says about a mail that did not arrive. */
const LOG_LINES = {
  bounced: 'a mail bounced for good; its address gets no more mail',
  complained: 'a mail was reported as spam; its address gets no more mail',
  suppressed:
    'SES did not deliver a mail, because its address is on a suppression list of SES; it gets no more mail',
}

/**
 * Notes what SES reports about a mail: after a hard bounce, a complaint, or a mail that SES has suppressed, the
 * address gets no more mail, and the account gets a notice. An event about an address that the account no longer
 * has changes nothing.
 */
export async function noteMailEvent(deps: Deps<'table'>, event: unknown): Promise<MailEventOutcome> {
  const parsed = z.safeParse(mailEvent, event)
  if (!parsed.success) return 'malformed'
  const { id, detail } = parsed.data
  const [accountId] = detail.mail.tags[ACCOUNT_TAG]
  if (detail.eventType === 'Reject') {
    deps.log.error('SES rejected a mail because of its content', undefined, { accountId })
    return 'rejected'
  }
  const reason = reasonOf(detail)
  if (!reason) return 'passing'
  const outcome = await retryRaces(deps, () => markAddress(deps, id, accountId, detail, reason))
  if (outcome === 'marked' || outcome === 'known') deps.log.warn(LOG_LINES[reason], undefined, { accountId })
  return outcome
}

async function markAddress(
  deps: Deps<'table'>,
  eventId: string,
  accountId: string,
  { mail }: Detail,
  reason: SesReason,
): Promise<MailEventOutcome> {
  const item = await deps.table.get(keys.profile(accountId))
  if (!item) return 'no such account'
  const profile = parseProfile(item)
  const key = emailKey(mail.destination[0])
  const own = addressesOf(profile)
  if (!own.includes(key)) return 'other address'
  const isLate = Date.parse(mail.timestamp) < (profile.addressSinceMs ?? 0)
  if (isLate && reason !== 'complained') return 'outdated'
  const { undeliverable = {} } = profile
  const before = undeliverable[key]
  if (before?.reason === 'replaced') return 'known'
  const isNews = !before || (reason === 'complained' && before.reason !== 'complained')
  const nowMs = deps.clock.nowMs()
  const kept = Object.entries(undeliverable).filter(([each]) => own.includes(each))
  const mark = { reason: isNews ? reason : before.reason, atMs: nowMs }
  const guard = { ...keys.event(`ses:${eventId}`), ...ttlAt(nowMs + BUS_EVENT_KEPT_MS) }
  const said = noticeText(mark.reason, key === own[0])
  try {
    await deps.table.transact([
      { put: guard, if: expr`attribute_not_exists(pk)` },
      {
        update: keys.profile(accountId),
        set: expr`SET #undeliverable = ${{ ...Object.fromEntries(kept), [key]: mark }}`,
        if: unchangedSince(profile, ['email', 'pendingEmail', 'undeliverable', 'addressSinceMs']),
      },
      ...(key === own[0] ? [listAs(accountId, 'undeliverable')] : []),
      ...(isNews ? [{ put: newNotice(deps, accountId, 'email-undeliverable', said) }] : []),
    ])
  } catch (error) {
    if (error instanceof ConditionFailed && error.failed.has(0)) return 'repeated'
    throw error
  }
  return isNews ? 'marked' : 'known'
}

/** The account's own address, and the one that waits for its confirmation. */
const addressesOf = ({ email, pendingEmail }: Profile): string[] =>
  [email, ...(pendingEmail === undefined ? [] : [pendingEmail])].map(emailKey)

function noticeText(reason: SesReason, isOwn: boolean): string {
  const address = isOwn ? 'your e-mail address' : 'the new e-mail address that you asked for'
  const happened = {
    bounced: `A mail to ${address} came back, so we send no more mail there.`,
    complained: `A mail to ${address} was reported as spam, so we send no more mail there.`,
    suppressed: `A mail to ${address} was not delivered, because earlier mail to it came back or was reported as spam. We send no more mail there.`,
  }[reason]
  const wish = reason === 'complained' ? 'you want our mail' : 'the address works'
  const next = isOwn
    ? `If ${wish}, please set the address again in your account; if not, please set another one.`
    : 'Your account keeps its old address. If the new address works, please ask for the change again; if not, please ask for another one.'
  return reason === 'suppressed'
    ? `${happened} ${next} If this happens again, please contact us.`
    : `${happened} ${next}`
}
