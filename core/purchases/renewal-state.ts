import { type Profile, renewalStateOf } from '../account/account.ts'
import { announce } from '../events/outbox.ts'
import { newNotice } from '../notifications/notices.ts'
import { queueMail } from '../notifications/outbox.ts'
import { type RenewalNews, renewalText } from '../notifications/renewal-texts.ts'
import type { Deps } from '../ports.ts'
import { type Expression, expr, unchangedSince } from '../table/expression.ts'
import type { Write } from '../table/table.ts'
import { maxPerDay, maxPerHour, renewedInMonth } from './renewal-limits.ts'

export type Renewal = NonNullable<Profile['renewal']>

/** What the profile says about auto-renewal. Each of its writers goes through `changeRenewal`. */
const RENEWAL_FIELDS = ['flags', 'bundle', 'renewal'] as const satisfies (keyof Profile)[]
type RenewalFields = Pick<Profile, (typeof RENEWAL_FIELDS)[number]>

/** How the change came about, where the state alone does not say it. */
export type ChangedBy = 'first_bundle' | 'switched_on' | 'link' | 'allowed'

/** A message of a kind of its own, to which the change of renewal is added. */
export interface LeadMessage {
  messageType: string
  /** What else happened. Such a message is sent even if the state of renewal stays the same. */
  text?: string
  /** The mail that tells of it. Without one, only a change of renewal is mailed. */
  template?: 'renewed' | 'renewal-declined' | 'renewal-action'
  /** In the minor unit of `currency` (ISO 4217). */
  amountCents?: number
  currency?: string
  purchaseId?: string
}

export interface RenewalChange {
  /** Assignments and removals for the profile's update. */
  set: Expression[]
  remove: Expression[]
  /** The condition for the profile's update: the change and its messages are derived from these fields. */
  unchanged: Expression
  /** The notice, the mail and the event, for the same transaction. */
  messages: Write[]
  /** The event alone, for a change that tells its owner more than this. */
  events: Write[]
}

/**
 * The one place where the state of auto-renewal is written: whether it is on (`flags`, `bundle`), and what
 * keeps it from renewing (`renewal`). A change of the state that its owner sees makes a notice and a mail in
 * the same transaction, so that none is silent and none is told twice. `test/conformance/renewal.deep.test.ts`
 * holds that nothing else writes these fields.
 * @param to the fields to change. `renewal: undefined` removes the obstacle.
 */
export function changeRenewal(
  deps: Deps,
  before: Profile,
  to: Partial<RenewalFields>,
  { by, lead, atMs = deps.clock.nowMs() }: { by?: ChangedBy; lead?: LeadMessage; atMs?: number } = {},
): RenewalChange {
  const after = { ...before, ...to }
  const news = newsOf(before, after, by)
  const events = eventsOf(deps, before, after, news)
  const has = (field: keyof RenewalFields) => Object.hasOwn(to, field)
  return {
    set: [
      ...(has('flags') ? [expr`#flags = ${after.flags}`] : []),
      ...(has('bundle') ? [expr`#bundle = ${after.bundle}`] : []),
      ...(after.renewal !== undefined && has('renewal') ? [expr`#renewal = ${after.renewal}`] : []),
    ],
    remove: after.renewal === undefined && has('renewal') ? [expr`#renewal`] : [],
    unchanged: unchangedSince(before, RENEWAL_FIELDS),
    messages: [...messagesOf(deps, after, news, lead, atMs), ...events],
    events,
  }
}

/** What the owner must be told; undefined if the owner knows the state already. */
function newsOf(before: Profile, after: Profile, by: ChangedBy | undefined): RenewalNews | undefined {
  const state = renewalStateOf(after)
  const reason = (state === 'on' || state === 'off' ? by : after.renewal?.reason) ?? 'other'
  const isSame = renewalStateOf(before) === state
  // Each retry of a declined renewal may have another reason; the owner can do the same about all of them.
  const isKnown = state === 'on' || state === 'off' || state === 'retrying'
  // Each renewal that waits for 3-D Secure has a link of its own.
  const isAskedAgain = state === 'action_required' && after.renewal !== before.renewal
  if (isSame && !isAskedAgain && (isKnown || before.renewal?.reason === reason)) return undefined
  const bundle = after.bundle ?? before.bundle ?? ''
  const { nextAttemptAtMs } = after.renewal ?? {}
  return { state, reason, bundle, nextAttemptAtMs, limit: renewalLimit(after, reason) }
}

/** The event of a change that its owner is told of. */
function eventsOf(deps: Deps, before: Profile, after: Profile, news: RenewalNews | undefined): Write[] {
  if (after.status === 'erased' || !news) return []
  const { state, reason, nextAttemptAtMs } = news
  const bundle = after.bundle ?? before.bundle
  const data = { from: renewalStateOf(before), state, reason, bundle, nextAttemptAtMs }
  return [announce(deps, after.id, 'renewal.state_changed', data)]
}

/** The limit that was reached, in cents or as a number of renewals. */
export function renewalLimit(after: Profile, reason: string): number | undefined {
  switch (reason) {
    case 'monthly_cap':
      return after.monthlyCapCents
    case 'hourly_limit':
      return maxPerHour(after)
    case 'daily_limit':
      return maxPerDay(after)
    default:
      return undefined
  }
}

function messagesOf(
  deps: Deps,
  after: Profile,
  news: RenewalNews | undefined,
  lead: LeadMessage | undefined,
  atMs: number,
): Write[] {
  // Of an erased account nobody is left who could be told.
  if (after.status === 'erased' || (!news && lead?.text === undefined)) return []
  const { id: accountId, email: to, username, renewal } = after
  const { happened, next } = news ? renewalText(news) : {}
  const said = [lead?.text, happened, next].filter((each) => each !== undefined)
  const notice = newNotice(deps, accountId, lead?.messageType ?? `renewal_${news?.state}`, said.join(' '))
  if (!lead?.template && !news) return [{ put: notice }]
  const values = {
    username,
    bundle: news?.bundle ?? after.bundle,
    amountCents: lead?.amountCents,
    currency: lead?.currency,
    purchaseId: lead?.purchaseId,
    news,
    renewed: renewedInMonth(after.renewed, atMs),
  }
  const heldAtMs = news?.state === 'held_back' ? renewal?.heldAtMs : undefined
  const mail = { accountId, to, template: lead?.template ?? 'renewal-state', values, heldAtMs } as const
  return [{ put: notice }, queueMail(deps, mail, 0).write]
}
